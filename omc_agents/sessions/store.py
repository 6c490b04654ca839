"""Sessions, their evidence, their model calls and their briefs, as one user may see and write them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy
from sqlalchemy import Connection, text

from omc_agents.claims.evidence import Evidence
from omc_agents.claims.render import Brief, Circumstances
from omc_agents.claims.verify import Verification
from omc_agents.models.panel import Caps
from omc_agents.models.protocol import Request, Response
from omc_agents.sessions.responses import as_document, from_document
from omc_agents.sessions.settlement import settle
from omc_agents.sessions.spend import Reservation, reserve
from omc_agents.sessions.states import FINISHED, Status, Trigger, WaitingFor
from omc_agents.sessions.tokens import bind_token
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database

MOST_FAILURES = 3
LONGEST_WAIT_S = 7 * 86400
"""Most that a model's wish to be left alone holds a session back; more is a mistake of its provider."""
_COLUMNS = (
    "session_id, user_id, trigger, source, event_id, question, answers, status, waiting_for, prompt, step, model, marker,"
    " event_recorded_at, as_of, attempts, approved_usd, detail, retry_at, plan"
)


@dataclass(frozen=True)
class Session:
    """One agent's work on one subject, for one user; ``as_of`` and ``marker`` are set once.

    Attributes:
        trigger: What began it; ``source`` and ``event_id`` name the event, ``question`` holds the words of a person.
        answers: What the person said when the session asked back, the oldest first.
        waiting_for: What a person must do where it waits; ``prompt`` says it in words of the code.
        step: The step of the workflow that began last; None before the first.
        event_recorded_at: When we knew of the event, or were asked the question.
        approved_usd: The spending that a person agreed to.
        retry_at: Before this time its model doesn't want to be asked.
        plan: What a question was understood to ask, or what a schedule or an alert asks; codes only.
    """

    session_id: str
    user_id: str
    trigger: Trigger
    source: str | None
    event_id: str | None
    question: str | None
    answers: Sequence[str]
    status: Status
    waiting_for: WaitingFor | None
    prompt: str | None
    step: str | None
    model: str
    marker: str
    event_recorded_at: datetime
    as_of: datetime
    attempts: int
    approved_usd: Decimal = Decimal(0)
    detail: str | None = None
    retry_at: datetime | None = None
    plan: Mapping[str, Any] | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in FINISHED

    @property
    def thread_id(self) -> str:
        """Name of its checkpoints; row-level security reads the user from it."""
        return f"{self.user_id}:{self.session_id}"


