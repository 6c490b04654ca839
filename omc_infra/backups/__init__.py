"""Backups of a whole database with ``omc.toml``: consistent, encrypted, checked when they are restored.

Not here: the backup before a migration that rewrites rows (``omc_infra.postgres.backup``).
"""
