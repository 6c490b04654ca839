"""Revisions of schema ``agents``."""
