"""Runs sessions: whole, a step at a time, again after a pause or a crash; tells where each stands, and ends one.

What a person does to a session is written by role writer (``sessions.persons``); the steps work as role agent with the session's token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from traceback import format_exception
from typing import Any, Literal

import structlog
from sqlalchemy import text

from omc_agents.models.panel import Panel
from omc_agents.models.protocol import Model
from omc_agents.sessions import persons
from omc_agents.sessions.locks import session_lock
from omc_agents.sessions.states import FINISHED, Status, Trigger, WaitingFor
from omc_agents.sessions.store import Session, SessionStore
from omc_agents.sessions.tokens import Assignment, issue_token
from omc_agents.tracing import AGENT, CONVERSATION, OPERATION, OUTCOME, STEP, TRIGGER, Trace, span, tracing
from omc_agents.workflow.context import SessionContext, SessionEndedError, Step, Work
from omc_agents.workflow.event_steps import event_steps
from omc_agents.workflow.graph import run_graph
from omc_agents.workflow.occasion_steps import occasion_steps
from omc_agents.workflow.question_steps import question_steps
from omc_infra.errors import BadInputError, OmcError, PermanentError, RetryableError
from omc_infra.logs import redact
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings

_log = structlog.get_logger(__name__)

Outcome = Literal["published", "inconclusive", "refused", "failed", "cancelled", "waiting", "retry", "skipped"]
Steps = Callable[[SessionContext], Mapping[str, Step]]
_STATE = """
SELECT s.session_id, s.user_id, s.trigger, s.source, s.event_id, s.question, s.plan, s.status, s.waiting_for, s.prompt, s.step, s.model,
    s.as_of, s.attempts, s.detail, (SELECT coalesce(sum(counted_usd), 0) FROM agents.model_spend c WHERE c.session_id = s.session_id)
    AS counted_usd, b.title, b.body
FROM agents.session s LEFT JOIN agents.brief b USING (session_id) WHERE s.session_id = :id
"""


@dataclass(frozen=True)
class SessionOutcome:
    """What became of one session.

    Attributes:
        outcome: ``retry`` means that another attempt may help, after its model's wait; ``skipped`` that another process has it.
    """

    session_id: str
    source: str | None
    event_id: str | None
    outcome: Outcome
    detail: str | None = None


@dataclass(frozen=True)
class SessionState:
    """Where a session stands.

    Attributes:
        plan: What a question was understood to ask; None before that, and for an event.
        waiting_for: What a person must do; ``prompt`` says it.
        step: The step that began last.
        counted_usd: What its calls cost, or could have cost.
        title, body: Of its brief; None without one.
    """

    session_id: str
    user_id: str
    trigger: Trigger
    source: str | None
    event_id: str | None
    question: str | None
    plan: Mapping[str, Any] | None
    status: Status
    waiting_for: WaitingFor | None
    prompt: str | None
    step: str | None
    model: str
    as_of: datetime
    attempts: int
    detail: str | None
    counted_usd: Decimal
    title: str | None
    body: str | None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in FINISHED


def steps_of(context: SessionContext) -> Mapping[str, Step]:
    """Return the steps of a session by name, in their order: those of its trigger, each written down when it begins."""
    made: Mapping[Trigger, Steps] = {"question": question_steps, "schedule": occasion_steps, "alert": occasion_steps}
    steps = made.get(context.session.trigger, event_steps)(context)
    return {name: _recorded(name, step, context) for name, step in steps.items()}


def note_no_model(database: Database, assignment: Assignment, error: OmcError) -> SessionOutcome:
    """End a session whose models can't be made, for want of a key for instance."""
    store = SessionStore(database, assignment.user_id, assignment.token)
    store.finish(assignment.session_id, "failed", redact(str(error))[:500])
    return _outcome(store.session(assignment.session_id))


