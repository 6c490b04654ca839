"""Works a batch of events off: as many sessions side by side as the models are good for, each by one process at a time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from omc_agents.models.panel import Panel, as_panel
from omc_agents.models.protocol import Model
from omc_agents.sessions.locks import batch_lock
from omc_agents.sessions.tokens import Assignment
from omc_agents.workflow.graph import import_langgraph
from omc_agents.workflow.orchestrator import SessionOutcome, run_workflow
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings


def brief_batch(
    database: Database, settings: Settings, model: Model | Panel, batch_id: UUID, assignments: Sequence[Assignment]
) -> Sequence[SessionOutcome]:
    """Brief every event of a batch that has no finished session; one that fails does not hold up the others.

    Args:
        database: Ledgers and sessions.
        settings: Profile and alert threshold.
        model: Answers the sessions' questions.
        batch_id: Whose lock shows that this process works on it.
        assignments: The batch's unfinished sessions with their tokens.
    """
    at_once = as_panel(model).sessions_at_once
    with batch_lock(database, batch_id):
        if at_once == 1:
            return [run_workflow(database, settings, model, assignment) for assignment in assignments]
        import_langgraph()  # once, before threads would do it together
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="sessions")
        try:
            return list(pool.map(lambda assignment: run_workflow(database, settings, model, assignment), assignments))
        finally:  # whoever ends the run waits for the sessions that began, not for the others
            pool.shutdown(cancel_futures=True)
