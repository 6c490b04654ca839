"""The texts that the database has about this storey's tables."""

from __future__ import annotations

from pathlib import Path

from omc_infra.postgres.comments import Comments, read_comments


def own_comments() -> Comments:
    """Return the texts of all tables of this storey."""
    return read_comments(Path(__file__).with_name("comments.toml"))
