"""Stand-ins for the providers of models, on this machine: their wire formats, with rules behind them instead of a model.

Not here: the adapters that ask them (``models``); nothing that briefs an event imports this room.
"""
