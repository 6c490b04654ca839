"""A backfill through the kernel writes the rows that the Python engine writes: every match, lot, day, checkpoint and sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.write import append
from omc_pipeline.pnl.policy import FeePolicy, Method, OversellPolicy
from omc_pipeline.positions import compute_positions, conservation_findings, exceptions
from omc_pipeline.positions.basis import Batching
from omc_pipeline.positions.bulk.simple_coins import simple_coins

pytestmark = pytest.mark.slow

T0 = datetime(2026, 1, 30, 20, tzinfo=UTC)
D = Decimal
NUMBERS = count(1)
OWN_ACCOUNT = "split_part(account_id, ' ', 1)"
METHODS: tuple[Method, ...] = ("fifo", "lifo", "hifo", "lofo", "avg")
TABLES = {
    "lot_match": "match_no, account_id, sell_fill, lot_fill, qty, cost, proceeds, acquired_at, disposed_at, rule, sell_algorithm,"
    " lot_algorithm",
    "lot": "queue, acquired_at, lot_fill, rank, qty, cost, open_qty, open_cost",
    "daily": "day, trades, bought_qty, bought, sold_qty, matched_qty, unmatched_qty, proceeds, cost, fees, income",
    "checkpoint": "at, trades, last_at, bought_qty, bought, sold_qty, matched_qty, unmatched_qty, proceeds, cost, fees, income",
    "position": "trades, last_at, bought_qty, bought, sold_qty, matched_qty, unmatched_qty, proceeds, cost, fees, income, qty, open_cost",
}


TINY = st.decimals("0.000000000000000001", 3, places=18)


def _fill(draw: st.DrawFn, user: str, place: int) -> Fill:
    qty, price = (
        draw(st.one_of(st.integers(1, 40).map(lambda n: D(n) / 8), TINY)),
        draw(st.sampled_from((D("1.2E-11"), D(7), D("1234.567")))),
    )
    return Fill(
        fill_id=f"f{place:02d}é" if place % 5 == 0 else f"f{place:02d}",
        user_id=user,
        account_id=draw(st.sampled_from(("a", "bc"))),
        symbol=draw(st.sampled_from(("BTC", "ETH", "ÉTÉ"))),
        currency="AUD",
        side=draw(st.sampled_from(("buy", "buy", "sell"))),
        qty=qty,
        price=price,
        quote_amount=(qty * price).quantize(D("1e-18")),
        fee=draw(st.sampled_from((D(0), D("0.01"), D("-0.003")))) if qty > 1 else D(0),
        fee_currency="AUD",
        executed_at=T0 + timedelta(hours=draw(st.integers(0, 60))) * draw(st.sampled_from((1, 20))),
        algorithm_id=draw(st.sampled_from((None, "grid", "trend"))),
    )


@st.composite
def fills_of_users(draw: st.DrawFn) -> tuple[list[Fill], list[Fill]]:
    """Draw the same fills for two users."""
    number = next(NUMBERS)
    made = [_fill(draw, f"kernel{number}", place) for place in range(draw(st.integers(1, 24)))]
    if draw(st.booleans()):
        made = [replace(fill, fee_currency=fill.symbol) if fill.side == "buy" else fill for fill in made]
    return made, [replace(fill, user_id=f"python{number}") for fill in made]


def store(database: Database, fills: Sequence[Fill], source: str) -> None:
    """Store fills in accounts of their users' own, whose rows are compared without the user."""
    with database.connect("writer") as connection:
        append(connection, source, [replace(fill, account_id=f"{fill.account_id} {fill.user_id}") for fill in fills], None)


def rows(database: Database, user: str, table: str) -> list[Any]:
    with database.connect("reader") as connection:
        columns = ", ".join(f"t.{name.strip()}" for name in TABLES[table].split(",")).replace("t.account_id", OWN_ACCOUNT)
        join = "" if table == "position" else "JOIN pnl.position p USING (position_id)"
        symbol = "t.symbol" if table == "position" else "p.symbol"
        found = connection.execute(f"SELECT {symbol}, {columns} FROM pnl.{table} t {join} WHERE t.user_id = %s", (user,)).fetchall()
    return sorted(found, key=repr)  # a day has a row for each run


def restatements(database: Database, user: str) -> list[Any]:
    with database.connect("reader") as connection:
        query = (
            "SELECT p.symbol, r.from_at FROM pnl.restatement r JOIN pnl.position p USING (position_id) WHERE r.user_id = %s ORDER BY 1, 2"
        )
        return connection.execute(query, (user,)).fetchall()


