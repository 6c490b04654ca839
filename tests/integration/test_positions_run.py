"""Positions of users on a real PostgreSQL: computed once, valued by quotes, and adding up to the last digit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from agent_sessions import token_of
from click.testing import CliRunner

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.commands.pnl import pnl
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append
from omc_pipeline.positions import compute_positions, conservation_findings, exceptions, summary, value_positions
from omc_pipeline.positions.report import report

T0 = datetime(2026, 1, 30, 12, tzinfo=UTC)
D = Decimal


@pytest.fixture
def user(database: Database, request: pytest.FixtureRequest) -> str:
    return request.node.name.removeprefix("test_")[:60]


def fill(user: str, number: int, side: str, qty: str, price: str, fee: str = "0", symbol: str = "BTC", **changes: Any) -> Fill:
    made = Fill(
        fill_id=f"{user}-{number}",
        user_id=user,
        account_id="main",
        symbol=symbol,
        currency="AUD",
        side=side,
        qty=D(qty),
        price=D(price),
        quote_amount=D(qty) * D(price),
        fee=D(fee),
        fee_currency="AUD",
        executed_at=T0 + timedelta(days=number),
    )
    return replace(made, **changes)


def store(database: Database, *rows: Row, source: str = "venue") -> None:
    with database.connect("writer") as connection:
        append(connection, source, rows, None)


def quote(symbol: str, bid: str | None, ask: str | None, last: str | None = None, at: datetime = T0 + timedelta(days=40)) -> Quote:
    return Quote(symbol, "AUD", at, *(None if number is None else D(number) for number in (bid, ask, last)))


def rows_of(database: Database, table: str, run_id: object) -> Sequence[Any]:
    with database.connect("reader") as connection:
        return connection.execute(f"SELECT * FROM pnl.{table} WHERE run_id = %s", (run_id,)).fetchall()


def kinds(database: Database, user: str) -> list[str]:
    return [row.kind for row in exceptions(database, user) if row.resolved_at is None]


def test_realized_and_unrealized_are_proceeds_and_value_less_cost_to_the_last_digit(database: Database, user: str) -> None:
    store(
        database,
        fill(user, 1, "buy", "3", "100", "0.3"),
        fill(user, 2, "buy", "0.7", "33.333333333333333333", "0.1"),
        fill(user, 3, "sell", "1", "110", "0.11"),
        fill(user, 4, "buy", "1000000", "0.000000012345", symbol="PEPE"),
        quote("BTC", "120", "120.000000000000000001"),
        quote("PEPE", None, None, "0.00000002"),
    )

    run = compute_positions(database, user)
    valuation = value_positions(database, user, T0 + timedelta(days=40))
    total = summary(database, user)

    assert (run.fills, run.matches, run.positions, run.exceptions, run.unchanged) == (4, 1, 2, 0, False)
    assert (valuation.valued, valuation.unpriced) == (2, ())
    assert total.identity_holds
    assert total.unrealized is not None
    assert total.value is not None
    assert total.realized + total.unrealized == total.proceeds + total.value - total.cost
    assert total.realized == D("109.89") - D("100.1")
    assert [(coin.symbol, coin.qty) for coin in total.by_symbol] == [("BTC", D("2.7")), ("PEPE", D(1000000))]
    assert conservation_findings(database, user) == []


def test_unchanged_fills_make_no_new_run_and_a_late_fill_makes_one(database: Database, user: str) -> None:
    store(database, fill(user, 2, "buy", "1", "100"), fill(user, 3, "sell", "1", "150"))

    first = compute_positions(database, user)
    again = compute_positions(database, user)
    store(database, fill(user, 1, "buy", "1", "80"))
    late = compute_positions(database, user)

    assert again.run_id == first.run_id
    assert again.unchanged
    assert (again.matches, again.positions) == (first.matches, first.positions)
    assert late.run_id != first.run_id
    assert summary(database, user).realized == 70
    assert len(rows_of(database, "lot_match", first.run_id)) == 1, "the superseded matches stay"


def test_a_corrected_fill_is_computed_again_from_its_latest_version(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "1", "100"), fill(user, 2, "sell", "1", "150"))
    compute_positions(database, user)

    store(database, fill(user, 2, "sell", "1", "160"))
    run = compute_positions(database, user)

    assert not run.unchanged
    assert summary(database, user).realized == 60


def test_another_method_or_policy_is_another_run_on_the_same_fills(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "1", "100", "1"), fill(user, 2, "buy", "1", "120", "1"), fill(user, 3, "sell", "1", "150", "1"))

    runs = [compute_positions(database, user, method) for method in ("fifo", "lifo", "hifo", "lofo", "avg", "uk")]
    expensed = compute_positions(database, user, fee_policy="expense")

    assert len({run.run_id for run in (*runs, expensed)}) == 7
    assert summary(database, user, "lifo").realized == 28
    assert summary(database, user, "avg").realized == 38
    assert summary(database, user, "fifo").realized == 150 - 100 - 3
    assert all(conservation_findings(database, user, method) == [] for method in ("fifo", "lifo", "hifo", "lofo", "avg", "uk"))


def test_a_held_coin_without_a_price_is_an_exception_and_its_value_unknown_not_zero(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "5", "10", symbol="NEWCOIN"), fill(user, 2, "sell", "2", "12", symbol="NEWCOIN"))
    run = compute_positions(database, user)

    first = value_positions(database, user, T0)
    value_positions(database, user, T0)
    total = summary(database, user)

    assert first.unpriced == ("NEWCOIN",)
    assert (total.value, total.unrealized, total.unpriced) == (None, None, ("NEWCOIN",))
    assert total.realized == 4
    assert total.identity_holds
    assert kinds(database, user) == ["missing_price"]
    assert rows_of(database, "valuation", run.run_id) == []


def test_the_same_quote_adds_no_second_value_and_a_newer_one_wins(database: Database, user: str) -> None:
    symbol = "VAL"
    store(database, fill(user, 1, "buy", "2", "10", symbol=symbol), quote(symbol, "11", "13"))
    run = compute_positions(database, user)

    value_positions(database, user, T0)
    value_positions(database, user, T0)
    assert len(rows_of(database, "valuation", run.run_id)) == 1
    store(database, quote(symbol, "20", None, at=T0 + timedelta(days=41)))
    value_positions(database, user, T0)

    (coin,) = summary(database, user).by_symbol
    assert (coin.price, coin.value, coin.unrealized, coin.price_source) == (20, 40, 20, "venue")
    assert len(rows_of(database, "valuation", run.run_id)) == 2


def test_a_quote_older_than_a_day_is_used_and_reported(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "1", "10", symbol="OLD"), quote("OLD", "11", "13", at=T0))
    compute_positions(database, user)

    value_positions(database, user, T0 + timedelta(hours=25))

    assert summary(database, user).value == 12
    assert kinds(database, user) == ["stale_price"]


def test_selling_more_than_was_held_is_an_exception_and_never_meets_a_later_buy(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "1", "100"), fill(user, 2, "sell", "3", "150"), fill(user, 3, "buy", "2", "50"))

    run = compute_positions(database, user)

    assert run.exceptions == 1
    assert summary(database, user).realized == 50
    assert conservation_findings(database, user) == []


def test_units_sold_at_no_cost_are_kept_as_matches_without_a_lot(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "1", "100"), fill(user, 2, "sell", "3", "150"), quote("BTC", "120", "120"))

    run = compute_positions(database, user, oversell_policy="zero_basis")
    value_positions(database, user, T0)

    assert run.matches == 2
    assert summary(database, user).realized == 350
    assert summary(database, user).identity_holds
    assert conservation_findings(database, user) == []


def test_the_policy_refuse_writes_nothing(database: Database, user: str) -> None:
    store(database, fill(user, 1, "sell", "3", "150"))

    with pytest.raises(BadInputError, match="exceeds the 0 held"):
        compute_positions(database, user, oversell_policy="refuse")

    with pytest.raises(BadInputError, match="no positions"):
        summary(database, user)


def test_a_fee_in_the_coin_changes_what_is_held_and_one_in_a_third_coin_is_reported(database: Database, user: str) -> None:
    store(
        database,
        fill(user, 1, "buy", "1", "100", "0.01", fee_currency="BTC"),
        fill(user, 2, "buy", "1", "100", "2", fee_currency="BNB"),
        fill(user, 3, "sell", "1", "150", "0.02", fee_currency="BTC"),
    )

    compute_positions(database, user)

    (coin,) = summary(database, user).by_symbol
    assert coin.qty == D("0.99") + 1 - D("1.02")
    assert coin.cost == 200
    assert coin.proceeds == 150
    assert kinds(database, user) == ["unpriced_fee"]


def test_an_unknown_fee_counts_as_none_and_is_reported_until_it_is_known(database: Database, user: str) -> None:
    bought, sold = fill(user, 1, "buy", "1", "100"), fill(user, 2, "sell", "1", "150", "2")
    store(database, replace(bought, fee=None), sold)

    compute_positions(database, user)
    reported = kinds(database, user)
    store(database, replace(bought, fee=D(1)))
    compute_positions(database, user)

    assert reported == ["unknown_fee"]
    assert kinds(database, user) == []
    assert summary(database, user).by_symbol[0].proceeds == 148


def test_a_lost_match_is_found(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "1", "100"), fill(user, 2, "sell", "0.5", "150"))
    run = compute_positions(database, user)
    with psycopg.connect(database.url("owner", "")) as owner:
        owner.execute("DELETE FROM pnl.lot_match WHERE run_id = %s", (run.run_id,))

    laws = {finding.law for finding in conservation_findings(database, user)}

    assert "units bought = matched + open" in laws
    assert "realized = gains of matches - expensed fees" in laws


def test_the_report_by_coin_and_by_period_adds_up_to_the_same_total(database: Database, user: str, settings: Settings) -> None:
    store(
        database,
        fill(user, 1, "buy", "2", "100", executed_at=datetime(2026, 1, 1, tzinfo=UTC)),
        fill(user, 2, "sell", "1", "150", executed_at=datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        fill(user, 3, "sell", "1", "170", executed_at=datetime(2026, 2, 1, tzinfo=UTC)),
        fill(user, 4, "buy", "1", "10", symbol="ETH", executed_at=datetime(2026, 2, 1, tzinfo=UTC)),
        quote("ETH", "11", "11"),
    )
    compute_positions(database, user)
    value_positions(database, user, T0)

    by_coin, by_period = report(database, user, "coin"), report(database, user, "period")

    assert [(row["period"], row["gain"]) for row in by_period["rows"]] == [("2026-01", "50"), ("2026-02", "70")]
    assert sum(D(row["realized"]) for row in by_coin["rows"]) == sum(D(row["gain"]) for row in by_period["rows"]) == 120
    assert by_coin["totals"] == by_period["totals"]
    assert by_coin["totals"]["identity_holds"] is True
    shown = CliRunner(env=settings.environ()).invoke(pnl, ["report", "--user", user, "--json"], catch_exceptions=False)
    assert json.loads(shown.stdout) == by_coin
    table = CliRunner(env=settings.environ()).invoke(pnl, ["report", "--user", user, "--by", "period"], catch_exceptions=False)
    assert "2026-02" in table.stdout


def test_a_cut_by_algorithm_says_that_fills_bear_none(database: Database, user: str) -> None:
    with pytest.raises(BadInputError, match="algorithm"):
        report(database, user, "algorithm")


def test_an_agent_sees_only_the_positions_of_its_user(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "1", "100"))
    compute_positions(database, user)

    with database.connect("agent") as agent:
        agent.execute("SELECT set_config('omc.session_token', %s, true)", (token_of(database, "somebody-else"),))
        others = agent.execute("SELECT count(*) FROM pnl.position").fetchone()
        agent.execute("SELECT set_config('omc.session_token', %s, true)", (token_of(database, user),))
        own = agent.execute("SELECT count(*) FROM pnl.position").fetchone()

    assert (others, own) == ((0,), (1,))
