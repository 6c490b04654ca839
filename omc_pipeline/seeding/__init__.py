"""Invented users, trades and quotes for a sandbox home, so that reports, checks and benches have something to work on.

Not here: stand-ins of upstream APIs (``omc_pipeline.sandbox``), and anything that touches a live database.
"""
