"""The compiled kernel against the engine in Python integers: equal in every row and every bit, whatever is thrown at both."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import LIMIT, UNIT
from omc_pipeline.pnl.engine import match_lots
from omc_pipeline.pnl.kernel.choice import Engine
from omc_pipeline.pnl.kernel.columns import column_of, integers_of
from omc_pipeline.pnl.kernel.fills import fills_of, fills_of_trades
from omc_pipeline.pnl.kernel.matched import NO_LOT, POOL
from omc_pipeline.pnl.kernel.run import KERNEL_METHODS, match_fills
from omc_pipeline.pnl.methods import METHODS, QUEUES
from omc_pipeline.pnl.policy import Method, OversellPolicy
from omc_pipeline.pnl.result import Matching
from omc_pipeline.pnl.split import remaining_share
from omc_pipeline.pnl.trade import Trade

T0 = datetime(2026, 1, 1, tzinfo=UTC)
POLICIES: tuple[OversellPolicy, ...] = ("exclude", "zero_basis")
amounts = st.one_of(st.integers(0, 50), st.integers(1, 5 * UNIT), st.integers(1, 10**30))
money = st.one_of(st.integers(-(10**20), 10**20), st.integers(-(10**36), 10**36))
prices = st.one_of(st.integers(0, 4), st.integers(0, 10**56))
positions = st.lists(
    st.lists(
        st.tuples(st.sampled_from(("buy", "sell")), amounts, money, prices, st.sampled_from(("trade", "trade", "withdrawal"))), max_size=14
    ),
    max_size=6,
)


def trades_of(rows: Sequence[tuple[str, int, int, int, str]], position: int = 0) -> list[Trade]:
    """Write rows as the trades of a position, in their order; two at an instant."""
    return [
        Trade(
            f"{position}-{number}",
            "BTC",
            "AUD",
            T0 + timedelta(hours=number // 2),
            side,  # type: ignore[arg-type]
            qty,
            cash,
            price,
            kind=kind if side == "sell" else "trade",  # type: ignore[arg-type]
        )
        for number, (side, qty, cash, price, kind) in enumerate(rows)
    ]


def rows_of(matching: Matching) -> tuple[object, ...]:
    """Return everything a matching says, with the order of what has one."""
    return list(matching.matches), list(matching.open_lots), list(matching.realized.items()), list(matching.unmatched.items())


def expect_equal(given_positions: Sequence[Sequence[Trade]], method: Method, policy: OversellPolicy) -> Engine:
    engine = Engine("kernel")

    found = engine.match(given_positions, method, policy, "universal", lambda trades: METHODS[method](trades, policy))

    assert engine.used == "kernel", engine.reason
    assert [rows_of(matching) for matching in found] == [rows_of(METHODS[method](trades, policy)) for trades in given_positions]
    return engine


@pytest.mark.slow
@settings(max_examples=150)
@given(positions, st.sampled_from(KERNEL_METHODS), st.sampled_from(POLICIES))
def test_the_kernel_equals_the_oracle_in_every_row(
    rows: Sequence[Sequence[tuple[str, int, int, int, str]]], method: Method, policy: OversellPolicy
) -> None:
    expect_equal([trades_of(row, number) for number, row in enumerate(rows)], method, policy)


@pytest.mark.parametrize("method", KERNEL_METHODS)
@pytest.mark.parametrize("policy", POLICIES)
def test_thousands_of_fills_with_two_per_cent_oversells_equal_the_oracle(method: Method, policy: OversellPolicy) -> None:
    chance = random.Random(f"{method} {policy}")
    lots = [trades_of([_drawn(chance, *width) for _ in range(600)], number) for number, width in enumerate(_WIDTHS)]

    engine = expect_equal(lots, method, policy)

    assert engine.by_python == 0
    oversold = sum(len(METHODS[method](trades, policy).unmatched) for trades in lots)
    assert oversold > 0.01 * 600 * len(lots)


_WIDTHS = ((10**18, 10**22, 3), (10**30, 10**33, 10**30), (3, 10**12, 10**6), (10**26, 10**12, 2), (1, 5, 1))
"""Magnitudes of quantity, money and price: coins; 1e12 units; dust; a price of 1e-14; all but zero."""


def _drawn(chance: random.Random, qty: int, cash: int, price: int) -> tuple[str, int, int, int, str]:
    side = "buy" if chance.random() < 0.5 else "sell"
    below = -cash // 3 if chance.random() < 0.1 else 0
    return side, chance.randint(0, qty), chance.randint(below, cash), chance.randint(0, price), "trade"


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-LIMIT + 1, LIMIT - 1), st.integers(1, LIMIT - 1), st.data()), min_size=1, max_size=20))
def test_the_telescoping_split_is_exact_to_128_bits(splits: Sequence[tuple[int, int, st.DataObject]]) -> None:
    parts = [(whole, qty, data.draw(st.one_of(st.integers(0, qty), st.just(qty - 1)))) for whole, qty, data in splits]
    lots = [
        [("buy", qty, whole, 0, "trade"), ("sell", max(qty - left - 1, 0), 0, 0, "trade"), ("sell", qty - left and 1, 0, 0, "trade")]
        for whole, qty, left in parts
        if qty - left + qty < LIMIT
    ]
    kept = [left for whole, qty, left in parts if qty - left + qty < LIMIT]

    matched = match_fills(fills_of_trades([trades_of(row) for row in lots]), "fifo")

    assert not len(matched.beyond)
    costs = iter(integers_of(matched.open_lots.cost))
    for row, left in zip(lots, kept, strict=True):
        if left:
            assert next(costs) == remaining_share(row[0][2], left, row[0][1])


@pytest.mark.parametrize("method", KERNEL_METHODS)
def test_positions_whose_sums_reach_1e20_are_computed_in_python_integers_and_counted(method: Method) -> None:
    big = [("buy", LIMIT - 1, LIMIT - 1, 1, "trade"), ("sell", LIMIT - 1, 7 - LIMIT, 1, "trade")]
    small = [("buy", 3, 10, 1, "trade"), ("sell", 2, 10, 1, "trade")]

    engine = expect_equal([trades_of(big, 0), trades_of(small, 1), trades_of(big, 2)], method, "exclude")

    assert engine.by_python == 2


def test_sums_that_reach_1e20_get_no_rows_from_the_kernel_itself_and_are_named() -> None:
    half = LIMIT // 2
    columns = column_of([half, half - 1, half, half]), column_of([1, -1, half, -half])

    matched = match_fills(fills_of([0, 2, 4], [0, 0, 0, 0], *columns), "fifo")

    assert matched.beyond.tolist() == [1]
    assert matched.matches.ends.tolist() == [0, 0]
    assert matched.open_lots.lot.tolist() == [0, 1]


@pytest.mark.parametrize("method", KERNEL_METHODS)
def test_a_refused_sell_is_refused_in_the_words_of_the_oracle(method: Method) -> None:
    lots = [trades_of([("buy", 5, 5, 1, "trade")], 0), trades_of([("buy", 1, 1, 1, "trade"), ("sell", 2, 1, 1, "trade")], 1)]

    def by_oracle(trades: Sequence[Trade]) -> Matching:
        return METHODS[method](trades, "refuse")

    with pytest.raises(BadInputError) as oracle:
        by_oracle(lots[1])
    with pytest.raises(BadInputError) as kernel:
        Engine("kernel").match(lots, method, "refuse", "universal", by_oracle)
    assert str(kernel.value) == str(oracle.value)

    with pytest.raises(BadInputError, match="fill 2 sells more than was held"):
        match_fills(fills_of_trades(lots), method, "refuse")


@pytest.mark.parametrize("method", KERNEL_METHODS)
def test_a_position_carried_over_in_checkpoints_ends_as_in_one_run(method: Method) -> None:
    chance = random.Random(method)
    trades = trades_of([_drawn(chance, 10**19, 10**23, 5) for _ in range(400)])
    queue, at = QUEUES[method](), [0, *sorted(chance.sample(range(1, 400), 7)), 400]
    whole = match_fills(fills_of_trades([trades]), method)

    carried: list[tuple[int, int, int, int]] = []
    matches: list[tuple[int, ...]] = []
    for first, end in pairwise(at):
        match_lots(trades[first:end], queue, "exclude")
        rows = [(0, *lot) for lot in carried]
        rows += [(int(t.side == "sell"), t.qty, t.money, t.price, t.qty) for t in trades[first:end]]
        side, qty, cash, price, left = zip(*rows, strict=True)
        part = match_fills(fills_of([0, len(rows)], list(side), column_of(qty), column_of(cash), column_of(price), column_of(left)), method)
        opened = part.open_lots
        lots = zip(opened.lot.tolist(), integers_of(opened.of_qty), integers_of(opened.of_cost), integers_of(opened.qty), strict=True)
        carried = [(of_qty, of_cost, 0 if lot == POOL else price[lot], left) for lot, of_qty, of_cost, left in lots]
        matches += zip(*(integers_of(column) for column in part.matches[3:]), strict=True)

    assert matches == list(zip(*(integers_of(column) for column in whole.matches[3:]), strict=True))
    assert [lot[3] for lot in carried] == integers_of(whole.open_lots.qty) == [lot.qty for lot in queue.lots()]


@pytest.mark.parametrize("method", KERNEL_METHODS)
@pytest.mark.parametrize("policy", POLICIES)
def test_the_totals_of_a_position_are_the_sums_of_its_rows(method: Method, policy: OversellPolicy) -> None:
    chance = random.Random(0)
    lots = [trades_of([_drawn(chance, 10**18, 10**22, 9) for _ in range(50)], number) for number in range(4)]

    matched = match_fills(fills_of_trades(lots), method, policy)

    totals = [dict(zip(matched.totals._fields, row, strict=True)) for row in zip(*map(integers_of, matched.totals), strict=True)]
    for position, (trades, total) in enumerate(zip(lots, totals, strict=True)):
        oracle = METHODS[method](trades, policy)
        assert total == {
            "qty": sum(lot.qty for lot in oracle.open_lots),
            "cost": sum(lot.cost for lot in oracle.open_lots),
            "bought_qty": sum(t.qty for t in trades if t.side == "buy"),
            "bought": sum(t.money for t in trades if t.side == "buy"),
            "sold_qty": sum(t.qty for t in trades if t.side == "sell"),
            "unmatched_qty": sum(oracle.unmatched.values()),
            "proceeds": sum(match.proceeds for match in oracle.matches),
            "gain": sum(oracle.realized.values()),
        }, position


def test_half_a_million_buys_then_sells_of_one_coin_take_no_longer_for_each_than_a_tenth_of_them() -> None:
    def seconds(fills: int) -> float:
        sides = [0] * (fills // 2) + [1] * (fills // 2)
        columns = column_of([UNIT] * fills), column_of([3 * UNIT] * fills), column_of(list(range(fills)))
        given_fills = fills_of([0, fills], sides, *columns)
        times = []
        for _ in range(3):
            begun = time.process_time()
            matched = match_fills(given_fills, "fifo")
            times.append(time.process_time() - begun)
        assert len(matched.matches.sell) == fills // 2
        return min(times)

    assert seconds(500_000) < 10 * 4 * max(seconds(50_000), 0.002)


def test_lots_none_and_pool_are_told_apart() -> None:
    trades = trades_of([("buy", 2, 10, 0, "trade"), ("sell", 3, 9, 0, "trade")])

    average = match_fills(fills_of_trades([trades]), "avg", "zero_basis")
    fifo = match_fills(fills_of_trades([trades]), "fifo", "zero_basis")

    assert average.matches.lot.tolist() == [POOL, NO_LOT]
    assert fifo.matches.lot.tolist() == [0, NO_LOT]
    assert [integers_of(column) for column in fifo.matches[3:]] == [[2, 1], [10, 0], [6, 3], [-4, 3]]


def test_the_queue_of_each_method_has_a_compiled_form() -> None:
    assert set(KERNEL_METHODS) == set(QUEUES)