def run_workflow(
    database: Database, settings: Settings, model: Model | Panel, assignment: Assignment, steps: Steps = steps_of
) -> SessionOutcome:
    """Bring a session to its end or to a pause, continuing from where a killed attempt left it.

    Args:
        database: Ledgers and sessions.
        settings: Profile and alert threshold.
        model: Answers the session's questions.
        assignment: The session and its token.
        steps: Makes the workflow's steps.

    Returns:
        What became of it; ``skipped`` where another process works on it.
    """
    store = SessionStore(database, assignment.user_id, assignment.token)
    with session_lock(database, assignment.session_id) as held:
        session = store.session(assignment.session_id)
        if not held:
            return SessionOutcome(session.session_id, session.source, session.event_id, "skipped", "another process works on it")
        if not session.is_finished and session.waiting_for is None and store.is_due(session.session_id):
            store.start(session.session_id)
            _traced(SessionContext(store, session, model, settings.profile, settings.alert_threshold), steps)
            session = store.session(session.session_id)
        return _outcome(session)


def execute_step(context: SessionContext, name: str, work: Work) -> Work:
    """Run one step of a session on a state and return the new state; nothing is checkpointed.

    Raises:
        BadInputError: The session has no step of that name.
    """
    steps = steps_of(context)
    if name not in steps:
        raise BadInputError(f"no step {name!r}; one of {', '.join(steps)}")
    return steps[name](work)


def get_session_state(database: Database, session_id: str) -> SessionState:
    """Return where a session stands; reads as the reader role.

    Raises:
        BadInputError: There is no such session.
    """
    with database.engine("reader").connect() as connection:
        row = connection.execute(text(_STATE), {"id": session_id}).mappings().one_or_none()
    if row is None:
        raise BadInputError(f"no session {session_id!r}; `omc agent sessions` lists them")
    return SessionState(**row)


def resume(
    database: Database, settings: Settings, model: Model | Panel, session_id: str, lifetime: timedelta = timedelta(minutes=60)
) -> SessionOutcome:
    """Go on with a session that was answered, approved, interrupted or failed several times; nothing recorded is asked or paid again.

    Args:
        database: Sessions; a token is issued as role writer.
        settings: Profile and alert threshold.
        model: Answers the session's questions.
        session_id: Which.
        lifetime: Of the token.

    Raises:
        BadInputError: There is no such session, it is finished, or it waits for an answer or an approval.
    """
    persons.let_resume(database, session_id)
    return run_workflow(database, settings, model, issue_token(database, session_id, lifetime))


def cancel(database: Database, session_id: str) -> None:
    """End a session without a brief.

    Raises:
        BadInputError: There is no such session, or it is finished.
    """
    persons.cancel(database, session_id)


def _traced(context: SessionContext, steps: Steps) -> None:
    """Run a session, and send its spans where an endpoint is set."""
    session, endpoint = context.session, context.panel.trace_endpoint
    trace = Trace(endpoint, context.profile) if endpoint else None
    about = {OPERATION: "invoke_agent", AGENT: "omc", CONVERSATION: session.session_id, TRIGGER: session.trigger}
    with tracing(trace), span("invoke_agent omc", about) as note:
        _run(context, steps)
        if trace is not None:
            note({OUTCOME: context.store.session(session.session_id).status})
    if trace is not None and not trace.send():
        _log.warning("trace.not_sent", session=session.session_id)


def _run(context: SessionContext, steps: Steps) -> None:
    session_id = context.session.session_id
    try:
        run_graph(steps(context), context.store.database, context.session, context.store.token)
    except SessionEndedError:
        return
    except PermanentError as error:
        context.store.finish(session_id, "failed", str(error))
    except RetryableError as error:
        _interrupted(context, error, error.retry_after_s)
    except Exception as error:  # noqa: BLE001 the agent loop: one session's failure is its own, the others of the batch go on
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


def _outcome(session: Session) -> SessionOutcome:
    outcomes: Mapping[Status, Outcome] = {
        "published": "published", "inconclusive": "inconclusive", "refused": "refused", "failed": "failed", "cancelled": "cancelled",
        "waiting": "waiting",
    }  # fmt: skip
    said = session.prompt if session.status == "waiting" else session.detail
    return SessionOutcome(session.session_id, session.source, session.event_id, outcomes.get(session.status, "retry"), said)


def _recorded(name: str, step: Step, context: SessionContext) -> Step:
    def recorded(work: Work) -> Work:
        context.store.enter(context.session.session_id, name)
        with span(f"step {name}", {STEP: name}):
            return step(work)

    return recorded
