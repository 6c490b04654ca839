"""What became of the rows that a brief cites: a later version, or none, and what its claims would say today. Reads as the reader role."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, text

from omc_agents.claims.evidence import Evidence, json_value
from omc_agents.claims.fields import read_field
from omc_agents.claims.kinds import KINDS, change_pct
from omc_agents.claims.proof import Proof, ProofClaim
from omc_agents.claims.verify import Draft, Refusal, verified
from omc_infra.postgres.database import Database
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.reader import UnreadableDocumentError, read_document
from omc_pipeline.documents.verify import refusal
from omc_pipeline.ledgers.catalyst import DOCUMENT
from omc_pipeline.ledgers.comments import LEDGER_TABLES
from omc_pipeline.ledgers.table import LedgerTable

State = Literal["same", "restated", "removed"]
_CONTENT = """
SELECT content FROM catalyst.document WHERE source = :source AND event_id = :event_id AND name = :name ORDER BY version DESC LIMIT 1
"""
_TABLES = {table.qualified: table for table in LEDGER_TABLES}
"""The tables with versions; a score of quality is written once."""


@dataclass(frozen=True)
class ClaimToday:
    """One claim of a brief, and what its rows say now.

    Attributes:
        after: The sentence of today's rows; None where a row was removed, or no longer supports a sentence of the kind.
    """

    n: int
    state: State
    ref: str
    base_ref: str | None
    before: str
    after: str | None


def claims_today(database: Database, proof: Proof) -> list[ClaimToday]:
    """Return the claims of a brief in their order, each with what its rows say now."""
    before = {row.ref: Evidence(row.ref, row.tool, row.row) for row in proof.rows}
    cited = {ref for claim in proof.claims for ref in (claim.ref, claim.base_ref) if ref}
    with database.engine("reader").connect() as connection:
        now = {**before, **{ref: _today(connection, before[ref]) for ref in sorted(cited)}}
    present = {ref: row for ref, row in now.items() if row is not None}
    return [_claim_today(n, claim, before, present, proof.event_ref) for n, claim in enumerate(proof.claims, 1)]


def restated_of(claims: Iterable[ClaimToday]) -> list[int]:
    """Return the numbers of the claims that no longer stand as they were published."""
    return [claim.n for claim in claims if claim.state != "same"]


def _today(connection: Connection, cited: Evidence) -> Evidence | None:
    """Return the newest version of a row under the reference that the brief cites, or None where no version is left."""
    table = _TABLES.get(cited.table)
    if table is None:
        return cited
    if table == DOCUMENT and "fact" in cited.row:
        return _fact_today(connection, cited)
    newest = connection.execute(text(_newest(table)), {"row": json.dumps(dict(cited.row))}).mappings().one_or_none()
    if newest is None:
        return None
    return Evidence(cited.ref, cited.tool, {name: json_value(value) for name, value in newest.items()})


def _fact_today(connection: Connection, cited: Evidence) -> Evidence | None:
    """Return a fact of a document as cited while the newest version of the document bears it, else without its value; None without text."""
    row = cited.row
    named = {name: row[name] for name in ("source", "event_id", "name")}
    content = connection.execute(text(_CONTENT), named).scalar_one_or_none()
    if content is None:
        return None
    if hashlib.sha256(content.encode()).hexdigest() == row["content_sha256"]:
        return cited
    stated = {name: row[name] for name in ("subject", "value", "unit", "passage", "literal", "negated")}
    fact = DocumentFact(kind=row["fact"], period=row.get("period", ""), modality=row.get("modality"), **stated)
    try:
        still_stands = refusal(replace(fact, passage=0), read_document(content.encode())) is None
    except UnreadableDocumentError:
        return None
    return cited if still_stands else replace(cited, row={name: value for name, value in row.items() if name != "value"})


def _newest(table: LedgerTable) -> str:
    same = " AND ".join(f"fact.{column} = cited.{column}" for column in table.identity)
    return (
        f"SELECT fact.* FROM {table.qualified} AS fact,"
        f" jsonb_populate_record(CAST(NULL AS {table.qualified}), CAST(:row AS jsonb)) AS cited WHERE {same}"
        " ORDER BY fact.version DESC LIMIT 1"
    )


def _claim_today(n: int, claim: ProofClaim, before: Mapping[str, Evidence], now: Mapping[str, Evidence], event_ref: str) -> ClaimToday:
    refs = [ref for ref in (claim.ref, claim.base_ref) if ref]
    if any(ref not in now for ref in refs):
        return ClaimToday(n, "removed", claim.ref, claim.base_ref, claim.text, None)
    after = _sentence(claim, now, event_ref)
    is_same = after == claim.text and all(_facts(before[ref]) == _facts(now[ref]) for ref in refs)
    return ClaimToday(n, "same" if is_same else "restated", claim.ref, claim.base_ref, claim.text, after)


def _facts(row: Evidence) -> Mapping[str, Any]:
    table = _TABLES.get(row.table)
    return row.row if table is None else {name: row.row.get(name) for name in table.fields}


def _sentence(claim: ProofClaim, now: Mapping[str, Evidence], event_ref: str) -> str | None:
    table, row = KINDS[claim.kind].table, now[claim.ref].row
    value = change_pct(table, claim.field, row, now[claim.base_ref].row) if claim.base_ref else read_field(table, claim.field, row)
    if value is None:
        return None
    try:
        return verified(Draft(claim.kind, claim.ref, claim.field, str(json_value(value)), claim.base_ref), now, event_ref).text
    except Refusal:
        return None
