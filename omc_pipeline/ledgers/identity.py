"""Ids of fills that depend only on what happened, not on formats or on values that a venue may add or change later.

Numbers are compared as numbers (``0.010`` is ``0.01``), markets as ``BTC/AUD``, times as instants in UTC. Price, amount and fee have no
part in a digest: if one is missing in a first answer and present in the next, it is a new version of the same fill. The migration that gave
stored fills these ids computes the same in SQL (``ledgers/migrations/b8001_fill_identity.py``), so neither can change alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from decimal import Decimal

from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.table import number_text

_DIGITS = 32


def venue_fill_id(trade_id: str, symbol: str | None = None, currency: str | None = None) -> str:
    """Return the fill id at a venue that has trade ids.

    Args:
        trade_id: As the venue writes it.
        symbol: Base of the market, canonical, where trade ids are unique only within a market.
        currency: Quote of the market, given with ``symbol``.

    Returns:
        ``trade_id`` itself, or ``BTC/AUD:trade_id``.

    Raises:
        ValueError: The trade id is empty.
    """
    name = trade_id.strip()
    if not name:
        raise ValueError("the trade id is empty")
    return name if symbol is None else f"{symbol}/{currency}:{name}"


def digest_fill_id(fill: Fill, occurrence: int = 0) -> str:
    """Return the fill id at a venue without trade ids: a digest of market, time and quantity, and its position (from 0) among equal fills.

    Equal fills have the same time, so every window of whole days contains either all or none of them.
    """
    return "d-" + hashlib.sha256(f"{_moved_digest(fill)}#{occurrence}".encode()).hexdigest()[:_DIGITS]


def fact_digest(fill: Fill) -> str:
    """Return a SHA-256 of the fill's facts, without its id and its owner."""
    value = (_number(fill.price), _number(fill.quote_amount), _number(fill.fee), fill.fee_currency)
    return hashlib.sha256("\x1f".join((_moved_digest(fill), *value)).encode()).hexdigest()


def with_digest_ids(fills: Sequence[Fill]) -> list[Fill]:
    """Return the fills of one answer with ids from ``digest_fill_id``, in the same order; existing ids are ignored.

    Equal fills get their positions by price, amount and fee, not by their order in the answer.
    """
    occurrences: Counter[str] = Counter()
    ids = dict[int, str]()
    for at in sorted(range(len(fills)), key=lambda at: _rank(fills[at])):
        digest = _moved_digest(fills[at])
        ids[at] = digest_fill_id(fills[at], occurrences[digest])
        occurrences[digest] += 1
    return [replace(fill, fill_id=ids[at]) for at, fill in enumerate(fills)]


def _moved_digest(fill: Fill) -> str:
    moved = (
        fill.account_id, fill.kind, fill.side, fill.symbol, fill.currency, _number(fill.qty),
        fill.executed_at.astimezone(UTC).isoformat(timespec="microseconds"),
    )  # fmt: skip
    return hashlib.sha256("\x1f".join(moved).encode()).hexdigest()


def _rank(fill: Fill) -> tuple[tuple[bool, Decimal], ...]:
    return tuple((value is None, value or Decimal(0)) for value in (fill.price, fill.quote_amount, fill.fee))


def _number(value: Decimal | None) -> str:
    return "" if value is None else number_text(value)
