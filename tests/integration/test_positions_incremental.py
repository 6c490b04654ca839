"""However fills arrive, the kept rows are those of the engine run once over all of them: batches, late fills, corrections, any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append
from omc_pipeline.pnl.amounts import exact_units
from omc_pipeline.pnl.compute import compute
from omc_pipeline.pnl.expand import expand
from omc_pipeline.pnl.fill import Fill as Told
from omc_pipeline.pnl.fill import Rate
from omc_pipeline.pnl.policy import METHOD_NAMES, LotPolicy, Method
from omc_pipeline.pnl.result import PositionResult
from omc_pipeline.positions import compute_positions, conservation_findings, exceptions, summary

T0 = datetime(2026, 1, 28, 22, tzinfo=UTC)
D = Decimal
NUMBERS = count(1)
QUOTED = {"BTC": D(50_000), "ETH": D(3_000), "BNB": D(900), "USD": D("1.5")}

amounts = st.one_of(st.integers(1, 40).map(lambda n: D(n) / 8), st.decimals("0.000000000000000001", 5, places=18))


@pytest.fixture(scope="module")
def quoted(database: Database) -> Database:
    """Answer the module's database with a quote every twelve hours, always the same, so that a rate does not depend on its time."""
    times = [T0 - timedelta(days=1) + timedelta(hours=12 * n) for n in range(240)]
    store(database, *(Quote(coin, "AUD", at, price, price, price) for coin, price in QUOTED.items() for at in times))
    return database


def store(database: Database, *rows: Row, source: str = "venue") -> None:
    with database.connect("writer") as connection:
        append(connection, source, rows, None)


@st.composite
def fills_of_a_user(draw: st.DrawFn, rich: bool = False) -> list[Fill]:
    user = f"u{next(NUMBERS)}"
    kinds = ("trade", "trade", "trade", "staking", "deposit", "withdrawal", "transfer") if rich else ("trade",)
    made: list[Fill] = []
    for number in range(draw(st.integers(2, 12))):
        qty, price = draw(amounts), draw(st.integers(1, 6).map(D))
        kind = draw(st.sampled_from(kinds))
        side = {"staking": "buy", "deposit": "buy", "withdrawal": "sell", "transfer": "sell"}.get(kind) or draw(st.sampled_from(("buy", "sell")))
        account = draw(st.sampled_from(("a", "b")))
        currency, fee_currency = (draw(st.sampled_from(("AUD", "AUD", "USD", "ETH"))), draw(st.sampled_from(("AUD", "BNB")))) if rich else ("AUD", "AUD")
        one = Fill(
            fill_id=f"{user}-{number:02d}", user_id=user, account_id=account, symbol="BTC", currency=currency, side=side, qty=qty,
            price=price if kind == "trade" else None, quote_amount=qty * price if kind == "trade" else None,
            fee=draw(st.sampled_from((D(0), D("0.01"), D("-0.003")))), fee_currency=fee_currency,
            executed_at=T0 + timedelta(hours=draw(st.integers(0, 24 * 80))), kind=kind, trade_id=f"{user}-m{number}" if kind == "transfer" else None,
        )  # fmt: skip
        made.append(one)
        if kind == "transfer" and draw(st.booleans()):
            there = replace(one, fill_id=f"{one.fill_id}-in", side="buy", account_id="b" if account == "a" else "a", fee=D(0))
            made.append(replace(there, executed_at=one.executed_at + timedelta(hours=draw(st.integers(0, 30)))))
    return made


def once(fills: Sequence[Fill], method: Method, lots: LotPolicy = "universal") -> Mapping[str, PositionResult]:
    told = [
        Told(f.fill_id, f.account_id, f.symbol, f.currency, f.side, f.qty, f.price, f.quote_amount, f.fee, f.fee_currency, f.executed_at,
             f.kind, f.trade_id)  # type: ignore[arg-type]
        for f in fills
    ]  # fmt: skip
    trades = expand(told, lambda _fill, coin: Rate(QUOTED[coin], ""), "AUD", lots=lots).trades
    return {position.symbol: position for position in compute(trades, method, "exclude", lots)}