def live_matches(database: Database, user: str) -> list[Any]:
    columns = "symbol, disposed_at, sell_fill, lot_fill, qty, cost, proceeds, acquired_at, rule, sell_algorithm, lot_algorithm"
    columns += f", {OWN_ACCOUNT}"
    with database.connect("reader") as connection:
        found = connection.execute(f"SELECT {columns} FROM pnl.live_match WHERE user_id = %s", (user,)).fetchall()
    return sorted(found, key=repr)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    users=fills_of_users(), method=st.sampled_from(METHODS), policy=st.sampled_from(("exclude", "zero_basis")), chunk=st.integers(1, 30),
    fees=st.sampled_from(("capitalise", "expense")), every=st.integers(1, 8),
)  # fmt: skip
def test_every_row_is_that_of_the_python_engine(
    database: Database,
    users: tuple[list[Fill], list[Fill]],
    method: Method,
    policy: OversellPolicy,
    chunk: int,
    fees: FeePolicy,
    every: int,
) -> None:
    for fills, backfill_fills in zip(users, (1, None), strict=True):
        store(database, fills, fills[0].user_id)
        batching = Batching(backfill_fills, chunk, every)
        compute_positions(database, fills[0].user_id, method, fees, policy, batching=batching)

    kernel, python = (fills[0].user_id for fills in users)
    for table in TABLES:
        if table == "checkpoint" and method == "avg":
            continue  # pools at a midnight are not among what the kernel gives; a replay starts at the beginning there
        assert rows(database, kernel, table) == rows(database, python, table), table
    assert conservation_findings(database, kernel, method) == []
    assert [
        (row.kind, row.fill, row.qty, row.occurred_at)
        for row in sorted(exceptions(database, kernel, method), key=lambda row: str(row.fill))
    ] == [
        (row.kind, row.fill, row.qty, row.occurred_at)
        for row in sorted(exceptions(database, python, method), key=lambda row: str(row.fill))
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_late_fill_after_a_backfill_is_restated_as_if_there_had_been_none(database: Database, method: Method) -> None:
    users = [f"late{kind}-{method}" for kind in ("kernel", "python")]
    for user, backfill_fills in zip(users, (1, None), strict=True):
        fills = [
            Fill(
                f"f{n:03d}", user, "a", "BTC", "AUD", "sell" if n % 3 == 2 else "buy", D(1 + n % 5), D(n % 7 + 1),
                D((1 + n % 5) * (n % 7 + 1)), D(0), "AUD", T0 + timedelta(hours=11 * n),
            )
            for n in range(120)
        ]  # fmt: skip
        store(database, fills, user)
        compute_positions(database, user, method, batching=Batching(backfill_fills, 17, 25))
        store(database, [replace(fills[0], fill_id="late", executed_at=T0 + timedelta(days=31, minutes=5))], user)
        compute_positions(database, user, method, batching=Batching(backfill_fills, 17, 25))
        assert conservation_findings(database, user, method) == []

    for table in ("position", "lot", "lot_match", "daily"):
        assert rows(database, users[0], table) == rows(database, users[1], table), table
    assert restatements(database, users[0]) == restatements(database, users[1])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(users=fills_of_users(), method=st.sampled_from(METHODS), policy=st.sampled_from(("exclude", "zero_basis")), data=st.data())
def test_late_fills_restated_through_the_kernel_write_what_the_python_engine_writes(
    database: Database, users: tuple[list[Fill], list[Fill]], method: Method, policy: OversellPolicy, data: st.DataObject
) -> None:
    late = data.draw(st.sets(st.integers(0, len(users[0]) - 1)))
    for fills, backfill_fills in zip(users, (1, None), strict=True):
        user, batching = fills[0].user_id, Batching(backfill_fills, 5, 4)
        for part in ([f for n, f in enumerate(fills) if n not in late], [f for n, f in enumerate(fills) if n in late]):
            store(database, part, user)
            compute_positions(database, user, method, oversell_policy=policy, batching=batching)
            assert conservation_findings(database, user, method) == []

    kernel, python = (fills[0].user_id for fills in users)
    for table in ("position", "lot", "daily"):
        assert rows(database, kernel, table) == rows(database, python, table), table
    assert live_matches(database, kernel) == live_matches(database, python)
    assert restatements(database, kernel) == restatements(database, python)
    found = [sorted((str(e.fill), e.kind, e.qty) for e in exceptions(database, user, method)) for user in (kernel, python)]
    assert found[0] == found[1]


def test_only_coins_that_are_bought_and_sold_for_money_and_touched_by_nothing_else_are_backfilled(database: Database) -> None:
    from omc_pipeline.positions.basis import Basis

    values = Fill("1", "mixed", "a", "AAA", "AUD", "buy", D(1), D(1), D(1), D(0), "AUD", T0)
    odd = [
        replace(values, fill_id="2", symbol="BBB", currency="CCC"),
        replace(values, fill_id="3", symbol="DDD", fee=D(1), fee_currency="EEE"),
        replace(values, fill_id="4", symbol="FFF", kind="staking"),
        replace(values, fill_id="5", symbol="GGG", fee=D("0.1"), fee_currency="GGG"),
        replace(values, fill_id="6", symbol="HHH", currency="USD"),
    ]
    store(database, [values, *odd], "mixed")
    coins = ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH"]

    with database.connect("reader") as connection:
        capitalised = simple_coins(connection, "mixed", Basis(), coins)
        expensed = simple_coins(connection, "mixed", Basis(fee_policy="expense"), coins)

    assert (capitalised, expensed) == (["AAA", "GGG"], ["AAA"])
    compute_positions(database, "mixed", batching=Batching(backfill_fills=1))
    assert conservation_findings(database, "mixed") == []


def test_a_sum_beyond_what_the_ledger_holds_is_refused_in_one_line(database: Database) -> None:
    huge = D("99999999999999999999")
    fills = [Fill(f"{n}", "huge", "a", "AAA", "AUD", "buy", huge, D(1), huge, D(0), "AUD", T0 + timedelta(days=n)) for n in range(3)]
    store(database, fills, "huge")

    for batching in (Batching(backfill_fills=1), Batching(backfill_fills=None)):
        with pytest.raises(BadInputError, match="1e20"):
            compute_positions(database, "huge", batching=batching)
