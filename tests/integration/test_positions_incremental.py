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
from structlog.testing import capture_logs

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append
from omc_pipeline.pnl.amounts import exact_units
from omc_pipeline.pnl.compute import compute
from omc_pipeline.pnl.expand import expand
from omc_pipeline.pnl.fill import Fill as Reported
from omc_pipeline.pnl.fill import Rate
from omc_pipeline.pnl.policy import LEDGER_METHODS, LotPolicy, Method
from omc_pipeline.pnl.result import PositionResult
from omc_pipeline.positions import (
    PositionsRun,
    compute_positions,
    conservation_findings,
    exceptions,
    resolve_exception,
    summary,
    value_positions,
)

T0 = datetime(2026, 1, 28, 22, tzinfo=UTC)
D = Decimal
NUMBERS = count(1)
QUOTED = {"BTC": D(50_000), "ETH": D(3_000), "BNB": D(900), "USD": D("1.5")}
SIDES = {"staking": "buy", "deposit": "buy", "withdrawal": "sell", "transfer": "sell"}
LOT_POLICY: tuple[LotPolicy, ...] = ("universal", "account")

amounts = st.one_of(st.integers(1, 40).map(lambda n: D(n) / 8), st.decimals("0.000000000000000001", 5, places=18))


@pytest.fixture(scope="module")
def quoted(database: Database) -> Database:
    """Return the module's database with a quote every twelve hours, always the same, so that a rate does not depend on its time."""
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
        side = SIDES.get(kind) or draw(st.sampled_from(("buy", "sell")))
        account = draw(st.sampled_from(("a", "b")))
        currency = draw(st.sampled_from(("AUD", "AUD", "USD", "ETH"))) if rich else "AUD"
        fee_currency = draw(st.sampled_from(("AUD", "BNB"))) if rich else "AUD"
        one = Fill(
            fill_id=f"{user}-{number:02d}", user_id=user, account_id=account, symbol="BTC", currency=currency, side=side, qty=qty,
            price=price if kind == "trade" else None, quote_amount=qty * price if kind == "trade" else None,
            fee=draw(st.sampled_from((D(0), D("0.01"), D("-0.003")))), fee_currency=fee_currency,
            executed_at=T0 + timedelta(hours=draw(st.integers(0, 24 * 80))), kind=kind,
            trade_id=f"{user}-m{number}" if kind == "transfer" else None,
        )  # fmt: skip
        made.append(one)
        if kind == "transfer" and draw(st.booleans()):
            there = replace(one, fill_id=f"{one.fill_id}-in", side="buy", account_id="b" if account == "a" else "a", fee=D(0))
            made.append(replace(there, executed_at=one.executed_at + timedelta(hours=draw(st.integers(0, 30)))))
    return made


def once(fills: Sequence[Fill], method: Method, lots: LotPolicy = "universal") -> Mapping[str, PositionResult]:
    details = [
        Reported(f.fill_id, f.account_id, f.symbol, f.currency, f.side, f.qty, f.price, f.quote_amount, f.fee, f.fee_currency,
            f.executed_at,
             f.kind, f.trade_id)  # type: ignore[arg-type]
        for f in fills
    ]  # fmt: skip
    trades = expand(details, lambda _fill, coin: Rate(QUOTED[coin], ""), "AUD", lots=lots).trades
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
        "positions": {
            p.symbol: (p.bought_qty, p.bought, p.sold_qty, p.fees, p.income, p.proceeds, p.qty, p.cost) for p in positions.values()
        },
    }


def expect_equal(database: Database, fills: Sequence[Fill], method: Method, lots: LotPolicy = "universal") -> None:
    user = fills[0].user_id
    ours, theirs = kept(database, user, method), expected(once(fills, method, lots))
    for document in (ours, theirs):
        document["matches"].sort(key=lambda match: (match[0], match[7]))
    assert ours == theirs
    assert conservation_findings(database, user, method) == []


def run(database: Database, user: str, method: Method = "fifo", lots: LotPolicy = "universal") -> PositionsRun:
    """Run, and see that no checkpoint had to be thrown away."""
    with capture_logs() as details:
        found = compute_positions(database, user, method, lot_policy=lots)
    assert details == []
    return found


few = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@few
@given(data=st.data(), fills=fills_of_a_user(), method=st.sampled_from(LEDGER_METHODS))
def test_fills_in_batches_in_any_order_come_out_as_all_at_once(
    quoted: Database, data: st.DataObject, fills: list[Fill], method: Method
) -> None:
    arrived = data.draw(st.permutations(fills))
    batches = data.draw(st.integers(1, 4))

    for number in range(batches):
        store(quoted, *arrived[number::batches])
        run(quoted, fills[0].user_id, method)

    expect_equal(quoted, fills, method)


