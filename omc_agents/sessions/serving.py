"""The session of a server for MCP clients: opened at its start, ended with it. Writes as role writer."""

from __future__ import annotations

import re
import uuid

from sqlalchemy import text

from omc_agents.sessions.states import SYSTEM_USER
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database

MODEL = "mcp/client"
"""Stands for the model of the client, which is not known here."""
_OPENED = """
INSERT INTO agents.session (session_id, user_id, trigger, status, model, event_recorded_at, as_of)
SELECT :session_id, :user_id, 'mcp', 'running', :model, now, now FROM clock_timestamp() AS now
"""
_ENDED = """
UPDATE agents.session SET status = 'cancelled', detail = 'the server ended', finished_at = clock_timestamp()
WHERE session_id = :session_id AND NOT agents.is_finished(status)
"""


def open_serving(database: Database, user_id: str) -> str:
    """Open a session under which a server reads for one user, and return its id.

    Raises:
        BadInputError: No user can have this id.
    """
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", user_id, re.ASCII) or user_id == SYSTEM_USER:
        raise BadInputError(f"{user_id[:80]!r} is no user; an id has 1 to 64 of a-z, 0-9, _ and -, and {SYSTEM_USER!r} is reserved")
    session_id = str(uuid.uuid4())
    with database.engine("writer").begin() as connection:
        connection.execute(text("SELECT agents.forget_expired_tokens()"))
        connection.execute(text(_OPENED), {"session_id": session_id, "user_id": user_id, "model": MODEL})
    return session_id


def end_serving(database: Database, session_id: str) -> None:
    """End the session of a server; one that a person cancelled stays as it is."""
    with database.engine("writer").begin() as connection:
        connection.execute(text(_ENDED), {"session_id": session_id})
