"""Files that people bring: exports of venues, wallets and tools, read into fills of the exchange ledger.

One file a format, named ``<venue>_<kind>.py``; the other modules are what they share.

Not here: profit and loss of what was read (``pnl``, ``positions``), the API sources (``sources``).
"""