@pytest.mark.slow
@few
@given(
    data=st.data(),
    fills=fills_of_a_user(rich=True),
    method=st.sampled_from(("fifo", "lifo", "hifo", "avg")),
    lots=st.sampled_from(LOT_POLICY),
)
def test_so_do_transfers_income_deposits_and_coins_paid_with_coins(
    quoted: Database, data: st.DataObject, fills: list[Fill], method: Method, lots: LotPolicy
) -> None:
    arrived = data.draw(st.permutations(fills))
    batches = data.draw(st.integers(1, 3))

    for number in range(batches):
        store(quoted, *arrived[number::batches])
        run(quoted, fills[0].user_id, method, lots)

    expect_equal(quoted, fills, method, lots)


@pytest.mark.slow
@few
@given(data=st.data(), fills=fills_of_a_user(), method=st.sampled_from(LEDGER_METHODS))
def test_a_corrected_fill_is_as_if_it_had_been_told_right_at_first(
    quoted: Database, data: st.DataObject, fills: list[Fill], method: Method
) -> None:
    store(quoted, *fills)
    run(quoted, fills[0].user_id, method)
    at = data.draw(st.integers(0, len(fills) - 1))
    moved = fills[at].executed_at + timedelta(hours=data.draw(st.integers(-500, 500)))
    right = replace(fills[at], qty=data.draw(amounts), executed_at=moved, symbol=data.draw(st.sampled_from(("BTC", "ETH"))))

    store(quoted, right)
    run(quoted, fills[0].user_id, method)

    expect_equal(quoted, [*fills[:at], right, *fills[at + 1 :]], method)


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    return request.node.name.removeprefix("test_")[:60]


def fill(user: str, number: int, side: str, qty: str, price: str | None, day: float, symbol: str = "BTC", **changes: Any) -> Fill:
    made = Fill(
        fill_id=f"{user}-{number}", user_id=user, account_id="main", symbol=symbol, currency="AUD", side=side, qty=D(qty),
        price=None if price is None else D(price), quote_amount=None if price is None else D(qty) * D(price), fee=D(0), fee_currency="AUD",
        executed_at=T0 + timedelta(days=day),
    )  # fmt: skip
    return replace(made, **changes)


def rows(database: Database, statement: str, *bound: Any) -> list[Any]:
    with database.connect("reader") as connection:
        return connection.execute(statement, bound).fetchall()


def standing(database: Database, user: str) -> list[tuple[str, str | None]]:
    return [(row.kind, row.fill) for row in exceptions(database, user) if row.resolved_at is None]


def test_a_run_writes_only_what_the_new_fill_changed(database: Database, user: str) -> None:
    store(database, *(fill(user, n, "buy", "1", "10", n) for n in range(20)), fill(user, 90, "sell", "2", "15", 30))
    first = run(database, user)

    store(database, fill(user, 91, "sell", "1", "20", 31))
    second = run(database, user)

    assert (first.matches, second.matches) == (2, 1)
    written = "SELECT count(*) FROM pnl.{} t JOIN pnl.position p USING (position_id) WHERE p.user_id = %s AND t.run_id = %s"
    tables = ("lot_match", "lot", "daily", "restatement")
    counts = {table: rows(database, written.format(table), user, second.run_id)[0][0] for table in tables}
    assert counts == {"lot_match": 1, "lot": 1, "daily": 1, "restatement": 0}
    assert summary(database, user).realized == 20


def test_a_late_fill_restates_from_the_first_match_that_differs_and_closed_days_get_rows_with_the_difference(
    database: Database, user: str
) -> None:
    buys = [fill(user, n, "buy", "1", str(100 + n), n) for n in range(3)]
    sells = [fill(user, 10 + n, "sell", "1", "200", 40 + n) for n in range(3)]
    store(database, *buys, *sells)
    run(database, user)
    days = "SELECT day, run_id, proceeds - cost FROM pnl.daily WHERE user_id = %s ORDER BY day, run_id"
    before = rows(database, days, user)

    store(database, fill(user, 5, "buy", "1", "50", 1.5))
    late = run(database, user)

    after = rows(database, days, user)
    assert [row for row in after if row in before] == before, "no row was edited"
    assert [row for row in after if row[1] == late.run_id and row[2]] == [((T0 + timedelta(days=42)).date(), late.run_id, D(52))]
    assert late.matches == 1, "the first two sells find the lots they had"
    assert rows(database, "SELECT from_at FROM pnl.restatement WHERE user_id = %s", user) == [(T0 + timedelta(days=42),)]
    assert rows(database, "SELECT count(*) FROM pnl.lot_match WHERE user_id = %s", user) == [(4,)], "the superseded match stays"
    assert summary(database, user).realized == 3 * 200 - 100 - 101 - 50


