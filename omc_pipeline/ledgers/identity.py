"""Ids of fills that depend on what happened and not on how it is written, nor on what a venue may tell later or otherwise.

Numbers are compared as numbers (``0.010`` is ``0.01``), markets as ``BTC/AUD``, times as instants in UTC. Price, amount and fee have no
part in a digest: one that is missing in a first answer and there in the next is a new version of the same fill. The migration that gave
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
    """Return the fill id of a venue that numbers its trades.

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
    """Return the fill id of a venue that gives none: a digest of what the fill moved, where and when, and its place (from 0) among such.

    Such fills have the same instant, so every window of whole days that holds one of them holds them all.
    """
    return "d-" + hashlib.sha256(f"{_moved_digest(fill)}#{occurrence}".encode()).hexdigest()[:_DIGITS]


def fact_digest(fill: Fill) -> str:
    """Return a sha256 over what happened on the account; the fill's id and its owner's name have no part in it."""
    value = (_number(fill.price), _number(fill.quote_amount), _number(fill.fee), fill.fee_currency)
    return hashlib.sha256("\x1f".join((_moved_digest(fill), *value)).encode()).hexdigest()


def with_digest_ids(fills: Sequence[Fill]) -> list[Fill]:
    """Return the fills of one answer with ids by ``digest_fill_id``, in the same order; the ids they had are ignored.

    Fills that moved the same at the same instant take their places by price, amount and fee, not by their order in the answer.
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
