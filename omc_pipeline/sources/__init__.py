"""The sources: one file each, named ``<ledger>_<name>.py``; files are found by name and need no registration.

A file with a name that begins with ``_`` has code that several sources of one upstream share.

Not here: the interface of a source and collecting (``collection``), storing (``ledgers``), checks (``quality``), ``orchestration``.
"""