def test_a_replay_starts_at_the_checkpoint_before_the_late_fill(database: Database, user: str) -> None:
    fills = [fill(user, n, "sell" if n % 4 == 3 else "buy", "1", str(n + 1), 10 * n) for n in range(20)]
    store(database, *fills)
    run(database, user)
    checkpoints = "SELECT at, run_id FROM pnl.checkpoint WHERE user_id = %s ORDER BY at"
    before = rows(database, checkpoints, user)

    late = fill(user, 50, "buy", "1", "3", 95)
    store(database, late)
    second = run(database, user)

    kept_ones = [row for row in before if row[0] <= late.executed_at]
    assert len(before) >= 5
    assert kept_ones == [row for row in rows(database, checkpoints, user) if row[1] != second.run_id]
    anew = "SELECT min(acquired_at) FROM pnl.lot WHERE user_id = %s AND run_id = %s AND open_qty = qty"
    touched = rows(database, anew, user, second.run_id)
    assert touched[0][0] >= kept_ones[-1][0], "lots from before the checkpoint are not written anew"
    expect_equal(database, [*fills, late], "fifo")


def test_a_checkpoint_that_its_lots_contradict_is_thrown_away_and_all_is_replayed(database: Database, user: str) -> None:
    fills = [fill(user, n, "buy", "1", "10", 20 * n) for n in range(6)]
    store(database, *fills)
    run(database, user)
    with database.connect("writer") as connection:
        connection.execute("UPDATE pnl.lot SET open_qty = open_qty / 2 WHERE user_id = %s AND lot_fill = %s", (user, f"{user}-0"))

    late = fill(user, 50, "sell", "1", "3", 95)
    store(database, late)
    with capture_logs() as details:
        compute_positions(database, user)

    assert [line["log_level"] for line in details] == ["warning"]
    expect_equal(database, [*fills, late], "fifo")


def test_a_fill_without_a_rate_waits_for_one_and_makes_the_check_red_meanwhile(database: Database, user: str) -> None:
    odd = f"C{next(NUMBERS)}"
    store(database, fill(user, 1, "buy", "2", "7", 1, currency=odd), fill(user, 2, "buy", "1", "10", 2))
    run(database, user)
    assert standing(database, user) == [("missing_price", f"{user}-1")]
    assert [coin.symbol for coin in summary(database, user).by_symbol] == ["BTC"]

    store(database, Quote(odd, "AUD", T0 + timedelta(hours=20), D(3), D(3), None))
    settled = run(database, user)

    assert not settled.unchanged
    assert standing(database, user) == [("oversell", f"{user}-1")], "the coin paid with was never bought"
    assert {coin.symbol: coin.qty for coin in summary(database, user).by_symbol} == {"BTC": 3, odd: 0}
    assert summary(database, user).by_symbol[0].cost == 2 * 7 * 3 + 10


def test_a_better_quote_that_comes_later_does_not_rewrite_what_was_settled(database: Database, user: str) -> None:
    coin = f"C{next(NUMBERS)}"
    store(database, Quote(coin, "AUD", T0, D(3), D(3), None), fill(user, 1, "buy", "2", "7", 0.5, currency=coin))
    run(database, user)

    store(database, Quote(coin, "AUD", T0 + timedelta(hours=11), D(9), D(9), None), fill(user, 2, "buy", "1", "1", 0.1))
    run(database, user)

    assert summary(database, user).by_symbol[0].cost == 2 * 7 * 3 + 1
    kept_rates = rows(database, "SELECT coin, rate, rate_id FROM pnl.rate_use WHERE user_id = %s", user)
    assert [(found, rate, name.rpartition(" ")[0]) for found, rate, name in kept_rates] == [
        (coin, 3, f"exchange.quote venue {coin}/AUD {T0.isoformat()}")
    ]


def test_a_dollar_is_worth_what_a_coin_quoted_in_both_says(quoted: Database, user: str) -> None:
    from omc_pipeline.ledgers.glass import CoinPrice

    at = T0 + timedelta(days=200)
    store(quoted, Quote("BTC", "AUD", at, D(60_000), D(60_000), None), CoinPrice("BTC", at, D(40_000), None))
    store(quoted, fill(user, 1, "buy", "2", "100", 200.5, currency="USD"))

    run(quoted, user)

    assert summary(quoted, user).cost == 300
    ((rate_id,),) = rows(quoted, "SELECT rate_id FROM pnl.rate_use WHERE user_id = %s", user)
    assert "exchange.quote venue BTC/AUD" in rate_id
    assert "glass.coin_price venue BTC" in rate_id


