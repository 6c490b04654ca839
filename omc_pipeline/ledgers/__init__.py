"""The four ledgers in PostgreSQL: row types, the tables that hold them, the one way in (``write``) and the one way out (``read``).

Not here: where rows come from (``sources``) and whether they can be trusted (``quality``).
"""
