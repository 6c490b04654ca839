"""What persons do to sessions: ask, answer, approve, resume, cancel. Writes as role writer; a worker's token can do none of it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from omc_agents.claims.safety import visible_text
from omc_agents.sessions.states import FINISHED, WaitingFor
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database

LONGEST_QUESTION = 2_000
LONGEST_ANSWER = 200
_USER = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)
_ASKED = """
INSERT INTO agents.session (session_id, user_id, trigger, question, status, model, event_recorded_at, as_of)
SELECT :session_id, :user_id, 'question', :question, 'queued', :model, now, coalesce(:as_of, now) FROM clock_timestamp() AS now
WHERE coalesce(:as_of, now) <= now
"""
_READY = "status = 'running', waiting_for = NULL, prompt = NULL"


def open_question(database: Database, user_id: str, question: str, model: str, as_of: datetime | None = None) -> str:
    """Open a session for a person's question and return its id; the same question asked twice is two sessions.

    Args:
        database: Where it is to stand.
        user_id: Whose rows it may read.
        question: In words.
        model: Name of the model that will be asked.
        as_of: Knowledge time of all that it reads; None: now.

    Raises:
        BadInputError: No user's name, no question, one that is too long, or a knowledge time in the future.
    """
    if not _USER.fullmatch(user_id):
        raise BadInputError(f"{user_id[:64]!r} is no user: small letters, digits, - and _, at most 64")
    asked = visible_text(question, limit=LONGEST_QUESTION + 1)
    if not asked or len(asked) > LONGEST_QUESTION:
        raise BadInputError(f"a question has 1 to {LONGEST_QUESTION} characters")
    if as_of is not None and as_of.tzinfo is None:
        raise BadInputError(f"as of {as_of.isoformat()} has no zone; append Z or +00:00")
    session_id = str(uuid.uuid4())
    values = {"session_id": session_id, "user_id": user_id, "question": asked, "model": model, "as_of": as_of}
    with database.engine("writer").begin() as connection:
        if not connection.execute(text(_ASKED), values).rowcount:
            raise BadInputError("the as-of time is in the future")
    return session_id


def give_answer(database: Database, session_id: str, answer: str) -> None:
    """Record what a person answers to a session that asked back.

    Raises:
        BadInputError: There is no such session, it asks nothing, or the answer is empty or too long.
    """
    said = visible_text(answer, limit=LONGEST_ANSWER + 1)
    if not said or len(said) > LONGEST_ANSWER:
        raise BadInputError(f"an answer has 1 to {LONGEST_ANSWER} characters")
    with database.engine("writer").begin() as connection:
        _require_waiting(connection, session_id, "answer")
        _set(connection, session_id, f"answers = array_append(answers, :answer), {_READY}", answer=said)


def approve(database: Database, session_id: str, most_usd: Decimal) -> None:
    """Agree that a session spends up to so many US dollars; its caps still hold.

    Raises:
        BadInputError: There is no such session, or it waits for no approval.
    """
    with database.engine("writer").begin() as connection:
        _require_waiting(connection, session_id, "approval")
        _set(connection, session_id, f"approved_usd = :most_usd, {_READY}", most_usd=most_usd)


def let_resume(database: Database, session_id: str) -> None:
    """Let a session go on that was interrupted or failed several times; nothing that was recorded is asked or paid again.

    Raises:
        BadInputError: There is no such session, it is finished, or it waits for an answer or an approval.
    """
    with database.engine("writer").begin() as connection:
        found = _unfinished(connection, session_id)
        if found["trigger"] == "mcp":
            raise BadInputError(f"session {session_id!r} belongs to a running or killed `omc mcp`; `omc agent cancel` ends it")
        if found["waiting_for"] in {"answer", "approval"}:
            raise BadInputError(f"session {session_id!r} waits for {_WORDS[found['waiting_for']]}: {found['prompt']}")
        _set(connection, session_id, f"failures = 0, {_READY}")


def cancel(database: Database, session_id: str) -> None:
    """End a session without a brief; a step at work ends with the question that it put to its model.

    Raises:
        BadInputError: There is no such session, or it is finished.
    """
    with database.engine("writer").begin() as connection:
        _unfinished(connection, session_id)
        ended = "status = 'cancelled', waiting_for = NULL, prompt = NULL, detail = :detail, finished_at = clock_timestamp()"
        _set(connection, session_id, ended, detail="cancelled by its user")


_WORDS: Mapping[WaitingFor, str] = {"answer": "an answer", "approval": "an approval", "resume": "somebody to resume it"}


def _require_waiting(connection: Connection, session_id: str, wanted: WaitingFor) -> None:
    found = _unfinished(connection, session_id)
    if found["waiting_for"] != wanted:
        now = f"it waits for {_WORDS[found['waiting_for']]}" if found["waiting_for"] else f"it is {found['status']}"
        raise BadInputError(f"session {session_id!r} waits for no {wanted}; {now}")


def _unfinished(connection: Connection, session_id: str) -> Mapping[str, Any]:
    wanted = text("SELECT status, trigger, waiting_for, prompt FROM agents.session WHERE session_id = :id FOR NO KEY UPDATE")
    found = connection.execute(wanted, {"id": session_id}).mappings().one_or_none()
    if found is None:
        raise BadInputError(f"no session {session_id!r}; `omc agent sessions` lists them")
    if found["status"] in FINISHED:
        raise BadInputError(f"session {session_id!r} is finished: {found['status']}")
    return dict(found)


def _set(connection: Connection, session_id: str, change: str, **values: Any) -> None:
    connection.execute(text(f"UPDATE agents.session SET {change} WHERE session_id = :id"), {"id": session_id, **values})
