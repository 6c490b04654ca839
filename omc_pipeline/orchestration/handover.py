"""Database logins for the runs of this code location."""

from __future__ import annotations

from collections.abc import Mapping

from omc_infra.postgres.database import Database
from omc_infra.postgres.roles import Role
from omc_infra.runs.variables import StartingRun
from omc_infra.settings import Settings

ROLES: tuple[Role, ...] = ("writer", "reader", "dagster")


def run_variables(_run: StartingRun, database: Database, _settings: Settings) -> Mapping[str, str]:
    """Return the logins for collecting, checking, computing and maintenance, without those of the owner and the agents."""
    return database.environ(ROLES)
