"""The scripted analyst: rules instead of a model, no network, the same answer for ever.

It speaks the neutral protocol like any other model and is held to the same checks: nothing it says is printed unverified.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omc_agents.claims.evidence import json_value
from omc_agents.claims.kinds import change_pct
from omc_agents.models.passages import document_of, stated_fact
from omc_agents.models.protocol import Request, Response, Text, Usage
from omc_infra.errors import BadInputError
from omc_pipeline.documents.rules import extract

_MOST_STATED = 12
Row = Mapping[str, Any]
Claims = list[dict[str, Any]]

_KINDS_BY_WORD = (
    ("acquisition", ("acquire", "purchase", "bought", "buys")),
    ("financing", ("offering", "notes", "convertible", "debt", "shares")),
    ("results", ("results", "quarter", "annual", "10-k", "10-q")),
    ("holdings", ("holdings", "trust", "nport", "bitcoin", "ether")),
)


class ScriptedAnalyst:
    """Rules for each of the workflow's questions."""

    name = "scripted/analyst-1"

    def complete(self, request: Request) -> Response:
        """Return ``extraction``, ``reading`` or ``analysis``.

        Raises:
            BadInputError: The question is neither.
        """
        rules = {"extraction": extraction, "reading": reading, "analysis": analysis}
        rule = rules.get(str(request.output_schema.get("title")))
        if rule is None:
            raise BadInputError(
                f"the scripted analyst knows no question {request.output_schema.get('title')!r}; ask one of {sorted(rules)}"
            )
        question = "".join(block.text for turn in request.turns for block in turn.blocks if isinstance(block, Text))
        answer = json.dumps(rule(json.loads(question)), sort_keys=True)
        digest = hashlib.sha256(answer.encode()).hexdigest()
        usage = Usage(input=len(question) // 4, output=len(answer) // 4)
        return Response((Text(answer),), "end", usage, self.name, f"scripted-{digest[:16]}", digest)


def extraction(question: Mapping[str, Any]) -> dict[str, Any]:
    """Classify outside text by its words."""
    words = " ".join(str(envelope["text"]) for envelope in question["envelopes"]).lower()
    kind = next((name for name, marks in _KINDS_BY_WORD if any(mark in words for mark in marks)), "other")
    material = {"acquisition": "high", "financing": "high", "results": "medium"}.get(kind, "low")
    return {"event_kind": kind, "materiality": material, "direction": "unknown"}


def reading(question: Mapping[str, Any]) -> dict[str, Any]:
    """State the facts that fixed rules find in the passages of a document."""
    facts = extract(document_of(question["passages"]))
    return {"facts": [stated_fact(fact) for fact in facts]}


def analysis(question: Mapping[str, Any]) -> dict[str, Any]:
    """Draft claims from the rows, one rule after the other; a rule without its rows drafts none."""
    rows: Sequence[Row] = question["rows"]
    claims: Claims = []
    for rule in _RULES:
        claims.extend(rule(question, rows))
    return {"claims": claims}


def _event(question: Row, rows: Sequence[Row]) -> Claims:
    return [_claim("event_filed", row, "published_at") for row in rows if row["ref"] == question["event_ref"]]


def _stated(_question: Row, rows: Sequence[Row]) -> Claims:
    """Tell what the event's documents say, in their order."""
    return [_claim("document_fact", row, "value") for row in rows if row["table"] == "catalyst.document" and _tells(row)][:_MOST_STATED]


def _tells(row: Row) -> bool:
    return {"fact", "value", "unit"} <= set(row["fields"])


def _price(_question: Row, rows: Sequence[Row]) -> Claims:
    quotes = _newest_first(rows, "exchange.quote")
    if not quotes:
        return []
    newest, oldest = quotes[0], quotes[-1]
    claims = [_claim("quote", newest, "last")]
    moved = change_pct("exchange.quote", "last", newest["fields"], oldest["fields"])
    if moved is not None and newest["ref"] != oldest["ref"]:
        claims.append(_claim("price_change", newest, "last", value=str(json_value(moved)), base_ref=oldest["ref"]))
    return claims


def _first_of(kind: str, table: str, field: str) -> Callable[[Row, Sequence[Row]], Claims]:
    def rule(question: Row, rows: Sequence[Row]) -> Claims:
        found = [row for row in _newest_first(rows, table) if row["ref"] != question["event_ref"]]
        return [_claim(kind, found[0], field)] if found else []

    return rule


_RULES: Sequence[Callable[[Row, Sequence[Row]], Claims]] = (
    _event,
    _stated,
    _price,
    _first_of("price_usd", "glass.coin_price", "price_usd"),
    _first_of("sentiment", "human.sentiment", "score"),
    _first_of("tvl", "glass.protocol_tvl", "tvl_usd"),
    _first_of("related_event", "catalyst.event", "published_at"),
)


def _newest_first(rows: Sequence[Row], table: str) -> list[Row]:
    clock = "published_at" if table == "catalyst.event" else "observed_at"
    found = [row for row in rows if row["table"] == table and clock in row["fields"]]
    return sorted(found, key=lambda row: str(row["fields"][clock]), reverse=True)


def _claim(kind: str, row: Row, field: str, *, value: str | None = None, base_ref: str | None = None) -> dict[str, Any]:
    stated = row["fields"].get(field, "") if value is None else value
    return {"kind": kind, "ref": row["ref"], "field": field, "value": stated, "base_ref": base_ref}
