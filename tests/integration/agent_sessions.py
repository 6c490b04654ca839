"""Sessions and tokens as the dispatcher makes them, for tests that work as role agent."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from omc_agents.models.protocol import Model
from omc_agents.sessions.dispatch import open_session
from omc_agents.sessions.states import SYSTEM_USER
from omc_agents.sessions.store import Session, SessionStore
from omc_agents.sessions.tokens import Assignment, issue_token
from omc_agents.workflow.orchestrator import SessionOutcome, Steps, run_workflow, steps_of
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings

EDGAR = "catalyst_sec_edgar"
LIFETIME = timedelta(minutes=10)


def assigned(database: Database, event_id: str, *, user: str = SYSTEM_USER, source: str = EDGAR) -> Assignment:
    """Open the session of an announced event and issue a token for it."""
    return issue_token(database, open_session(database, source, event_id, "scripted/analyst-1", user), LIFETIME)


def opened(database: Database, event_id: str, *, user: str = SYSTEM_USER) -> tuple[SessionStore, Session]:
    """Open the session of an announced event as its worker sees it."""
    assignment = assigned(database, event_id, user=user)
    store = SessionStore(database, user, assignment.token)
    return store, store.session(assignment.session_id)


def brief(database: Database, settings: Settings, model: Model, event_id: str, steps: Steps = steps_of) -> SessionOutcome:
    """Have an announced event briefed, as a run of its batch would."""
    return run_workflow(database, settings, model, assigned(database, event_id), steps)


def session_of(database: Database, event_id: str, source: str = EDGAR) -> str:
    """Return the id of the newest session of an event."""
    newest = "SELECT session_id FROM agents.session WHERE (source, event_id) = (%s, %s) ORDER BY created_at DESC LIMIT 1"
    with database.connect("owner") as owner:
        row = owner.execute(newest, [source, event_id]).fetchone()
    assert row, event_id
    return str(row[0])


def token_of(database: Database, user: str, lifetime: timedelta = LIFETIME) -> str:
    """Issue a token for a session of a user that belongs to no event."""
    session_id = str(uuid4())
    with database.connect("owner") as owner:
        owner.execute(
            "INSERT INTO agents.session (session_id, user_id, source, event_id, status, model, event_recorded_at, as_of)"
            " VALUES (%s, %s, 'test', %s, 'queued', 'm', now(), now())",
            [session_id, user, session_id],
        )
    return issue_token(database, session_id, lifetime).token
