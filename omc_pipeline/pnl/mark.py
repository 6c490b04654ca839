"""What open lots are worth at given prices, and what is gained with them; a coin without a price is worth unknown, not nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from omc_pipeline.pnl.amounts import decimal_of, product, rounded_units
from omc_pipeline.pnl.result import PnlException, PositionResult


@dataclass(frozen=True, slots=True)
class Mark:
    """Value and unrealized gain of everything held; both None where a held coin has no price."""

    value: int | None
    unrealized: int | None
    exceptions: Sequence[PnlException]


def mark_positions(positions: Sequence[PositionResult], prices: Mapping[str, Decimal]) -> Mark:
    """Value open lots by the price of their symbol, rounded half even once a position."""
    held = [position for position in positions if position.qty]
    missing = [missing_price(position.symbol, position.currency, position.qty) for position in held if position.symbol not in prices]
    if missing:
        return Mark(None, None, missing)
    value = sum(rounded_units(product(decimal_of(position.qty), prices[position.symbol])) for position in held)
    return Mark(value, value - sum(position.cost for position in held), ())


def missing_price(symbol: str, currency: str, qty: int) -> PnlException:
    """Report a coin that is held and cannot be valued."""
    return PnlException(
        "missing_price",
        symbol,
        None,
        qty,
        f"{symbol} is held and has no price{f' in {currency}' if currency else ''}; its value is unknown",
    )
