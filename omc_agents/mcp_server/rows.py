"""A row as a client sees it: reference, age, score of its ledger, and columns in which outside text is marked and cleaned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from omc_agents.claims.evidence import Evidence
from omc_agents.claims.safety import visible_text
from omc_agents.tools.positions import POSITIONS
from omc_pipeline.ledgers.candle import CANDLE
from omc_pipeline.ledgers.comments import LEDGER_TABLES

UNTRUSTED = "untrusted_text"
OUTSIDE_COLUMNS = frozenset(
    {"title", "issuer", "name", "label", "marks", "url", "category", "heading", "text", "literal", "subject", "detail"}
)
"""Columns whose words come from outside; any other value that is no code is marked, too."""
_LEFT_OUT = frozenset({"version", "payload_sha256", "row_sha256", "content_sha256", "user_id", "run_id", "mean_score"})
"""In the reference already, or of no use to a reader."""
_CODE = re.compile(r"[A-Za-z0-9+-][A-Za-z0-9_.:+/-]{0,79}", re.ASCII)
_LONGEST_TEXT = 600
_CLOCKS = {**{table.qualified: table.clock for table in (*LEDGER_TABLES, CANDLE)}, "quality.score": "recorded_at", POSITIONS: "computed_at"}
_OWN_LEDGER = {POSITIONS: "exchange"}
"""Ledger from which the rows of other schemas were computed."""


@dataclass(frozen=True)
class Seen:
    """A row that was read.

    Attributes:
        ref: Names the row and its version.
        ledger: Whose score says how far it can be trusted.
        at: When it was true, by its source's clock; None where no clock says it.
        row: Its columns as plain JSON values.
    """

    ref: str
    ledger: str
    at: datetime | None
    row: Mapping[str, Any]


def seen(evidence: Evidence) -> Seen:
    """Return a row of a ledger, of the scores or of the positions."""
    table, row = evidence.table, evidence.row
    ledger = row["ledger"] if table == "quality.score" else _OWN_LEDGER.get(table, table.partition(".")[0])
    return Seen(evidence.ref, ledger, datetime.fromisoformat(row[_CLOCKS[table]]), row)


def shown(each: Seen, as_of: datetime, scores: Mapping[str, float]) -> dict[str, Any]:
    """Return the JSON of a row; ``quality`` is null where its ledger has no score yet."""
    age_s = None if each.at is None else max(0, int((as_of - each.at).total_seconds()))
    columns = {name: _marked(name, value) for name, value in each.row.items() if value is not None and name not in _LEFT_OUT}
    return {"ref": each.ref, "age_s": age_s, "quality": scores.get(each.ledger), "row": columns}


def _marked(name: str, value: Any) -> Any:
    if not isinstance(value, str) or (name not in OUTSIDE_COLUMNS and _CODE.fullmatch(value)):
        return value
    return {UNTRUSTED: visible_text(value, limit=_LONGEST_TEXT)}
