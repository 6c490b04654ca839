"""The proof of a session's brief, and the recorded answers to write it again; reads as the reader role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from omc_agents.claims.evidence import Evidence
from omc_agents.claims.proof import FORMAT, Proof, ProofBrief, ProofClaim, ProofPlan, ProofRow, ProofSession, seal
from omc_agents.models.protocol import Response
from omc_agents.sessions.responses import from_document
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database

_SESSION = """
SELECT s.session_id, s.user_id, s.source, s.event_id, s.plan, s.trigger, s.model, s.as_of, s.status, s.detail,
       b.title, b.body, b.profile, b.alert_threshold, b.remarks, b.dropped
FROM agents.session s LEFT JOIN agents.brief b USING (session_id) WHERE s.session_id = :id
"""
_CLAIMS = "SELECT kind, ref, base_ref, field, value, text FROM agents.claim WHERE brief_id = :id ORDER BY n"
_EVIDENCE = "SELECT ref, tool, row, row_sha256 FROM agents.evidence WHERE session_id = :id ORDER BY n"
_ANALYSES = """
SELECT DISTINCT ON (question = 'repair') question, response FROM agents.model_call
WHERE session_id = :id AND question IN ('analysis', 'answer', 'repair') ORDER BY question = 'repair', recorded_at DESC
"""
_ALWAYS = "quality.score"
"""The table of the rows that a brief prints without a claim: how far its ledgers can be trusted."""


@dataclass(frozen=True)
class Recording:
    """What a published session was written from.

    Attributes:
        proof: With the rows that the brief needs only.
        evidence: All rows of the session by their reference.
        analysis: What the model answered; None where retention let go of it.
        repair: What it answered to the drafts that fell; None where it was not asked.
    """

    proof: Proof
    evidence: Mapping[str, Evidence]
    analysis: Response | None
    repair: Response | None = None


def recording_of(database: Database, session_id: str, alert_threshold: float) -> Recording:
    """Return what a session's brief was written from.

    Args:
        database: Where it stands.
        session_id: Of a published session.
        alert_threshold: For a brief that was published before briefs kept their own.

    Raises:
        BadInputError: There is no such session, or it has no brief.
    """
    with database.engine("reader").connect() as connection:
        found = _rows(connection, _SESSION, session_id)
        if not found:
            raise BadInputError(f"no session {session_id!r}; `omc agent sessions` lists them")
        if found[0]["body"] is None:
            raise BadInputError(f"session {session_id!r} has no brief: {found[0]['status']}")
        claims, rows = _rows(connection, _CLAIMS, session_id), _rows(connection, _EVIDENCE, session_id)
        calls = _rows(connection, _ANALYSES, session_id)
    evidence = {row["ref"]: Evidence(row["ref"], row["tool"], row["row"]) for row in rows}
    answers = {call["question"] == "repair": from_document(call["response"]) for call in calls if call["response"] is not None}
    return Recording(_proof(found[0], claims, rows, alert_threshold), evidence, answers.get(False), answers.get(True))


def _proof(found: Mapping[str, Any], claims: list[Mapping[str, Any]], rows: list[Mapping[str, Any]], threshold: float) -> Proof:
    planned: dict[str, Any] = {"plan": ProofPlan(**found["plan"])} if found["plan"] is not None else {}
    event_ref = "" if planned else rows[0]["ref"]
    wanted = {event_ref, *(claim[name] for claim in claims for name in ("ref", "base_ref"))}
    kept = [row for row in rows if row["ref"] in wanted or row["ref"].startswith(f"{_ALWAYS}/")]
    own = found["alert_threshold"]
    proof = Proof(
        format=FORMAT,
        session=ProofSession(
            **{name: found[name] for name in ("session_id", "user_id", "source", "event_id", "model")},
            as_of=found["as_of"].isoformat(),
            **planned,
        ),
        event_ref=event_ref,
        brief=ProofBrief(
            **{name: found[name] for name in ("title", "body", "profile", "dropped")},
            alert_threshold=threshold if own is None else own,
            remarks=found["remarks"] or [],
        ),
        claims=[ProofClaim(**claim) for claim in claims],
        rows=[ProofRow(ref=row["ref"], tool=row["tool"], row=row["row"], sha256=row["row_sha256"]) for row in kept],
        sha256="",
    )
    return seal(proof)


def _rows(connection: Connection, query: str, session_id: str) -> list[Mapping[str, Any]]:
    return [dict(row) for row in connection.execute(text(query), {"id": session_id}).mappings()]
