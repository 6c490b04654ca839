"""Alembic revisions of the ground floor: the marker, and a schema for Dagster's own tables."""
