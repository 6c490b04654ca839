"""The scripted analyst: rules instead of a model, no network, the same answer for ever.

It speaks the neutral protocol like any other model and is held to the same checks: nothing it says is printed unverified.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
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
_UNUSUAL = (("return_z", Decimal(3)), ("volume_ratio", Decimal(2)))
"""From where on a day's change or volume is worth a claim."""


class ScriptedAnalyst:
    """Rules for each of the workflow's questions."""

    name = "scripted/analyst-1"

    def complete(self, request: Request) -> Response:
        """Return what the rules say to one of the workflow's questions.

        Raises:
            BadInputError: The question is none of them.
        """
        rules = {"extraction": extraction, "reading": reading, "analysis": analysis, "plan": plan, "answer": answer_claims,
                 "repair": repair}  # fmt: skip
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


def repair(_question: Mapping[str, Any]) -> dict[str, Any]:
    """Correct nothing: the rules said what the rows bear at first."""
    return {"claims": []}


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


def plan(question: Mapping[str, Any]) -> dict[str, Any]:
    """Choose topics and span by the words of a question; every coin that it names is meant."""
    words = " ".join(str(envelope["text"]) for envelope in question["envelopes"]).lower()
    topics = [topic for topic, marks in _TOPICS_BY_WORD if re.search(rf"\b(?:{'|'.join(marks)})\b", words)]
    if not topics and question["coins"]:
        topics = ["price"]
    span = next((span for span, marks in _SPANS_BY_WORD if re.search(rf"\b(?:{'|'.join(marks)})\b", words)), "24h")
    return {"coins": question["coins"], "topics": topics, "span": span}


def answer_claims(question: Mapping[str, Any]) -> dict[str, Any]:
    """Draft claims from the rows of a planned question, topic by topic."""
    rows: Sequence[Row] = question["rows"]
    return {"claims": [claim for topic in question["plan"]["topics"] for claim in _ANSWERS[topic](rows)][:_MOST_ANSWERED]}


def _prices(rows: Sequence[Row]) -> Claims:
    coins = dict.fromkeys(row["fields"]["symbol"] for row in rows if row["table"] in _PRICED and "symbol" in row["fields"])
    claims: Claims = []
    for coin in coins:
        of_coin = [row for row in rows if row["fields"].get("symbol") == coin]
        claims += _price({}, of_coin) + _candles({}, of_coin) + _indicators({}, of_coin)
        claims += _newest_of("price_usd", "glass.coin_price", "price_usd")(of_coin)
    return claims


def _newest_of(kind: str, table: str, field: str) -> Callable[[Sequence[Row]], Claims]:
    def rule(rows: Sequence[Row]) -> Claims:
        return [_claim(kind, row, field) for row in _newest_first(rows, table)[:1] if field in row["fields"]]

    return rule


def _each_of(kind: str, table: str, *fields: str) -> Callable[[Sequence[Row]], Claims]:
    def rule(rows: Sequence[Row]) -> Claims:
        return [_claim(kind, row, field) for row in rows if row["table"] == table for field in fields if field in row["fields"]]

    return rule


def _chain_rows(rows: Sequence[Row]) -> Claims:
    fees = _each_of("chain_block", "glass.chain_block", "base_fee_gwei", "transactions")(rows)
    return fees + _each_of("tvl", "glass.protocol_tvl", "tvl_usd")(rows)


def _judgements(rows: Sequence[Row]) -> Claims:
    checks = _each_of("check_score", "quality.check_result", "score")(rows)
    return checks + _each_of("ledger_quality", "quality.score", "overall_score")(rows)


_MOST_ANSWERED = 20
_PRICED = ("exchange.quote", "glass.coin_price")
_TOPICS_BY_WORD = (
    ("price", ("prices?", "worth", "trad(?:es?|ing)", "quotes?", "cost", "moved?", "moves", "up", "down", "performance")),
    ("sentiment", ("sentiment", "mood", "fear", "greed", "bullish", "bearish", "feel(?:ing)?")),
    ("events", ("events?", "filings?", "filed", "news", "catalysts?", "happened", "announce[a-z]*", "listings?", "delist[a-z]*")),
    ("orders", ("orders?", "trades", "fills?", "bought", "sold", "buys", "sells")),
    ("profit", ("profits?", "gains?", "pnl", "loss(?:es)?", "earn(?:ed|ings)?", "holdings?", "hold", "positions?", "portfolio")),
    ("chain", ("chains?", "gas", "fees?", "blocks?", "on-chain", "onchain", "tvl", "locked")),
    ("flows", ("flows?", "smart money", "whales?", "wallets?")),
    ("quality", ("quality", "trust", "reliable", "complete", "late", "stale")),
)
_SPANS_BY_WORD = (
    ("30d", ("months?", "30 days", "30d")),
    ("7d", ("weeks?", "7 days", "7d", "seven days")),
)
_ANSWERS: Mapping[str, Callable[[Sequence[Row]], Claims]] = {
    "price": _prices,
    "sentiment": _each_of("sentiment", "human.sentiment", "score"),
    "events": _each_of("event", "catalyst.event", "published_at"),
    "orders": _each_of("fill", "exchange.fill", "qty"),
    "profit": _each_of("position", "pnl.position", "realized", "unrealized", "qty"),
    "chain": _chain_rows,
    "flows": _each_of("smart_money_flow", "glass.smart_money_flow", "net_flow_24h_usd", "net_flow_7d_usd"),
    "quality": _judgements,
}


def _event(question: Row, rows: Sequence[Row]) -> Claims:
    return [_claim("event_filed", row, "published_at") for row in rows if row["ref"] == question["event_ref"]]


def _stated(_question: Row, rows: Sequence[Row]) -> Claims:
    """Tell what the event's documents say, in their order."""
    facts = [row for row in rows if row["table"] == "catalyst.document"]
    dates = [_claim("document_date", row, "moment") for row in facts if {"fact", "moment"} <= set(row["fields"])]
    return [*(_claim("document_fact", row, "value") for row in facts if _tells(row)), *dates][:_MOST_STATED]


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


def _candles(_question: Row, rows: Sequence[Row]) -> Claims:
    """Compare the newest candle of each series with each earlier one, the shortest span first."""
    series: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row["table"] == "glass.market_candle" and {"opened_at", "close"} <= set(row["fields"]):
            series.setdefault(tuple(row["fields"].get(name, "") for name in ("venue", "symbol", "currency", "interval")), []).append(row)
    claims: Claims = []
    for of_series in series.values():
        newest, *earlier = sorted(of_series, key=lambda row: str(row["fields"]["opened_at"]), reverse=True)
        for base in earlier:
            moved = change_pct("glass.market_candle", "close", newest["fields"], base["fields"])
            if moved is not None:
                claims.append(_claim("candle_change", newest, "close", value=str(json_value(moved)), base_ref=base["ref"]))
    return claims


def _studies(_question: Row, rows: Sequence[Row]) -> Claims:
    return [_claim("event_study", row, "mean_pct") for row in rows if row["table"] == "analysis.event_study"]


def _indicators(_question: Row, rows: Sequence[Row]) -> Claims:
    """State where the market of each coin stands, and what of its last day was unusual."""
    claims: Claims = []
    for row in (row for row in rows if row["table"] == "analysis.indicator"):
        fields = row["fields"]
        claims += [_claim("indicator", row, name) for name in ("rsi_14", "sma_50_pct") if name in fields]
        unusual = [name for name, least in _UNUSUAL if name in fields and abs(Decimal(fields[name])) >= least]
        claims += [_claim("indicator", row, name) for name in unusual]
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
    _candles,
    _studies,
    _indicators,
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
