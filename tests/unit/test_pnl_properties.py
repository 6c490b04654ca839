"""Laws of the engine on invented trades: conservation, order, splitting, and an independent reference in exact fractions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_pipeline.pnl.amounts import UNIT
from omc_pipeline.pnl.compute import compute
from omc_pipeline.pnl.conservation import conservation_findings
from omc_pipeline.pnl.mark import mark_positions
from omc_pipeline.pnl.policy import LEDGER_METHODS, METHOD_NAMES, Method, OversellPolicy
from omc_pipeline.pnl.trade import Trade, in_order

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LOT_METHODS: tuple[Method, ...] = ("fifo", "lifo", "hifo", "lofo")
amounts = st.one_of(st.integers(1, 50), st.integers(1, 5 * UNIT), st.integers(1, 10**30))


@st.composite
def trade_lists(draw: st.DrawFn, symbols: Sequence[str] = ("BTC",)) -> list[Trade]:
    count = draw(st.integers(1, 14))
    return [
        Trade(
            id=f"t{number}",
            symbol=draw(st.sampled_from(symbols)),
            currency="AUD",
            time=T0 + timedelta(hours=draw(st.integers(0, 24 * 60))),
            side=draw(st.sampled_from(("buy", "sell"))),
            qty=draw(amounts),
            money=draw(st.one_of(amounts, st.integers(-(10**19), 0))),
            price=draw(st.integers(0, 5)),
            fee=draw(st.integers(-5, 5)),
        )
        for number in range(count)
    ]


@given(trade_lists(("BTC", "ETH")), st.sampled_from(METHOD_NAMES), st.sampled_from(("exclude", "zero_basis")))
def test_what_was_bought_is_matched_or_open_in_units_and_in_money(trades: list[Trade], method: Method, policy: OversellPolicy) -> None:
    positions = compute(trades, method, policy)

    assert [finding for position in positions for finding in conservation_findings(position)] == []


@given(trade_lists(("BTC", "ETH")), st.sampled_from(METHOD_NAMES), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(trades: list[Trade], method: Method, random: Any) -> None:
    shuffled = random.sample(trades, len(trades))

    assert flat(compute(shuffled, method, "exclude")) == flat(compute(trades, method, "exclude"))


@given(trade_lists(("BTC", "ETH")), st.sampled_from(METHOD_NAMES), st.decimals(0, 10**6, places=12))
def test_realized_and_unrealized_are_proceeds_and_value_less_cost(trades: list[Trade], method: Method, price: Decimal) -> None:
    positions = compute(trades, method, "exclude")

    mark = mark_positions(positions, {"BTC": price, "ETH": price})

    assert mark.value is not None
    assert mark.unrealized is not None
    realized = sum(position.realized for position in positions)
    proceeds = sum(position.proceeds for position in positions)
    cost = sum(position.bought + position.fees for position in positions)
    assert realized + mark.unrealized == proceeds + mark.value - cost


@given(trade_lists(), st.sampled_from(LEDGER_METHODS), st.data())
def test_splitting_a_sell_in_two_changes_no_total(trades: list[Trade], method: Method, data: st.DataObject) -> None:
    sell = data.draw(st.sampled_from([trade for trade in trades if trade.side == "sell" and trade.qty > 1] or [None]))
    if sell is None:
        return
    part, brought = data.draw(st.integers(1, sell.qty - 1)), data.draw(st.integers(-5, 5))
    halves = [
        sell._replace(id=f"{sell.id}a", qty=part, money=brought),
        sell._replace(id=f"{sell.id}b", qty=sell.qty - part, money=sell.money - brought),
    ]

    (whole,) = compute(trades, method, "zero_basis")
    (split,) = compute([trade for trade in trades if trade is not sell] + halves, method, "zero_basis")

    assert (split.cost, split.qty, split.bought, split.proceeds, split.gains) == (
        whole.cost,
        whole.qty,
        whole.bought,
        whole.proceeds,
        whole.gains,
    )


@given(trade_lists(), st.sampled_from(METHOD_NAMES), st.data())
def test_splitting_a_buy_in_two_changes_no_total(trades: list[Trade], method: Method, data: st.DataObject) -> None:
    spot = 3  # cost in proportion to units: every share of it is a whole number, so nothing is rounded
    trades = [trade._replace(money=trade.qty * spot) if trade.side == "buy" else trade for trade in trades]
    buy = data.draw(st.sampled_from([trade for trade in trades if trade.side == "buy" and trade.qty > 1] or [None]))
    if buy is None:
        return
    part = data.draw(st.integers(1, buy.qty - 1))
    halves = [buy._replace(id=f"{buy.id}{half}", qty=qty, money=qty * spot) for half, qty in (("a", part), ("b", buy.qty - part))]

    (whole,) = compute(trades, method, "exclude")
    (split,) = compute([trade for trade in trades if trade is not buy] + halves, method, "exclude")

    assert (split.cost, split.qty, split.proceeds, split.gains) == (whole.cost, whole.qty, whole.proceeds, whole.gains)


@given(trade_lists(), st.sampled_from(LOT_METHODS))
def test_every_match_is_within_the_last_digit_of_an_exact_reference(trades: list[Trade], method: Method) -> None:
    (position,) = compute(trades, method, "exclude")

    exact, unmatched = exact_matches(in_order(trades), method)

    assert [(match.sell, match.lot, match.qty) for match in position.matching.matches] == [row[:3] for row in exact]
    assert position.matching.unmatched == unmatched
    for ours, (_, _, _, cost, proceeds) in zip(position.matching.matches, exact, strict=True):
        assert abs(ours.cost - cost) < 1
        assert abs(ours.proceeds - proceeds) < 1


@given(trade_lists())
def test_the_total_of_fifo_is_within_the_last_digit_of_an_exact_reference(trades: list[Trade]) -> None:
    trades = [trade for trade in trades if trade.side == "buy"] + [trade for trade in trades if trade.side == "sell"]
    (position,) = compute(trades, "fifo", "zero_basis")

    exact, _ = exact_matches(in_order(trades), "fifo")
    sold = sum(trade.money for trade in trades if trade.side == "sell")

    assert abs(position.gains - (sold - sum((cost for *_, cost, _ in exact), Fraction()))) < 1


@given(trade_lists())
def test_the_average_stays_within_a_digit_a_trade_of_an_exact_reference(trades: list[Trade]) -> None:
    (position,) = compute(trades, "avg", "exclude")

    assert abs(position.cost - exact_pool_cost(in_order(trades))) <= len(trades)


def exact_matches(trades: Sequence[Trade], method: Method) -> tuple[list[Any], dict[str, int]]:
    """Match by searching a list for the best lot each time: slow, plain and without any rounding."""
    best = {
        "fifo": lambda lots: 0,
        "lifo": lambda lots: len(lots) - 1,
        "hifo": lambda lots: max(range(len(lots)), key=lambda at: (lots[at][0].price, -at)),
        "lofo": lambda lots: min(range(len(lots)), key=lambda at: (lots[at][0].price, at)),
    }[method]
    lots: list[list[Any]] = []
    matches: list[Any] = []
    unmatched: dict[str, int] = defaultdict(int)
    for trade in trades:
        if trade.side == "buy":
            lots.append([trade, trade.qty])
            continue
        need = trade.qty
        while need and lots:
            at = best(lots)
            bought, have = lots[at]
            take = min(need, have)
            cost, proceeds = Fraction(bought.money * take, bought.qty), Fraction(trade.money * take, trade.qty)
            matches.append((trade.id, bought.id, take, cost, proceeds))
            need -= take
            lots[at][1] -= take
            if not lots[at][1]:
                del lots[at]
        if need:
            unmatched[trade.id] = need
    return matches, unmatched


def exact_pool_cost(trades: Sequence[Trade]) -> Fraction:
    qty, cost = 0, Fraction()
    for trade in trades:
        if trade.side == "buy":
            qty, cost = qty + trade.qty, cost + trade.money
        elif qty:
            left = max(qty - trade.qty, 0)
            qty, cost = left, cost * left / qty
    return cost


def flat(positions: Sequence[Any]) -> list[Any]:
    return [
        (p.symbol, list(p.matching.matches), p.matching.open_lots, p.matching.realized, p.matching.unmatched, p.bought, p.fees)
        for p in positions
    ]


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_no_trades_give_no_positions(method: Method) -> None:
    assert compute([], method, "exclude") == []
