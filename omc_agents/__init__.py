"""Agents that explain fresh catalysts: workflow, tools, models, claims, sessions, and their own Dagster location.

Not here: collecting, judging or pricing (``omc_pipeline``) and what code runs on (``omc_infra``).
"""
