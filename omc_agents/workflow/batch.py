"""Works a batch of events off: one session after the other, each event by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from traceback import format_exception
from typing import Literal
from uuid import UUID

import structlog

from omc_agents.models.panel import Panel
from omc_agents.models.protocol import Model
from omc_agents.sessions.locks import batch_lock, event_lock
from omc_agents.sessions.store import Session, SessionStore
from omc_agents.sessions.tokens import Assignment
from omc_agents.workflow.graph import run_graph
from omc_agents.workflow.steps import SessionContext, Step, steps_of
from omc_infra.errors import OmcError, PermanentError, RetryableError
from omc_infra.logs import redact
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings

_log = structlog.get_logger(__name__)

Outcome = Literal["published", "refused", "failed", "retry", "skipped"]
Steps = Callable[[SessionContext], Mapping[str, Step]]


@dataclass(frozen=True)
class EventOutcome:
    """What became of one event.

    Attributes:
        outcome: ``retry`` means that another attempt may help, after its model's wait; ``skipped`` that another process has it.
    """

    source: str
    event_id: str
    session_id: str | None
    outcome: Outcome
    detail: str | None = None


def brief_batch(
    database: Database, settings: Settings, model: Model | Panel, batch_id: UUID, assignments: Sequence[Assignment]
) -> Sequence[EventOutcome]:
    """Brief every event of a batch that has no finished session; one that fails does not hold up the others.

    Args:
        database: Ledgers and sessions.
        settings: Profile and alert threshold.
        model: Answers the sessions' questions.
        batch_id: Whose lock shows that this process works on it.
        assignments: The batch's unfinished sessions with their tokens.
    """
    with batch_lock(database, batch_id):
        return [brief_event(database, settings, model, assignment) for assignment in assignments]


def brief_event(
    database: Database, settings: Settings, model: Model | Panel, assignment: Assignment, steps: Steps = steps_of
) -> EventOutcome:
    """Bring the session of one event to its end, continuing from where a killed attempt left it.

    Args:
        database: Ledgers and sessions.
        settings: Profile and alert threshold.
        model: Answers the session's questions.
        assignment: The session, opened by the dispatcher, and its token.
        steps: Makes the workflow's steps.

    Returns:
        What became of it; ``skipped`` where another process works on it.
    """
    source, event_id = assignment.source, assignment.event_id
    with event_lock(database, source, event_id) as held:
        if not held:
            return EventOutcome(source, event_id, None, "skipped", "another process works on it")
        store = SessionStore(database, assignment.user_id, assignment.token)
        session = store.session(assignment.session_id)
        if not session.is_finished and store.is_due(session.session_id):
            store.start(session.session_id)
            _run(SessionContext(store, session, model, settings.profile, settings.alert_threshold), steps)
            session = store.session(session.session_id)
        return _outcome(session)


def _run(context: SessionContext, steps: Steps) -> None:
    session_id = context.session.session_id
    try:
        run_graph(steps(context), context.store.database, context.session, context.store.token)
    except PermanentError as error:
        context.store.finish(session_id, "failed", str(error))
    except RetryableError as error:
        _interrupted(context, error, error.retry_after_s)
    except Exception as error:  # noqa: BLE001 the agent loop: one event's failure is its own, the others of the batch go on
        _interrupted(context, error, None)


def _interrupted(context: SessionContext, error: Exception, wait_s: float | None) -> None:
    """Keep why an attempt ended; one that ended because the model asked for a wait is held back for as long.

    The words of an error that isn't ours may quote a prompt, an answer or a row: they are logged and not kept.
    """
    session_id, name = context.session.session_id, type(error).__name__
    detail = redact(f"{name}: {error}")[:500] if isinstance(error, OmcError) else f"{name}; the log of the run says more"
    _log.error("session.interrupted", session=session_id, wait_s=wait_s, trace="".join(format_exception(error)))
    if wait_s is None:
        context.store.note_failure(session_id, detail)
    else:
        context.store.defer(session_id, detail, wait_s)


def _outcome(session: Session) -> EventOutcome:
    outcomes: Mapping[str, Outcome] = {"published": "published", "refused": "refused", "failed": "failed"}
    return EventOutcome(session.source, session.event_id, session.session_id, outcomes.get(session.status, "retry"), session.detail)
