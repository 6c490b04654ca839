"""Rows of CSV as programs write them, read without detours: a row that is written in any other way is left to ``reading``.

Both ways give the same trade, digit by digit; a property test holds them against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from omc_pipeline.pnl.amounts import DECIMALS, LIMIT, PRICE_DECIMALS, rounded_quotient
from omc_pipeline.pnl.document import REQUIRED
from omc_pipeline.pnl.policy import FeePolicy
from omc_pipeline.pnl.trade import Side, Trade

UsualRow = Callable[[Sequence[str]], Trade | None]
_COLUMNS = frozenset({*REQUIRED, "price", "fee"})
_NUMBER = re.compile(r"[0-9]{1,17}(?:\.[0-9]{1,18})?")
_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell", "BUY": "buy", "SELL": "sell", "Buy": "buy", "Sell": "sell"}
_POWERS = [10**power for power in range(PRICE_DECIMALS + 1)]
_TIME_LENGTH = len("2024-03-01T10:00:05Z")
_LONGEST = 100


def usual_row(columns: Sequence[str], currency: str, policy: FeePolicy) -> UsualRow | None:
    """Return what reads a usual row, or None where a file has columns that need more thought.

    Args:
        columns: Fields of the file, in its order.
        currency: Of the prices.
        policy: Where fees go.
    """
    if "price" not in columns or not _COLUMNS.issuperset(columns):
        return None
    at_id, at_time, at_symbol, at_side, at_qty, at_price = (
        columns.index(name) for name in ("id", "time", "symbol", "side", "qty", "price")
    )  # fmt: skip
    at_fee = columns.index("fee") if "fee" in columns else None
    is_expense = policy == "expense"
    matches, from_iso = _NUMBER.fullmatch, datetime.fromisoformat

    def read(cells: Sequence[str]) -> Trade | None:
        identity, written, symbol, qty, price = cells[at_id], cells[at_time], cells[at_symbol], cells[at_qty], cells[at_price]
        fee = "0" if at_fee is None else cells[at_fee]
        side = _SIDES.get(cells[at_side])
        if side is None or len(written) != _TIME_LENGTH or written[-1] != "Z" or not (matches(qty) and matches(price) and matches(fee)):
            return None
        if not (_is_usual(identity) and _is_usual(symbol)):
            return None
        try:
            time = from_iso(written)
        except ValueError:
            return None
        units, fee_units = _units(qty), _units(fee)
        whole, _, fraction = price.partition(".")
        digits, scale = int(whole + fraction), _POWERS[len(fraction)]
        charged = 0 if is_expense else fee_units
        money = rounded_quotient_of(units * digits + (charged if side == "buy" else -charged) * scale, scale)
        if not units or not -LIMIT < money < LIMIT:
            return None
        lot_price = digits * _POWERS[PRICE_DECIMALS - len(fraction)] if side == "buy" else 0
        return Trade(
            identity, symbol.upper(), currency, time.replace(tzinfo=UTC), side, units, money, lot_price, fee_units if is_expense else 0
        )  # fmt: skip

    return read


def rounded_quotient_of(numerator: int, denominator: int) -> int:
    """Divide half even, whatever the sign of the numerator."""
    return rounded_quotient(numerator, denominator) if numerator >= 0 else -rounded_quotient(-numerator, denominator)


def _units(number: str) -> int:
    whole, _, fraction = number.partition(".")
    scale: int = _POWERS[DECIMALS - len(fraction)]
    return int(whole + fraction) * scale


def _is_usual(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and text.isascii() and (text.isalnum() or (text.isprintable() and " " not in text))
