"""Works a batch of sessions off: as many side by side as their models are good for, each by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from omc_agents.models.panel import Panel, as_panel
from omc_agents.models.protocol import Model
from omc_agents.sessions.locks import batch_lock
from omc_agents.sessions.states import SYSTEM_USER
from omc_agents.sessions.tokens import Assignment
from omc_agents.workflow.graph import import_langgraph
from omc_agents.workflow.orchestrator import SessionOutcome, note_no_model, run_workflow
from omc_infra.errors import OmcError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings

UserModel = Callable[[str, str], Model | Panel]
"""Makes the models of a user's subscription; takes the user's id and the name of the model, which may be empty."""


def brief_batch(
    database: Database,
    settings: Settings,
    model: Model | Panel,
    batch_id: UUID,
    assignments: Sequence[Assignment],
    user_model: UserModel | None = None,
) -> Sequence[SessionOutcome]:
    """Brief every session of a batch that is not finished; one that fails does not hold up the others.

    Args:
        database: Ledgers and sessions.
        settings: Profile and alert threshold.
        model: Answers the questions of the platform's own sessions.
        batch_id: Whose lock shows that this process works on it.
        assignments: The batch's unfinished sessions with their tokens.
        user_model: Makes the models of subscribers; one that can't be made fails the sessions of that subscriber only. None: ``model``
            answers all.
    """
    models = {of: _made(model, user_model, of) for of in {_owner(assignment) for assignment in assignments}}

    def work(assignment: Assignment) -> SessionOutcome:
        made = models[_owner(assignment)]
        if isinstance(made, OmcError):
            return note_no_model(database, assignment, made)
        return run_workflow(database, settings, made, assignment)

    made_ones = [made for made in models.values() if not isinstance(made, OmcError)]
    at_once = max((as_panel(made).sessions_at_once for made in made_ones), default=1)
    with batch_lock(database, batch_id):
        if at_once == 1:
            return [work(assignment) for assignment in assignments]
        import_langgraph()  # once, before threads would do it together
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="sessions")
        try:
            return list(pool.map(work, assignments))
        finally:  # whoever ends the run waits for the sessions that began, not for the others
            pool.shutdown(cancel_futures=True)


def _owner(assignment: Assignment) -> tuple[str, str]:
    return assignment.user_id, assignment.model


def _made(model: Model | Panel, user_model: UserModel | None, of: tuple[str, str]) -> Model | Panel | OmcError:
    if user_model is None or of[0] == SYSTEM_USER:
        return model
    try:
        return user_model(*of)
    except OmcError as error:  # a key that is missing, for instance: this user's affair
        return error
