"""How rows come in: the contract of a source, collecting, replay, history, derived rows, and the readers that parsers share.

Not here: the sources themselves (``sources``), storing (``ledgers``), judging (``quality``), scheduling (``orchestration``).
"""
