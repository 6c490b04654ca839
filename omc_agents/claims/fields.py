"""The columns a model may see and a brief may print, and the shape their values must have.

What stands here is numbers, times and short codes. Titles, names and labels are outside text: they are never here, so no
template can print them and the analysing model never reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from omc_agents.claims.vocabularies import DOCUMENT_STATES, EVENT_TYPES, FACTS, LEDGER_NAMES, METHODS, SENTIMENT_METRICS, SIDES
from omc_pipeline.documents.coins import coins_in
from omc_pipeline.documents.fact import MODALITIES
from omc_pipeline.ledgers.edgar import is_form
from omc_pipeline.quality.check import DIMENSIONS

Value = Decimal | datetime | str
"""A column's value as it is compared: a number, a time (a date is its midnight), or a code."""


@dataclass(frozen=True)
class Shape:
    """Reads one column.

    Attributes:
        kind: ``number``, ``time`` or ``code``.
        pattern: A code must match it from end to end.
        is_known: A code must pass it, too: its vocabulary.
    """

    kind: str
    pattern: str = ".+"
    is_known: Callable[[str], bool] = bool

    def read(self, raw: object) -> Value | None:
        """Return the value, or None where there is none or it has another shape."""
        if raw is None or isinstance(raw, bool):
            return None
        text = str(raw)
        if self.kind == "number":
            return _number(text)
        if self.kind == "time":
            return _time(text)
        return text if re.fullmatch(self.pattern, text, re.ASCII) and self.is_known(text) else None


def one_of(words: Collection[str]) -> Shape:
    """Return the shape of a column with a closed vocabulary."""
    return Shape("code", is_known=words.__contains__)


