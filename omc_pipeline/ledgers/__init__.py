"""The four ledgers in PostgreSQL: row types, their tables, the module for writing (``write``) and the one for reading (``read``).

Not here: where rows come from (``sources``) and whether they are correct (``quality``).
"""
