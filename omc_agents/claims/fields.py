"""The columns a model may see and a brief may print, and the shape their values must have.

What stands here is numbers, times and short codes. Titles, names and labels are outside text: they are never here, so no
template can print them and the analysing model never reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Value = Decimal | datetime | str
"""A column's value as it is compared: a number, a time (a date is its midnight), or a code."""


@dataclass(frozen=True)
class Shape:
    """Reads one column: ``kind`` is ``number``, ``time`` or ``code``; a code must match ``pattern`` from end to end."""

    kind: str
    pattern: str = ""

    def read(self, raw: object) -> Value | None:
        """Answer the value, or None where there is none or it has another shape."""
        if raw is None or isinstance(raw, bool):
            return None
        text = str(raw)
        if self.kind == "number":
            return _number(text)
        if self.kind == "time":
            return _time(text)
        return text if re.fullmatch(self.pattern, text, re.ASCII) else None


NUMBER = Shape("number")
TIME = Shape("time")
SYMBOL = Shape("code", r"[A-Z0-9]{1,12}")
TICKER = Shape("code", r"[A-Z0-9][A-Z0-9.-]{0,9}")
WORD = Shape("code", r"[a-z][a-z0-9_]{0,31}")
SLUG = Shape("code", r"[a-z0-9][a-z0-9.-]{0,39}")

FIELDS: Mapping[str, Mapping[str, Shape]] = {
    "catalyst.event": {
        "event_id": Shape("code", r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}"),
        "event_type": WORD,
        "form": Shape("code", r"[A-Z0-9][A-Z0-9 /.-]{0,15}"),
        "published_at": TIME,
        "symbol": SYMBOL,
        "ticker": TICKER,
    },
    "exchange.quote": {"symbol": SYMBOL, "currency": SYMBOL, "observed_at": TIME, "bid": NUMBER, "ask": NUMBER, "last": NUMBER},
    "exchange.fill": {
        "symbol": SYMBOL,
        "currency": SYMBOL,
        "side": WORD,
        "qty": NUMBER,
        "price": NUMBER,
        "fee": NUMBER,
        "executed_at": TIME,
    },
    "glass.coin_price": {"symbol": SYMBOL, "observed_at": TIME, "price_usd": NUMBER},
    "glass.protocol_tvl": {"protocol": SLUG, "observed_at": TIME, "tvl_usd": NUMBER},
    "human.sentiment": {"symbol": SYMBOL, "metric": WORD, "observed_at": TIME, "score": NUMBER},
    "quality.score": {
        "ledger": WORD,
        "overall_score": NUMBER,
        "completeness_score": NUMBER,
        "timeliness_score": NUMBER,
        "accuracy_score": NUMBER,
        "recorded_at": TIME,
    },
}


def read_field(table: str, field: str, row: Mapping[str, Any]) -> Value | None:
    """Answer one column's value, or None where it is not printable: unknown column, no value, another shape."""
    shape = FIELDS.get(table, {}).get(field)
    return shape.read(row.get(field)) if shape else None


def visible(table: str, row: Mapping[str, Any]) -> dict[str, str]:
    """Answer the columns of a row that a model may see, as it would have to repeat them."""
    return {name: str(row[name]) for name in FIELDS.get(table, {}) if read_field(table, name, row) is not None}


def read_claimed(table: str, field: str, claimed: str) -> Value | None:
    """Read a value as a model claims it, by the shape of the column it is said to stand in."""
    shape = FIELDS.get(table, {}).get(field)
    return shape.read(claimed) if shape else None


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC) if len(text) == len("2026-01-01") else None
    return moment.astimezone(UTC)
