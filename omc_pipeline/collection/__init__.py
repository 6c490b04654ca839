"""Collection: the interface of a source, collecting, replay, history, derived rows, readers, accounts, state of collectors.

Not here: the sources themselves (``sources``), storing (``ledgers``), judging (``quality``), scheduling (``orchestration``).
"""