@dataclass(frozen=True)
class SessionStore:
    """Reads and writes schema ``agents`` through the agent role, for the user that a token stands for.

    Attributes:
        user_id: Written into new rows; one that isn't the token's is refused by row-level security.
        token: Secret; without a valid one no row is seen.
    """

    database: Database
    user_id: str
    token: str = field(repr=False)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Lend a connection whose transaction sees the user's rows only; the role itself reads only by default."""
        with self.engine.begin() as connection:
            connection.execute(text("SET TRANSACTION READ WRITE"))
            bind_token(connection, self.token)
            yield connection

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The agent role's engine."""
        return self.database.engine("agent")

    def session(self, session_id: str) -> Session:
        """Return one session.

        Raises:
            BadInputError: None of this id belongs to the user.
        """
        with self.transaction() as connection:
            row = connection.execute(
                text(f"SELECT {_COLUMNS} FROM agents.session WHERE session_id = :id"), {"id": session_id}
            ).one_or_none()
        if row is None:
            raise BadInputError(f"no session {session_id!r}; `omc agent sessions` lists them")
        return Session(**row._asdict())

    def start(self, session_id: str) -> None:
        """Count one more attempt."""
        began = "attempts = attempts + 1, started_at = coalesce(started_at, clock_timestamp()), retry_at = NULL"
        self._update(session_id, f"status = 'running', waiting_for = NULL, prompt = NULL, {began}")

    def enter(self, session_id: str, step: str) -> None:
        """Write down which step begins."""
        self._update(session_id, "step = :step", step=step)

    def note_plan(self, session_id: str, plan: Mapping[str, Any]) -> None:
        """Keep what a question was understood to ask; codes only."""
        self._update(session_id, "plan = CAST(:plan AS jsonb)", plan=json.dumps(dict(plan), sort_keys=True))

    def wait(self, session_id: str, waiting_for: WaitingFor, prompt: str) -> None:
        """Leave the session to a person; ``prompt`` tells them what it needs."""
        self._update(session_id, "status = 'waiting', waiting_for = :waiting_for, prompt = :prompt", waiting_for=waiting_for, prompt=prompt)

    def finish(self, session_id: str, status: Status, detail: str) -> None:
        """End a session without a brief; one that is finished stays as it is."""
        ended = "status = :status, waiting_for = NULL, prompt = NULL, detail = :detail, finished_at = clock_timestamp()"
        self._update(session_id, ended, status=status, detail=detail)

    def note_failure(self, session_id: str, detail: str) -> None:
        """Count an attempt that ended by an error of its own; a kill counts for none.

        At ``MOST_FAILURES`` a session of an event fails for good, and one of a question waits for its person.
        """
        last = f"failures + 1 >= {MOST_FAILURES}"
        asked, ended = f"{last} AND trigger = 'question'", f"{last} AND trigger <> 'question'"
        self._update(
            session_id,
            f"failures = failures + 1, detail = :detail,"
            f" status = CASE WHEN {asked} THEN 'waiting' WHEN {ended} THEN 'failed' ELSE status END,"
            f" waiting_for = CASE WHEN {asked} THEN 'resume' END, prompt = CASE WHEN {asked} THEN :prompt END,"
            f" finished_at = CASE WHEN {ended} THEN clock_timestamp() END",
            detail=detail,
            prompt=f"It failed {MOST_FAILURES} times; see its detail, then resume or cancel it.",
        )

    def defer(self, session_id: str, detail: str, wait_s: float) -> None:
        """Hold a session back for as long as its model asked; that counts for no failure of its own."""
        held = min(max(wait_s, 0.0), LONGEST_WAIT_S) if math.isfinite(wait_s) else LONGEST_WAIT_S
        self._update(session_id, "detail = :detail, retry_at = clock_timestamp() + make_interval(secs => :held)", detail=detail, held=held)

    def is_due(self, session_id: str) -> bool:
        """Return whether no wait holds the session back, by the database's clock."""
        due = text("SELECT retry_at IS NULL OR retry_at <= clock_timestamp() FROM agents.session WHERE session_id = :id")
        with self.transaction() as connection:
            return bool(connection.execute(due, {"id": session_id}).scalar_one())

    def add_evidence(self, session_id: str, rows: Sequence[Evidence], first: int = 0) -> None:
        """Store rows of a session at once, in their order, numbered from ``first``; rows that are there stay."""
        if not rows:
            return
        stored = [
            {
                "session_id": session_id,
                "user_id": self.user_id,
                "n": n,
                "ref": row.ref,
                "tool": row.tool,
                "row": json.dumps(dict(row.row)),
                "sha": row.sha256,
            }
            for n, row in enumerate(rows, first)
        ]
        added = text(
            "INSERT INTO agents.evidence (session_id, user_id, n, ref, tool, row, row_sha256)"
            " VALUES (:session_id, :user_id, :n, :ref, :tool, CAST(:row AS jsonb), :sha) ON CONFLICT DO NOTHING"
        )
        with self.transaction() as connection:
            connection.execute(added, stored)

    def evidence(self, session_id: str) -> dict[str, Evidence]:
        """Return the rows of a session by their reference, in the order they were read; empty before retrieval."""
        wanted = text("SELECT ref, tool, row FROM agents.evidence WHERE session_id = :id ORDER BY n")
        with self.transaction() as connection:
            rows = connection.execute(wanted, {"id": session_id}).all()
        return {row.ref: Evidence(row.ref, row.tool, row.row) for row in rows}

    def counted_usd(self, session_id: str) -> Decimal:
        """Return what the calls of a session cost, or could have cost."""
        wanted = text("SELECT coalesce(sum(counted_usd), 0) FROM agents.model_spend WHERE session_id = :id")
        with self.transaction() as connection:
            return Decimal(connection.execute(wanted, {"id": session_id}).scalar_one())

    def remembered(self, session_id: str, request_sha256: str) -> Response | None:
        """Return what a model said to a question of this session, or None where it was not asked yet."""
        wanted = text("SELECT response FROM agents.model_call WHERE session_id = :id AND request_sha256 = :sha AND response IS NOT NULL")
        with self.transaction() as connection:
            row = connection.execute(wanted, {"id": session_id, "sha": request_sha256}).one_or_none()
        return from_document(row.response) if row else None

    def reserve(self, wanted: Reservation, caps: Caps) -> int:
        """Reserve the worst cost of a call and return the call's id; raises where a cap would be passed."""
        with self.transaction() as connection:
            return reserve(connection, wanted, caps)

    def close_call(self, call_id: int, outcome: Literal["failed", "unknown"], failure: str) -> None:
        """Close a reservation without an answer: ``failed`` cost nothing, ``unknown`` counts as spent."""
        with self.transaction() as connection:
            settle(connection, call_id, outcome, cost_usd=Decimal(0) if outcome == "failed" else None, failure=failure)

    def remember(
        self, session_id: str, request_sha256: str, model: str, request: Request, response: Response, call_id: int, cost_usd: Decimal
    ) -> None:
        """Store a question with its answer and settle its reservation, in one transaction; the first answer stays."""
        document = as_document(response)
        stored = text(
            "INSERT INTO agents.model_call (session_id, user_id, request_sha256, model, question, request, response, usage)"
            " VALUES (:id, :user, :sha, :model, :question, CAST(:request AS jsonb), CAST(:response AS jsonb), CAST(:usage AS jsonb))"
            " ON CONFLICT DO NOTHING"
        )
        values = {"id": session_id, "user": self.user_id, "sha": request_sha256, "model": model}
        values["question"] = request.question
        values |= {"request": json.dumps(request.as_document()), "response": json.dumps(document), "usage": json.dumps(document["usage"])}
        with self.transaction() as connection:
            connection.execute(stored, values)
            settle(connection, call_id, "settled", cost_usd=cost_usd, usage=response.usage, request_id=response.request_id)

    def publish(self, session: Session, brief: Brief, verification: Verification, circumstances: Circumstances) -> None:
        """Publish a brief with its claims and finish the session, in one transaction; a session that has a brief or was cancelled stays."""
        with self.transaction() as connection:
            if _is_unfinished(connection, session.session_id) and _insert_brief(connection, session, brief, verification, circumstances):
                _insert_claims(connection, session, verification)
            _set(
                connection,
                session.session_id,
                "status = 'published', finished_at = clock_timestamp(), detail = NULL, waiting_for = NULL, prompt = NULL",
            )

    def _update(self, session_id: str, change: str, **values: Any) -> None:
        with self.transaction() as connection:
            _set(connection, session_id, change, **values)


