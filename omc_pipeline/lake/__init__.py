"""The ledgers as Parquet files, a file a table and day, for tools that read no PostgreSQL.

A day is one of recording: its rows never change, so neither does its file, except where rows are erased or a migration rewrites them.

Not here: where files lie (``omc_infra.objects``), what the rows mean (``ledgers``).
"""