def test_a_fill_told_by_two_sources_under_one_id_is_one_row(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "7", 1))
    run(database, user)

    store(database, fill(user, 1, "buy", "2", "7", 1), fill(user, 2, "buy", "1", "10", 2), source="file")
    run(database, user)
    store(database, fill(user, 3, "buy", "1", "10", 0.5))
    run(database, user)

    assert summary(database, user).cost == 2 * 7 + 10 + 10
    assert standing(database, user) == []
    assert rows(database, "SELECT count(*) FROM exchange.fill WHERE user_id = %s", user) == [(3,)]


def test_missing_history_clears_itself_when_the_missing_buy_arrives(database: Database, user: str) -> None:
    store(database, fill(user, 2, "sell", "1", "7", 2))
    run(database, user)
    assert standing(database, user) == [("oversell", f"{user}-2")]

    store(database, fill(user, 1, "buy", "1", "5", 1))
    run(database, user)

    assert standing(database, user) == []
    assert summary(database, user).realized == 2
    cleared = rows(database, "SELECT cleared_run IS NOT NULL, resolved_by FROM pnl.exception WHERE user_id = %s", user)
    assert cleared == [(True, None)]


def test_a_person_resolves_an_exception_once_with_name_and_reason_and_later_runs_leave_it(database: Database, user: str) -> None:
    store(database, fill(user, 2, "sell", "1", "7", 2))
    run(database, user)
    (found,) = exceptions(database, user)

    with pytest.raises(BadInputError, match="why"):
        resolve_exception(database, found.exception_id, "ada", " ")
    resolve_exception(database, found.exception_id, "ada", "a gift, nobody knows its cost")
    with pytest.raises(BadInputError, match="not open"):
        resolve_exception(database, found.exception_id, "bob", "again")
    store(database, fill(user, 1, "buy", "0.5", "5", 3))
    run(database, user, "fifo")

    (resolved,) = exceptions(database, user)
    assert (resolved.resolved_by, resolved.reason, resolved.is_red) == ("ada", "a gift, nobody knows its cost", False)
    assert resolved.resolved_at is not None


def test_another_lot_policy_replays_everything(database: Database, user: str) -> None:
    store(
        database,
        fill(user, 1, "buy", "1", "10", 1, account_id="a"),
        fill(user, 2, "buy", "1", "30", 2, account_id="b"),
        fill(user, 3, "sell", "1", "50", 3, account_id="b"),
    )

    run(database, user)
    assert summary(database, user).realized == 40
    run(database, user, lots="account")
    assert summary(database, user).realized == 20
    run(database, user)

    assert summary(database, user).realized == 40
    assert conservation_findings(database, user) == []


def test_gains_add_up_by_the_algorithm_that_bought_and_by_the_one_that_sold(database: Database, user: str) -> None:
    store(
        database,
        fill(user, 1, "buy", "1", "10", 1, algorithm_id="grid"),
        fill(user, 2, "buy", "1", "30", 2),
        fill(user, 3, "sell", "1.5", "50", 3, algorithm_id="trend"),
    )
    run(database, user)
    store(database, fill(user, 4, "sell", "0.5", "50", 4, algorithm_id="grid"))
    run(database, user)

    cut = "SELECT {0}_algorithm, sum(gain) FROM pnl.live_match WHERE user_id = %s GROUP BY 1 ORDER BY 1"
    assert rows(database, cut.format("lot"), user) == [("grid", 40), (None, 20)]
    assert rows(database, cut.format("sell"), user) == [("grid", 10), ("trend", 50)]


def test_unrealized_follows_a_new_quote_without_a_new_run(database: Database, user: str) -> None:
    coin = f"C{next(NUMBERS)}"
    store(database, fill(user, 1, "buy", "2", "7", 1, symbol=coin), Quote(coin, "AUD", T0, D(8), D(8), None))
    run(database, user)
    value_positions(database, user, T0)
    first = summary(database, user)

    store(database, Quote(coin, "AUD", T0 + timedelta(minutes=1), D(9), D(9), None))
    value_positions(database, user, T0)
    second = summary(database, user)
    store(database, fill(user, 2, "buy", "1", "7", 2, symbol=coin))
    run(database, user)

    assert (first.unrealized, second.unrealized, first.run_id) == (2, 4, second.run_id)
    assert summary(database, user).unrealized == 6, "new units count at the price that is known"
