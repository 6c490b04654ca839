"""What a trade costs or brings once its fee is settled; rounded here, once a trade."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from omc_pipeline.pnl.amounts import rounded_units, total
from omc_pipeline.pnl.policy import FeePolicy
from omc_pipeline.pnl.trade import Side


class Settled(NamedTuple):
    """Money of a trade in units: its cost or proceeds, and the fee expensed beside it."""

    money: int
    fee: int


def settle(side: Side, notional: Decimal, fee: Decimal, policy: FeePolicy) -> Settled:
    """Put a fee where the policy wants it.

    Args:
        side: A fee adds to the cost of a buy and lowers the proceeds of a sell.
        notional: Value traded, before the fee, in the currency of the position.
        fee: In the same currency; negative is a rebate, larger than the notional makes proceeds negative.
        policy: Capitalise, or expense.

    Raises:
        ValueError: An amount reaches 1e20.
    """
    if policy == "expense":
        return Settled(rounded_units(notional), rounded_units(fee))
    return Settled(rounded_units(total(notional, fee if side == "buy" else -fee)), 0)
