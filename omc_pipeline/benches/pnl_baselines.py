"""What the kernel stands beside: the engine in Python integers, and the loop in ``Decimal`` that anyone would write first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from omc_pipeline.pnl.amounts import decimal_of
from omc_pipeline.pnl.methods import METHODS
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.trade import Trade

if TYPE_CHECKING:
    from omc_pipeline.pnl.result import Matching

NaiveFill = tuple[str, Decimal, Decimal, Decimal]
"""Side, quantity, money, price."""
_Pick = Callable[[list[list[Decimal]]], int]

_PICKS: dict[Method, _Pick] = {
    "fifo": lambda lots: 0,
    "lifo": lambda lots: len(lots) - 1,
    "hifo": lambda lots: max(range(len(lots)), key=lambda at: lots[at][2]),
}


def oracle(positions: Sequence[Sequence[Trade]], method: Method) -> list[Matching]:
    """Match by the engine in Python integers."""
    return [METHODS[method](trades, "exclude") for trades in positions]


def naive_fills(positions: Sequence[Sequence[Trade]]) -> list[list[NaiveFill]]:
    """Write trades as decimals."""
    return [[(t.side, decimal_of(t.qty), decimal_of(t.money), decimal_of(t.price)) for t in trades] for trades in positions]


def naive_gain(positions: Sequence[Sequence[NaiveFill]], method: Method) -> Decimal:
    """Add up gains in decimals of 28 digits: a list of lots, a cost a unit. Neither exact nor traceable; only here to be timed."""
    one = _naive_average if method == "avg" else _naive_lots
    return sum((one(fills, method) for fills in positions), Decimal(0))


def _naive_lots(fills: Sequence[NaiveFill], method: Method) -> Decimal:
    lots: list[list[Decimal]] = []
    gain, pick = Decimal(0), _PICKS[method]
    for side, qty, money, price in fills:
        if side == "buy":
            lots.append([qty, money / qty, price])
            continue
        need, brings = qty, money / qty
        while need and lots:
            at = pick(lots)
            taken = min(need, lots[at][0])
            gain += taken * (brings - lots[at][1])
            need -= taken
            lots[at][0] -= taken
            if not lots[at][0]:
                lots.pop(at)
    return gain


def _naive_average(fills: Sequence[NaiveFill], method: Method) -> Decimal:
    held, cost, gain = Decimal(0), Decimal(0), Decimal(0)
    for side, qty, money, _ in fills:
        if side == "buy":
            held, cost = held + qty, cost + money
        elif held:
            taken = min(qty, held)
            share = cost * taken / held
            gain += money * taken / qty - share
            held, cost = held - taken, cost - share
    return gain
