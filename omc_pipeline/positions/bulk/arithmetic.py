"""What a fill costs or brings once its fee is settled, for whole columns; compiled. It answers what ``pnl.expand`` answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from omc_pipeline.pnl.kernel.columns import Column, empty_column
from omc_pipeline.pnl.kernel.int128 import integer, load, store
from omc_pipeline.pnl.kernel.jit import compiled


def settled(
    is_sell: npt.NDArray[np.uint8], fee_in_coin: npt.NDArray[np.uint8], qty: Column, amount: Column, fee: Column, *, expensed: bool
) -> tuple[Column, Column, Column]:
    """Return units, money and the expensed fee of each fill.

    A fee in the coin itself changes the units and leaves the money; such fees are not for expensing here.
    """
    units, money, expense = (empty_column(len(qty)) for _ in range(3))
    _settle(is_sell, fee_in_coin, qty, amount, fee, expensed, units, money, expense)
    return units, money, expense


@compiled
def _settle(
    is_sell: npt.NDArray[np.uint8],
    fee_in_coin: npt.NDArray[np.uint8],
    qty: Column,
    amount: Column,
    fee: Column,
    expensed: bool,
    units: Column,
    money: Column,
    expense: Column,
) -> None:
    for row in range(len(is_sell)):
        traded, worth, paid, spent = load(qty, row), load(amount, row), load(fee, row), integer(0)
        signed = -paid if is_sell[row] == 1 else paid
        if fee_in_coin[row] == 1:
            traded = traded - signed
        elif expensed:
            spent = paid
        else:
            worth = worth + signed
        store(units, row, traded)
        store(money, row, worth)
        store(expense, row, spent)


@compiled
def negate(column: Column) -> None:
    """Change the sign of every value."""
    for row in range(len(column)):
        store(column, row, -load(column, row))
