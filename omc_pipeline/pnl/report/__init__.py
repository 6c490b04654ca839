"""A user's record of profit and loss into what a person reads: cuts, history, equity, tax year, tear sheet, CSV, Parquet.

Not here: where the record is kept and who may read it (``positions``), files and terminals (``commands``).
"""
