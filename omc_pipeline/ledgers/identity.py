"""Ids of fills that depend on what happened and not on how it is written.

Numbers are compared as numbers (``95000.50`` is ``95000.5``), markets as ``BTC/AUD``, times as instants in UTC. The migration that
gave stored fills these ids computes the same in SQL (``ledgers/migrations/j0006b_fill_identity.py``), so neither can change alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
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
    """Return the fill id of a venue that gives none: a digest of the fill's facts, and its place (from 0) among equal fills.

    Equal fills have the same instant, so every window of whole days that holds one of them holds them all.
    """
    return "d-" + hashlib.sha256(f"{fact_digest(fill)}#{occurrence}".encode()).hexdigest()[:_DIGITS]


def fact_digest(fill: Fill) -> str:
    """Return a sha256 over what happened on the account; the fill's id and its owner's name have no part in it."""
    facts = (
        fill.account_id, fill.kind, fill.side, fill.symbol, fill.currency, _number(fill.qty), _number(fill.price),
        _number(fill.quote_amount), _number(fill.fee), fill.fee_currency,
        fill.executed_at.astimezone(UTC).isoformat(timespec="microseconds"),
    )  # fmt: skip
    return hashlib.sha256("\x1f".join(facts).encode()).hexdigest()


def with_digest_ids(fills: Iterable[Fill]) -> list[Fill]:
    """Return the fills of one answer with ids by ``digest_fill_id``, in the same order; the ids they had are ignored."""
    occurrences: Counter[str] = Counter()
    named = []
    for fill in fills:
        digest = fact_digest(fill)
        named.append(replace(fill, fill_id=digest_fill_id(fill, occurrences[digest])))
        occurrences[digest] += 1
    return named


def _number(value: Decimal | None) -> str:
    return "" if value is None else number_text(value)
