"""Where rows come from: one file a source, named ``<ledger>_<name>.py``, found by its name and listed nowhere.

Not here: storing (``ledgers``), judging (``quality``), scheduling (``orchestration``).
"""