def kept(database: Database, user: str, method: Method) -> dict[str, Any]:
    whose = (user, method)
    with database.connect("reader") as connection:
        matches = connection.execute(
            "SELECT symbol, sell_fill, lot_fill, qty, cost, proceeds, acquired_at, disposed_at, rule FROM pnl.live_match"
            " WHERE user_id = %s AND method = %s ORDER BY disposed_at, match_no", whose,
        ).fetchall()  # fmt: skip
        lots = connection.execute(
            "SELECT symbol, lot_fill, qty, cost FROM pnl.open_lot WHERE user_id = %s AND method = %s ORDER BY acquired_at, lot_fill", whose
        ).fetchall()
        positions = connection.execute(
            "SELECT symbol, bought_qty, bought, sold_qty, fees, income, proceeds, qty, open_cost FROM pnl.position"
            " WHERE user_id = %s AND method = %s AND trades > 0", whose,
        ).fetchall()  # fmt: skip
    return {
        "matches": [(row[0], *row[1:3], *map(exact_units, row[3:6]), *row[6:]) for row in matches],
        "lots": sorted((symbol, lot, exact_units(qty), exact_units(cost)) for symbol, lot, qty, cost in lots),
        "positions": {symbol: tuple(map(exact_units, numbers)) for symbol, *numbers in positions},
    }


def expected(positions: Mapping[str, PositionResult]) -> dict[str, Any]:
    return {
        "matches": [(p.symbol, *match) for p in positions.values() for match in p.matching.matches],
        "lots": sorted((p.symbol, lot.id, lot.qty, lot.cost) for p in positions.values() for lot in p.matching.open_lots),
        "positions": {p.symbol: (p.bought_qty, p.bought, p.sold_qty, p.fees, p.income, p.proceeds, p.qty, p.cost) for p in positions.values()},
    }


def expect_equal(database: Database, fills: Sequence[Fill], method: Method, lots: LotPolicy = "universal") -> None:
    user = fills[0].user_id
    ours, theirs = kept(database, user, method), expected(once(fills, method, lots))
    for document in (ours, theirs):
        document["matches"].sort(key=lambda match: (match[0], match[7]))
    assert ours == theirs
    assert conservation_findings(database, user, method) == []


few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@few
@given(data=st.data(), fills=fills_of_a_user(), method=st.sampled_from(METHOD_NAMES))
def test_fills_in_batches_in_any_order_come_out_as_all_at_once(quoted: Database, data: st.DataObject, fills: list[Fill], method: Method) -> None:
    arrived = data.draw(st.permutations(fills))
    batches = data.draw(st.integers(1, 4))

    for number in range(batches):
        store(quoted, *arrived[number::batches])
        compute_positions(quoted, fills[0].user_id, method)

    expect_equal(quoted, fills, method)


@few
@given(data=st.data(), fills=fills_of_a_user(rich=True), method=st.sampled_from(("fifo", "lifo", "hifo", "avg")), lots=st.sampled_from(("universal", "account")))
def test_so_do_transfers_income_deposits_and_coins_paid_with_coins(
    quoted: Database, data: st.DataObject, fills: list[Fill], method: Method, lots: LotPolicy
) -> None:
    arrived = data.draw(st.permutations(fills))
    batches = data.draw(st.integers(1, 3))

    for number in range(batches):
        store(quoted, *arrived[number::batches])
        compute_positions(quoted, fills[0].user_id, method, lot_policy=lots)

    expect_equal(quoted, fills, method, lots)


@few
@given(data=st.data(), fills=fills_of_a_user(), method=st.sampled_from(METHOD_NAMES))
def test_a_corrected_fill_is_as_if_it_had_been_told_right_at_first(quoted: Database, data: st.DataObject, fills: list[Fill], method: Method) -> None:
    store(quoted, *fills)
    compute_positions(quoted, fills[0].user_id, method)
    at = data.draw(st.integers(0, len(fills) - 1))
    moved = fills[at].executed_at + timedelta(hours=data.draw(st.integers(-500, 500)))
    right = replace(fills[at], qty=data.draw(amounts), executed_at=moved, symbol=data.draw(st.sampled_from(("BTC", "ETH"))))

    store(quoted, right)
    compute_positions(quoted, fills[0].user_id, method)

    expect_equal(quoted, [*fills[:at], right, *fills[at + 1 :]], method)
