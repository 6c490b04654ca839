"""Candles at 1m, 5m, 1h and 1d from quotes and from what venues publish, computed from what is new.

Not here: collecting either of them (``omc_pipeline.sources``), and the Dagster asset (``omc_pipeline.orchestration``).
"""
