"""What a run of this code location is given: the logins of its roles, and the tokens of its own sessions.

Called by the launcher, in the process that dispatches. A run that talks to a model never has the login of role writer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from omc_agents.models.choice import chosen_name
from omc_agents.sessions.dispatch import assign_batch
from omc_agents.sessions.tokens import as_variable
from omc_infra.postgres.database import Database
from omc_infra.runs.variables import StartingRun
from omc_infra.settings import Settings

MAINTENANCE = "maintain_sessions"
"""The job that lets go of old texts and checkpoints: it has no model and no tool, and writes as role writer."""
BRIEFING = "brief_catalysts"


def run_variables(run: StartingRun, database: Database, settings: Settings) -> Mapping[str, str]:
    """Return a run's variables; tokens for the batch that its configuration names."""
    if run.job == MAINTENANCE:
        return database.environ(("reader", "writer", "dagster"))
    given = database.environ(("agent", "dagster"))
    batch_id = _batch_of(run) if run.job == BRIEFING else None
    if batch_id is None:
        return given
    lifetime = timedelta(minutes=settings.agent_token_minutes)
    return {**given, **as_variable(assign_batch(database, batch_id, chosen_name(), lifetime))}


def _batch_of(run: StartingRun) -> UUID | None:
    """Read the batch from a run's configuration; one that names none fails in the run itself, where a person sees it."""
    try:
        return UUID(run.config["ops"]["brief_batch_events"]["config"]["batch_id"])
    except (KeyError, TypeError, ValueError):
        return None
