"""What was published, for a person: briefs, their claims, and the rows that bear them. Reads as the reader role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from omc_agents.sessions.spend import calls_of_session
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database

_BRIEFS = """
SELECT b.event_id AS event, b.session_id AS session, count(c.n) AS claims, count(c.n) FILTER (WHERE c.verified) AS verified,
       extract(epoch FROM b.published_at - b.event_recorded_at)::float8 AS latency_s, b.title, b.body
FROM agents.brief b LEFT JOIN agents.claim c USING (brief_id)
WHERE b.published_at >= :moment GROUP BY b.brief_id ORDER BY b.published_at
"""
_SESSIONS = """
SELECT s.session_id, s.trigger, s.source, s.event_id, s.question, s.user_id, s.status, s.waiting_for, s.prompt,
    s.model, s.as_of, s.attempts, s.started_at, s.finished_at, s.detail, b.title
FROM agents.session s LEFT JOIN agents.brief b USING (session_id)
ORDER BY s.created_at DESC, s.session_id LIMIT :most
"""
_CLAIMS = "SELECT n, text, kind, ref, base_ref, field, value, verified FROM agents.claim WHERE brief_id = :id ORDER BY n"
_CALLS = "SELECT question, model, usage, recorded_at FROM agents.model_call WHERE session_id = :id ORDER BY recorded_at"
_EVIDENCE = "SELECT ref, tool, row, row_sha256 FROM agents.evidence WHERE session_id = :id ORDER BY n"


@dataclass(frozen=True)
class BriefSummary:
    """One brief; ``latency_s`` is from when we knew of the event to publication."""

    event: str
    session: str
    claims: int
    verified: int
    latency_s: float
    title: str
    body: str


def briefs_since(database: Database, moment: datetime) -> list[BriefSummary]:
    """Return the briefs published at or after ``moment``, oldest first."""
    with database.engine("reader").connect() as connection:
        return [BriefSummary(**row._asdict()) for row in connection.execute(text(_BRIEFS), {"moment": moment})]


def list_sessions(database: Database, most: int = 50) -> list[Mapping[str, Any]]:
    """Return the newest sessions of all users, newest first."""
    with database.engine("reader").connect() as connection:
        return [dict(row) for row in connection.execute(text(_SESSIONS), {"most": most}).mappings()]


def show_session(database: Database, wanted: str) -> Mapping[str, Any]:
    """Return one session with its brief, its claims, the rows that bear them, its model calls and what they cost.

    Args:
        database: Where it stands.
        wanted: The session's id, or the id of its event; of an event that several users were briefed about, the platform's own session.

    Raises:
        BadInputError: There is no such session.
    """
    with database.engine("reader").connect() as connection:
        sessions = _rows(
            connection,
            "SELECT * FROM agents.session WHERE session_id = :id OR event_id = :id ORDER BY subscription <> '', created_at DESC",
            wanted,
        )
        if not sessions:
            raise BadInputError(f"no session or event {wanted!r}; `omc agent sessions` lists them")
        session = {name: value for name, value in sessions[0].items() if name != "marker"}
        own = str(session["session_id"])
        brief = _rows(connection, "SELECT title, body, profile, dropped, published_at FROM agents.brief WHERE session_id = :id", own)
        claims = _rows(connection, _CLAIMS, own)
        cited = {claim[name] for claim in claims for name in ("ref", "base_ref")}
        rows = [row for row in _rows(connection, _EVIDENCE, own) if row["ref"] in cited]
        return {
            "session": session,
            "brief": brief[0] if brief else None,
            "claims": claims,
            "rows": rows,
            "calls": _rows(connection, _CALLS, own),
            "spend": calls_of_session(connection, own),
        }


def _rows(connection: Connection, query: str, wanted: str) -> Sequence[Mapping[str, Any]]:
    return [dict(row) for row in connection.execute(text(query), {"id": wanted}).mappings()]
