"""Secret tokens: what lets a run of the agents read and write its own sessions' rows, and nobody else's.

The dispatcher opens sessions, and issues their tokens when a run of their batch starts. The database keeps a digest of each; row-level
security looks it up. A token is handed to the run's process by its launcher and is in no configuration, tag, state or log.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.database import Database

VARIABLE = "AGENT_SESSION_TOKENS"
"""Variable by which a run's process is given its tokens; read once, then removed."""
_TOKEN_BYTES = 32
_ISSUED = (
    "INSERT INTO agents.session_token (token_sha256, session_id, user_id, expires_at)"
    " VALUES (:digest, :session_id, :user_id, clock_timestamp() + :lifetime)"
)
_UNFINISHED = """
SELECT s.session_id, s.user_id, coalesce(p.model, '') AS model
FROM agents.session s LEFT JOIN agents.subscription p ON p.subscription_id = s.subscription
WHERE (s.batch_id = :batch OR s.session_id IN (SELECT of_event.session_id
        FROM agents.dispatch d JOIN agents.session of_event USING (source, event_id, user_id, subscription)
        WHERE d.batch_id = :batch AND of_event.trigger = 'event'))
    AND NOT agents.is_finished(s.status) AND s.status <> 'waiting' AND coalesce(s.retry_at <= clock_timestamp(), true)
ORDER BY s.attempts, s.subscription <> '', s.event_recorded_at, s.source, s.event_id, s.subscription
"""


@dataclass(frozen=True)
class Assignment:
    """One session to work on, and the token that lets its worker do so.

    Attributes:
        model: Full name of the model that its subscription wants; empty: the one of ``[agents]``.
    """

    session_id: str
    user_id: str
    token: str = field(repr=False)
    model: str = ""


def issue_tokens(database: Database, batch_id: UUID, lifetime: timedelta) -> list[Assignment]:
    """Issue a token for every unfinished session of a batch that waits for no model.

    The least tried come first, so that one that kills its run holds up no other.

    Args:
        database: Written as role writer.
        batch_id: Its sessions are open (``dispatch``).
        lifetime: After which a token is worth nothing.

    Raises:
        ConfigurationError: This process isn't the dispatcher: it has no login for role writer.
    """
    with database.engine("writer").begin() as connection:
        connection.execute(text("SELECT agents.forget_expired_tokens()"))
        found = connection.execute(text(_UNFINISHED), {"batch": batch_id}).all()
        return [_issued(connection, row.session_id, row.user_id, lifetime, row.model) for row in found]


def issue_token(database: Database, session_id: str, lifetime: timedelta) -> Assignment:
    """Issue a token for one session.

    Raises:
        ConfigurationError: There is no such session, or this process isn't the dispatcher.
    """
    wanted = text("SELECT session_id, user_id FROM agents.session WHERE session_id = :id")
    with database.engine("writer").begin() as connection:
        row = connection.execute(wanted, {"id": session_id}).one_or_none()
        if row is None:
            raise ConfigurationError(f"no session {session_id!r} to issue a token for")
        return _issued(connection, row.session_id, row.user_id, lifetime)


def bind_token(connection: Connection, token: str) -> None:
    """Bind a connection's present transaction to the user of a token; the next transaction is bound to nobody."""
    connection.execute(text("SELECT set_config('omc.session_token', :token, true)"), {"token": token})


def as_variable(assignments: Sequence[Assignment]) -> dict[str, str]:
    """Return the variable that hands assignments to a run's process."""
    return {VARIABLE: json.dumps([vars(assignment) for assignment in assignments])}


def handed_over(environ: MutableMapping[str, str] = os.environ) -> list[Assignment] | None:
    """Take the assignments out of this process's variables, so that no child inherits them; None where none were handed over."""
    document = environ.pop(VARIABLE, None)
    return None if document is None else [Assignment(**fields) for fields in json.loads(document)]


def _issued(connection: Connection, session_id: str, user_id: str, lifetime: timedelta, model: str = "") -> Assignment:
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    values = {"digest": hashlib.sha256(token.encode()).digest(), "session_id": session_id, "user_id": user_id, "lifetime": lifetime}
    connection.execute(text(_ISSUED), values)
    return Assignment(session_id, user_id, token, model)
