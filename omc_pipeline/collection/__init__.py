"""How rows come in: the state of collectors, and how each attempt to collect ends.

Not here: the sources themselves (``sources``), storing (``ledgers``), judging (``quality``), scheduling (``orchestration``).
"""
