"""Where rows come from: one file a source, named ``<ledger>_<name>.py``, found by its name and listed nowhere.

A file whose name begins with ``_`` holds what several sources of one upstream share.

Not here: the contract and what runs it (``collection``), storing (``ledgers``), judging (``quality``), scheduling (``orchestration``).
"""