def _set(connection: Connection, session_id: str, change: str, **values: Any) -> None:
    unfinished = "NOT agents.is_finished(status)"
    connection.execute(text(f"UPDATE agents.session SET {change} WHERE session_id = :id AND {unfinished}"), {"id": session_id, **values})


def _is_unfinished(connection: Connection, session_id: str) -> bool:
    """Look under a lock, so that nobody cancels the session between this and its end."""
    wanted = text("SELECT NOT agents.is_finished(status) FROM agents.session WHERE session_id = :id FOR NO KEY UPDATE")
    return bool(connection.execute(wanted, {"id": session_id}).scalar_one_or_none())


def _insert_brief(connection: Connection, session: Session, brief: Brief, verification: Verification, circumstances: Circumstances) -> bool:
    inserted = text(
        "INSERT INTO agents.brief (brief_id, session_id, user_id, source, event_id, profile, alert_threshold, remarks, title, body,"
        " dropped, event_recorded_at) VALUES (:id, :id, :user, :source, :event_id, :profile, :alert_threshold, :remarks, :title, :body,"
        " :dropped, :event_recorded_at)"
        " ON CONFLICT DO NOTHING RETURNING brief_id"
    )
    values: Mapping[str, Any] = {
        "id": session.session_id,
        "user": session.user_id,
        "source": session.source,
        "event_id": session.event_id,
        "profile": circumstances.profile,
        "alert_threshold": circumstances.threshold,
        "remarks": list(circumstances.remarks),
        "title": brief.title,
        "body": brief.body,
        "dropped": sum(verification.dropped.values()),
        "event_recorded_at": session.event_recorded_at,
    }
    return connection.execute(inserted, values).one_or_none() is not None


def _insert_claims(connection: Connection, session: Session, verification: Verification) -> None:
    inserted = text(
        "INSERT INTO agents.claim (brief_id, user_id, n, text, kind, ref, base_ref, field, value, verified)"
        " VALUES (:id, :user, :n, :text, :kind, :ref, :base_ref, :field, :value, true)"
    )
    owned = {"id": session.session_id, "user": session.user_id}
    connection.execute(inserted, [{**owned, "n": n, **vars(claim)} for n, claim in enumerate(verification.claims, 1)])