NUMBER = Shape("number")
TIME = Shape("time")
SYMBOL = Shape("code", r"[A-Z0-9]{1,10}")
TICKER = Shape("code", r"[A-Z]{1,5}(?:-[A-Z]{1,2})?")
"""As exchanges give them: up to five letters, and a class or a kind behind a hyphen."""
SLUG = Shape("code", r"[a-z0-9]{1,24}(?:-[a-z0-9]{1,16}){0,2}")
CHECKED = Shape("code", r"[a-z][a-z0-9_]{0,63}")
"""Name of a source or of a check, as the code that defines it gives it."""
EVENT_ID = Shape("code", r"(?:0x)?[0-9a-f]{1,64}|[0-9]+(?:-[0-9]+){1,4}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Numbers, accession numbers, digests, UUIDs: an id that can spell words is not printed."""

_CURRENCIES = frozenset({"USD", "AUD", "CAD", "CHF", "EUR", "GBP", "HKD", "JPY", "KRW", "SGD"})
_OTHER_UNITS = frozenset({"shares", "share", "%", "EH/s"})


def _is_unit(text: str) -> bool:
    """Whether each part of a unit is a currency, a coin that documents are read for, or a word of ours."""
    return all(part in _CURRENCIES | _OTHER_UNITS or coins_in(part) == (part,) for part in text.split(" per "))


UNIT = Shape("code", r"\S{1,10}(?: per \S{1,10})?", _is_unit)
"""A kind of fact may leave its unit open, so any word could be stated as one."""


def _is_subject(text: str) -> bool:
    return coins_in(text) == (text,) or re.fullmatch(r"[A-Z]{2,5}|(?:Convertible |Senior )*Notes due 20\d\d", text, re.ASCII) is not None


SUBJECT = Shape("code", is_known=_is_subject)
"""A coin, a ticker, or notes by their year; other subjects are words from outside."""
_MOST_PLACES = 40
"""On either side of the point: more than the ledgers store, and few enough to be written out."""
_DAY = r"\d{4}-\d\d-\d\d"
PERIOD = Shape("code", rf"(?:as of |week ending )?{_DAY}|{_DAY}/{_DAY}|\d{{4}}(?:-Q[1-4]|-\d\d)?")

FIELDS: Mapping[str, Mapping[str, Shape]] = {
    "catalyst.event": {
        "event_id": EVENT_ID,
        "event_type": one_of(EVENT_TYPES),
        "form": Shape("code", is_known=is_form),
        "published_at": TIME,
        "symbol": SYMBOL,
        "ticker": TICKER,
    },
    "catalyst.document": {
        "event_id": EVENT_ID,
        "event_type": one_of(EVENT_TYPES),
        "published_at": TIME,
        "ticker": TICKER,
        "fact": one_of(FACTS),
        "value": NUMBER,
        "moment": TIME,
        "unit": UNIT,
        "subject": SUBJECT,
        "period": PERIOD,
        "modality": one_of(MODALITIES),
        "state": one_of(DOCUMENT_STATES),
    },
    "exchange.quote": {"symbol": SYMBOL, "currency": SYMBOL, "observed_at": TIME, "bid": NUMBER, "ask": NUMBER, "last": NUMBER},
    "exchange.fill": {
        "symbol": SYMBOL,
        "currency": SYMBOL,
        "side": one_of(SIDES),
        "qty": NUMBER,
        "price": NUMBER,
        "fee": NUMBER,
        "executed_at": TIME,
    },
    "glass.market_candle": {
        "venue": SLUG,
        "symbol": SYMBOL,
        "currency": SYMBOL,
        "interval": Shape("code", r"[0-9]{1,2}[mhd]"),
        "opened_at": TIME,
        "close": NUMBER,
        "volume": NUMBER,
    },
    "quality.check_result": {
        "ledger": one_of(LEDGER_NAMES),
        "source": CHECKED,
        "name": CHECKED,
        "dimension": one_of(DIMENSIONS),
        "score": NUMBER,
        "rows": NUMBER,
        "recorded_at": TIME,
    },
    "analysis.event_study": {
        "symbol": SYMBOL,
        "event_type": one_of(EVENT_TYPES),
        "form": Shape("code", is_known=is_form),
        "ticker": TICKER,
        "venue": SLUG,
        "currency": SYMBOL,
        "through_days": NUMBER,
        "peers": NUMBER,
        "first_day": TIME,
        "last_day": TIME,
        "mean_pct": NUMBER,
        "low_pct": NUMBER,
        "high_pct": NUMBER,
        "volume_ratio": NUMBER,
    },
    "analysis.indicator": {
        "symbol": SYMBOL,
        "venue": SLUG,
        "currency": SYMBOL,
        "day": TIME,
        "days": NUMBER,
        "close": NUMBER,
        "rsi_14": NUMBER,
        "sma_20_pct": NUMBER,
        "sma_50_pct": NUMBER,
        "volatility_30_pct": NUMBER,
        "return_pct": NUMBER,
        "return_z": NUMBER,
        "volume_ratio": NUMBER,
    },
    "glass.coin_price": {"symbol": SYMBOL, "observed_at": TIME, "price_usd": NUMBER},
    "glass.protocol_tvl": {"protocol": SLUG, "observed_at": TIME, "tvl_usd": NUMBER},
    "glass.chain_block": {
        "chain": SLUG,
        "block_hash": EVENT_ID,
        "number": NUMBER,
        "observed_at": TIME,
        "base_fee_gwei": NUMBER,
        "transactions": NUMBER,
    },
    "glass.smart_money_flow": {
        "symbol": SYMBOL,
        "chain": SLUG,
        "observed_at": TIME,
        "net_flow_24h_usd": NUMBER,
        "net_flow_7d_usd": NUMBER,
        "net_flow_30d_usd": NUMBER,
    },
    "pnl.position": {
        "symbol": SYMBOL,
        "currency": SYMBOL,
        "method": one_of(METHODS),
        "qty": NUMBER,
        "open_cost": NUMBER,
        "realized": NUMBER,
        "value": NUMBER,
        "unrealized": NUMBER,
        "computed_at": TIME,
    },
    "human.sentiment": {"symbol": SYMBOL, "metric": one_of(SENTIMENT_METRICS), "observed_at": TIME, "score": NUMBER},
    "quality.score": {
        "ledger": one_of(LEDGER_NAMES),
        "overall_score": NUMBER,
        "completeness_score": NUMBER,
        "timeliness_score": NUMBER,
        "accuracy_score": NUMBER,
        "recorded_at": TIME,
    },
}


_IN_REFERENCES = ("event_id", "symbol", "currency", "protocol", "metric", "chain", "block_hash", "method", "venue", "interval")
"""Columns whose values stand in the reference of a row, which a brief prints behind each claim."""


def has_printable_reference(table: str, row: Mapping[str, Any]) -> bool:
    """Return whether every value that the reference of a row carries may be printed."""
    shapes = FIELDS.get(table, {})
    wanted = [name for name in _IN_REFERENCES if name in shapes and row.get(name) is not None]
    return all(read_field(table, name, row) is not None for name in wanted)


def read_field(table: str, field: str, row: Mapping[str, Any]) -> Value | None:
    """Return one column's value, or None where it is not printable: unknown column, no value, another shape."""
    shape = FIELDS.get(table, {}).get(field)
    return shape.read(row.get(field)) if shape else None


def visible(table: str, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns of a row that a model may see, as it would have to repeat them."""
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
    return number if number.is_finite() and abs(number.adjusted()) <= _MOST_PLACES else None


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC) if len(text) == len("2026-01-01") else None
    except (ValueError, OverflowError):  # at both ends of the calendar another zone's hour has no date in UTC
        return None
