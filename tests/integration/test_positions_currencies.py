"""Users report in currencies of their own: fills in AUD and in EUR, dollars as dollars, London's days, known rates or none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from agent_sessions import token_of
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.commands.pnl import pnl
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.glass import CoinPrice
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append
from omc_pipeline.pnl.amounts import exact_units
from omc_pipeline.pnl.fill import FIAT
from omc_pipeline.pnl.methods.uk import match_uk
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.trade import Trade, in_order
from omc_pipeline.positions import compute_positions, conservation_findings, exceptions, summary, value_positions
from omc_pipeline.positions.basis import Basis, Batching
from omc_pipeline.positions.changes import Changes
from omc_pipeline.positions.fills import OF_COIN
from omc_pipeline.positions.report import report
from omc_pipeline.positions.reporting import EVERYBODY, remove_reporting, reporting_currencies, set_reporting
from omc_pipeline.positions.run import run_of_user, touch_settled
from omc_pipeline.positions.run_context import RunContext
from omc_pipeline.positions.snapshot import Snapshots, snapshot_positions
from omc_pipeline.positions.users import stale_users, users_with_positions

pytestmark = pytest.mark.slow

T0 = datetime(2026, 3, 2, 12, tzinfo=UTC)
D = Decimal
NUMBERS = count(1)


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    return request.node.name.removeprefix("test_")[:60]


@pytest.fixture(scope="module")
def quoted(database: Database) -> Database:
    """Return the module's database with a euro of 1.6 AUD, quoted every twelve hours."""
    times = [T0 - timedelta(days=1) + timedelta(hours=12 * n) for n in range(100)]
    store(database, *(Quote("EUR", "AUD", at, D("1.6"), D("1.6"), None) for at in times))
    return database


def store(database: Database, *rows: Row) -> None:
    with database.connect("writer") as connection:
        append(connection, "venue", rows, None)


def fill(user: str, number: int, side: str, qty: str, price: str, day: float, **changes: Any) -> Fill:
    at = T0 + timedelta(days=day)
    made = Fill(f"{user}-{number}", user, "main", "BTC", "AUD", side, D(qty), D(price), D(qty) * D(price), D(0), "AUD", at)
    return replace(made, **changes)


def omc(settings: Settings, *arguments: str, exit_code: int = 0) -> Any:
    done = CliRunner().invoke(pnl, [*arguments, "--json"], env=settings.environ(), catch_exceptions=False)
    assert done.exit_code == exit_code, done.output
    return json.loads(done.stdout)


def kinds(database: Database, user: str, currency: str | None = None) -> list[str]:
    return [row.kind for row in exceptions(database, user, currency=currency)]


def live_matches(database: Database, user: str, currency: str) -> Sequence[Any]:
    with database.connect("reader") as connection:
        return connection.execute(
            "SELECT symbol, sell_fill, lot_fill, qty, cost, proceeds, disposed_at, rule FROM pnl.live_match"
            " WHERE user_id = %s AND currency = %s ORDER BY disposed_at, match_no",
            (user, currency),
        ).fetchall()


def test_the_same_fills_are_reported_in_aud_and_in_eur_and_the_identity_holds_in_both(quoted: Database, user: str) -> None:
    store(quoted, fill(user, 1, "buy", "2", "80", 1, fee=D("1.6")), fill(user, 2, "sell", "1", "112", 2))
    store(quoted, Quote("BTC", "AUD", T0 + timedelta(days=3), D(160), D(160), None))
    set_reporting(quoted, user, "AUD", "Australia/Sydney")
    set_reporting(quoted, user, "EUR", "Europe/Berlin")

    for currency in ("AUD", "EUR"):
        compute_positions(quoted, user, currency=currency)
        value_positions(quoted, user, T0 + timedelta(days=3), currency=currency)
    australian, european = (summary(quoted, user, currency=currency) for currency in ("AUD", "EUR"))

    assert (australian.cost, australian.proceeds, australian.realized, australian.value) == (D("161.6"), 112, D("31.2"), 160)
    assert (european.cost, european.proceeds, european.realized, european.value) == (101, 70, D("19.5"), 100)
    for currency, found in (("AUD", australian), ("EUR", european)):
        totals = report(quoted, user, currency=currency)["totals"]
        assert found.identity_holds
        assert totals["identity_holds"] is True
        assert D(totals["net"]) == found.realized + (found.unrealized or 0)
        assert conservation_findings(quoted, user, currency=currency) == []
    assert summary(quoted, user).currency == "AUD"
    assert report(quoted, user)["currency"] == "AUD"


def test_positions_in_one_currency_are_not_touched_by_a_run_in_another(quoted: Database, user: str) -> None:
    store(quoted, fill(user, 1, "buy", "2", "80", 1), fill(user, 2, "sell", "3", "112", 2))
    set_reporting(quoted, user, "AUD", "Australia/Sydney")
    set_reporting(quoted, user, "EUR", "Europe/Berlin")
    first = compute_positions(quoted, user)

    compute_positions(quoted, user, currency="EUR")
    again = compute_positions(quoted, user)

    assert (again.run_id, again.unchanged) == (first.run_id, True)
    assert kinds(quoted, user, "AUD") == kinds(quoted, user, "EUR") == ["oversell"]


def test_a_fill_without_a_known_rate_is_an_exception_until_a_rate_is_known(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "80", 1, currency="CAD", fee_currency="CAD", symbol="LTC"))
    set_reporting(database, user, "GBP", "Europe/London")

    compute_positions(database, user)
    assert kinds(database, user) == ["missing_price"]
    assert summary(database, user).cost == 0
    store(database, Quote("CAD", "GBP", T0 + timedelta(hours=20), D("0.5"), D("0.5"), None))
    compute_positions(database, user)

    assert kinds(database, user) == []
    assert summary(database, user).cost == 80


def test_money_is_converted_by_a_coin_that_is_quoted_in_both(database: Database, user: str) -> None:
    at = T0 + timedelta(days=200)
    store(database, Quote("BTC", "NZD", at, D(90_000), D(90_000), None), Quote("BTC", "CHF", at, D(45_000), D(45_000), None))
    store(database, fill(user, 1, "buy", "1", "100", 200.5, currency="NZD", fee_currency="NZD"))
    set_reporting(database, user, "CHF", "Europe/Zurich")

    compute_positions(database, user)

    assert summary(database, user).cost == 50


def test_two_quotes_of_a_coin_that_lie_hours_apart_are_no_rate(database: Database, user: str) -> None:
    at = T0 + timedelta(days=210)
    store(database, Quote("BTC", "NZD", at, D(90_000), D(90_000), None))
    store(database, Quote("BTC", "CHF", at + timedelta(hours=2), D(45_000), D(45_000), None))
    store(database, fill(user, 1, "buy", "1", "100", 210.5, currency="NZD", fee_currency="NZD"))
    set_reporting(database, user, "CHF", "Europe/Zurich")

    compute_positions(database, user)

    assert kinds(database, user) == ["missing_price"]


def test_australian_fills_are_worth_dollars_by_what_a_coin_costs_in_both(database: Database, user: str) -> None:
    at = T0 + timedelta(days=220)
    store(database, Quote("BTC", "AUD", at, D(60_000), D(60_000), None), CoinPrice("BTC", at, D(40_000), None))
    store(database, CoinPrice("SOL", at, D(7), None))
    store(database, fill(user, 1, "buy", "3", "15", 220.5, symbol="SOL"))
    set_reporting(database, user, "USD", "America/New_York")

    compute_positions(database, user)
    value_positions(database, user, at)

    found = summary(database, user)
    assert round(found.cost, 12) == 30
    assert (found.value, found.by_symbol[0].price) == (21, 7)
    assert "glass.coin_price" in str(found.by_symbol[0].price_source)
    assert found.identity_holds


def test_dollars_of_a_user_who_reports_in_dollars_need_no_rate_and_go_through_the_kernel(database: Database, user: str) -> None:
    dollars = {"currency": "USD", "fee_currency": "USD"}
    trades = [fill(user, n, "sell" if n % 3 == 0 else "buy", "1", str(100 + n), n / 10, **dollars) for n in range(1, 40)]
    twin = f"{user}-python"
    for who in (user, twin):
        store(database, *(replace(one, user_id=who, fill_id=f"{who}:{one.fill_id[-2:]}") for one in trades))
        set_reporting(database, who, "USD", "America/Chicago")

    compute_positions(database, user, batching=Batching(backfill_fills=1))
    compute_positions(database, twin, batching=Batching(backfill_fills=None))

    assert kinds(database, user) == []
    assert [row[3:] for row in live_matches(database, user, "USD")] == [row[3:] for row in live_matches(database, twin, "USD")]
    assert summary(database, user).realized == summary(database, twin).realized
    assert conservation_findings(database, user) == []
    with database.connect("reader") as connection:
        assert connection.execute("SELECT count(*) FROM pnl.rate_use WHERE user_id = %s", (user,)).fetchone() == (0,)


@examples(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    trades=st.lists(
        st.tuples(st.sampled_from(("buy", "buy", "sell")), st.integers(1, 40), st.integers(1, 9), st.integers(0, 24 * 40)),
        min_size=1, max_size=14,
    ),
    method=st.sampled_from(("fifo", "lifo", "hifo", "lofo", "avg", "uk")),
)  # fmt: skip
def test_a_euro_of_one_price_gives_in_eur_what_aud_gives_and_the_kernel_gives_way(
    quoted: Database, trades: list[tuple[str, int, int, int]], method: Method
) -> None:
    user = f"twice{next(NUMBERS)}"
    made = [fill(user, n, side, str(qty), str(16 * price), hours / 24) for n, (side, qty, price, hours) in enumerate(trades)]
    store(quoted, *made)
    set_reporting(quoted, user, "AUD", "Australia/Sydney")
    set_reporting(quoted, user, "EUR", "Europe/Berlin")

    for currency in ("AUD", "EUR"):
        compute_positions(quoted, user, method, currency=currency, batching=Batching(backfill_fills=1))

    australian, european = (summary(quoted, user, method, currency) for currency in ("AUD", "EUR"))
    assert [(one.symbol, one.qty) for one in australian.by_symbol] == [(one.symbol, one.qty) for one in european.by_symbol]
    assert australian.cost == european.cost * D("1.6")
    assert abs(australian.realized - european.realized * D("1.6")) < D("1e-15")
    assert report(quoted, user, method=method, currency="EUR")["totals"]["identity_holds"] is True
    assert conservation_findings(quoted, user, method, currency="EUR") == []


def test_days_of_a_british_user_are_those_of_london(database: Database, user: str) -> None:
    pounds = {"currency": "GBP", "fee_currency": "GBP"}
    evening, next_day = datetime(2026, 6, 10, 23, 30, tzinfo=UTC), datetime(2026, 6, 11, 9, tzinfo=UTC)  # both the 11th in London
    stored = [
        fill(user, 1, "buy", "1", "10", 0, executed_at=datetime(2026, 6, 1, tzinfo=UTC), **pounds),
        fill(user, 2, "sell", "1", "50", 0, executed_at=evening, **pounds),
        fill(user, 3, "buy", "1", "40", 0, executed_at=next_day, **pounds),
    ]
    rules: dict[str, list[Any]] = {}
    for who, zone in ((user, "Europe/London"), (f"{user}-utc", "Etc/UTC")):
        store(database, *(replace(one, user_id=who, fill_id=f"{who}{one.fill_id[-1]}") for one in stored))
        set_reporting(database, who, "GBP", zone)
        compute_positions(database, who, "uk")
        rules[who] = [(row[7], row[4]) for row in live_matches(database, who, "GBP")]

    assert rules == {user: [("same_day", 40)], f"{user}-utc": [("30_day", 40)]}
    set_reporting(database, user, "GBP", "Etc/UTC")
    assert (user, Basis("uk", currency="GBP")) in stale_users(database)
    compute_positions(database, user, "uk")
    assert [row[7] for row in live_matches(database, user, "GBP")] == ["30_day"]


@examples(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    trades=st.lists(
        st.tuples(st.sampled_from(("buy", "buy", "sell")), st.integers(1, 9), st.sampled_from((0, 1, 30, 31, 32, 33, 63, 64, 65)),
                  st.sampled_from((0, 12, 23))),
        min_size=2, max_size=14,
    ),
    first=st.integers(1, 13),
)  # fmt: skip
@example(trades=[("buy", 9, 0, 0), ("sell", 2, 31, 23), ("sell", 3, 32, 0)], first=2)  # one day in London
@example(trades=[("buy", 9, 0, 0), ("sell", 8, 1, 0), ("buy", 1, 8, 0), ("buy", 9, 31, 0)], first=3)  # within thirty days
def test_late_fills_of_a_british_user_give_what_the_engine_gives_once(
    database: Database, trades: list[tuple[str, int, int, int]], first: int
) -> None:
    start = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)  # the clocks go forward on the 29th of March
    user = f"late{next(NUMBERS)}"
    made = [
        fill(user, n, side, str(qty), str(10 + n), 0, currency="GBP", fee_currency="GBP", fill_id=f"{user}-{n:02d}",
             executed_at=start + timedelta(days=days, hours=hours))
        for n, (side, qty, days, hours) in enumerate(trades)
    ]  # fmt: skip
    set_reporting(database, user, "GBP", "Europe/London")
    for part in (made[:first], made[first:]):
        store(database, *part)
        compute_positions(database, user, "uk", batching=Batching(checkpoint_trades=1))

    ordered = in_order([
        Trade(one.fill_id, "BTC", "GBP", one.executed_at, one.side, exact_units(one.qty), exact_units(one.qty * (one.price or D(0))))  # type: ignore[arg-type]
        for one in made
    ])  # fmt: skip
    expected = [
        (piece[0], piece[1], *piece[2:5], piece[6], piece[7])
        for piece in match_uk(ordered, "exclude", zone=ZoneInfo("Europe/London")).matches.pieces
    ]
    found = [(sell, lot, *map(exact_units, amounts), at, rule) for _, sell, lot, *amounts, at, rule in live_matches(database, user, "GBP")]
    assert sorted(found) == sorted(expected)
    assert conservation_findings(database, user, "uk") == []
    assert report(database, user, method="uk")["totals"]["identity_holds"] is True


def test_the_tax_year_of_a_british_user_begins_on_the_sixth_of_april_in_london(database: Database, user: str, settings: Settings) -> None:
    pounds = {"currency": "GBP", "fee_currency": "GBP"}
    store(
        database,
        fill(user, 1, "buy", "3", "10", 0, executed_at=datetime(2025, 1, 1, tzinfo=UTC), **pounds),
        fill(user, 2, "sell", "1", "15", 0, executed_at=datetime(2026, 4, 5, 22, 59, 59, tzinfo=UTC), **pounds),
        fill(user, 3, "sell", "1", "8", 0, executed_at=datetime(2026, 4, 5, 23, tzinfo=UTC), **pounds),
    )
    set_reporting(database, user, "GBP", "Europe/London")
    compute_positions(database, user, "uk")

    old, new = (omc(settings, "report", "--user", user, "--method", "uk", "--tax-year", year) for year in ("2026", "2027"))
    shown = CliRunner(env=settings.environ()).invoke(
        pnl, ["report", "--user", user, "--method", "uk", "--tax-year", "2026", "--format", "html"]
    )

    assert [row["sell"] for row in old["rows"]] == [f"{user}-2"]
    assert (old["tax"]["first_day"], old["tax"]["last_day"], old["tax"]["net_gain"]) == ("2025-04-06", "2026-04-05", "5")
    assert (new["tax"]["gains"], new["tax"]["losses"], new["tax"]["net_gain"]) == ("0", "2", "-2")
    assert old["totals"]["identity_holds"] is new["totals"]["identity_holds"] is True
    assert "Tax year 2026 of Europe/London" in shown.stdout
    assert "Not tax advice" in shown.stdout


def test_the_history_of_a_coin_that_nobody_quotes_in_the_currency_is_converted(quoted: Database, user: str) -> None:
    symbol = "HST"
    quotes = [Quote(symbol, "AUD", T0 + timedelta(days=day), D(price), D(price), None) for day, price in ((1, 160), (2, 320), (3, 32))]
    store(quoted, *quotes, fill(user, 1, "buy", "1", "160", 0.9, symbol=symbol))
    set_reporting(quoted, user, "EUR", "Europe/Berlin")
    compute_positions(quoted, user)
    value_positions(quoted, user, T0 + timedelta(days=4))

    metrics, totals = (report(quoted, user)[part] for part in ("metrics", "totals"))
    written = snapshot_positions(quoted, user, date(2026, 3, 7))

    assert totals["value"] == "20"
    assert metrics["max_drawdown"] == -0.9, "from 200 EUR to 20 EUR a coin"
    assert written == Snapshots(added=4, restated=0)
    with quoted.connect("reader") as connection:
        values = connection.execute("SELECT value FROM pnl.snapshot WHERE user_id = %s ORDER BY day", (user,)).fetchall()
    assert [value for (value,) in values] == [100, 200, 20, 20]


def test_each_reporting_currency_is_computed_by_the_schedule_and_a_removed_one_no_longer(quoted: Database, user: str) -> None:
    store(quoted, fill(user, 1, "buy", "2", "80", 1))
    set_reporting(quoted, user, "AUD", "Australia/Sydney")
    set_reporting(quoted, user, "EUR", "Europe/Berlin")

    def mine(found: Sequence[tuple[str, Any]]) -> list[Any]:
        return [what for who, what in found if who == user]

    assert mine(stale_users(quoted)) == [Basis(), Basis(currency="EUR")]
    for currency in ("AUD", "EUR"):
        compute_positions(quoted, user, currency=currency)
    assert mine(stale_users(quoted)) == []
    assert mine(users_with_positions(quoted)) == [("fifo", "AUD"), ("fifo", "EUR")]
    remove_reporting(quoted, user, "EUR")
    store(quoted, fill(user, 2, "buy", "2", "80", 1))
    assert mine(stale_users(quoted)) == [Basis()]
    assert mine(users_with_positions(quoted)) == [("fifo", "AUD")]
    with pytest.raises(BadInputError, match="not in EUR"):
        summary(quoted, user, currency="EUR")


def test_the_command_lists_sets_and_removes_reporting_currencies(database: Database, settings: Settings, user: str) -> None:
    def currencies(*arguments: str) -> list[tuple[str, str, bool]]:
        found = omc(settings, "reporting", "--user", user, *arguments)["currencies"]
        return [(one["currency"], one["tax_zone"], one["is_default"]) for one in found]

    assert currencies() == [("AUD", "Australia/Sydney", True)]
    assert currencies("--currency", "eur", "--zone", "Europe/Berlin") == [("EUR", "Europe/Berlin", True)]
    assert currencies("--currency", "GBP", "--zone", "Europe/London") == [("EUR", "Europe/Berlin", True), ("GBP", "Europe/London", False)]
    assert currencies("--currency", "GBP", "--default") == [("GBP", "Europe/London", True), ("EUR", "Europe/Berlin", False)]
    assert currencies("--currency", "EUR", "--remove") == [("GBP", "Europe/London", True)]
    assert currencies("--currency", "GBP", "--remove") == [("AUD", "Australia/Sydney", True)]
    shown = CliRunner(env=settings.environ()).invoke(pnl, ["reporting", "--user", user], catch_exceptions=False)
    assert "Australia/Sydney (default)" in shown.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--currency", "XYZ", "--zone", "Europe/Berlin"], "not a reporting currency"),
        (["--currency", "EUR"], "zone of its tax year"),
        (["--currency", "EUR", "--zone", "Mars/Olympus"], "no zone"),
        (["--currency", "EUR", "--zone", "../etc/passwd"], "no zone"),
        (["--zone", "Europe/Berlin"], "--currency"),
        (["--currency", "EUR", "--remove"], "has not chosen"),
        (["--everybody", "--currency", "AUD", "--remove"], "only default currency"),
    ],
)
def test_a_wrong_choice_is_refused_in_one_line(database: Database, settings: Settings, options: list[str], words: str) -> None:
    with pytest.raises(BadInputError, match=words) as caught:
        CliRunner().invoke(pnl, ["reporting", *options], env=settings.environ(), catch_exceptions=False)

    assert "\n" not in str(caught.value)


def test_the_common_choice_holds_for_whoever_has_made_none(database: Database, user: str) -> None:
    with database.connect("reader") as connection:
        (common,) = reporting_currencies(connection, user)

    assert (common.user_id, common.currency, common.tax_zone) == (EVERYBODY, "AUD", "Australia/Sydney")


def test_an_agent_sees_only_the_choice_of_its_user(database: Database, user: str) -> None:
    set_reporting(database, user, "EUR", "Europe/Berlin")
    set_reporting(database, f"{user}-b", "GBP", "Europe/London")

    with database.connect("agent") as agent:
        agent.execute("SELECT set_config('omc.session_token', %s, true)", (token_of(database, user),))
        seen = agent.execute("SELECT currency FROM pnl.reporting").fetchall()

    assert seen == [("EUR",)]


def test_no_index_prefers_a_currency_and_the_database_knows_the_same_money_as_the_engine(database: Database) -> None:
    with database.connect("reader") as connection:
        named = connection.execute("SELECT indexdef FROM pg_indexes WHERE indexdef ~ '''[A-Z]{3}'''").fetchall()
        money = {code for code in FIAT if connection.execute("SELECT exchange.is_money(%s)", (code,)).fetchone() == (True,)}
        coin = connection.execute("SELECT exchange.is_money('BTC') OR exchange.is_money('USDT')").fetchone()

    assert named == []
    assert money == FIAT
    assert coin == (False,)


def test_fills_of_several_coins_are_found_by_their_index(database: Database, user: str) -> None:
    with database.connect("reader") as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        plan = connection.execute("EXPLAIN " + OF_COIN.format(counted=""), {"user": user, "coin": "BNB", "since": T0}).fetchall()

    assert "fill_of_several_coins" in "\n".join(line for (line,) in plan)


class CountingBook(RunContext):
    """A book that counts how often it settles."""

    settled = 0

    def settle(self, fills: Sequence[Any]) -> Any:
        self.settled += 1
        return super().settle(fills)


def test_many_fills_that_wait_for_a_rate_are_looked_at_together(database: Database, user: str) -> None:
    yen = {"currency": "JPY", "fee_currency": "JPY", "symbol": "XMR"}
    store(database, *(fill(user, n, "buy", "1", "100", 1 + n / 1000, **yen) for n in range(60)))
    set_reporting(database, user, "SEK", "Europe/Stockholm")
    run = compute_positions(database, user)
    store(database, Quote("JPY", "SEK", T0 + timedelta(days=1.03), D("0.06"), D("0.06"), None))
    changes = Changes()

    with run_of_user(database, user) as connection:
        context = CountingBook(connection, user, Basis(currency="SEK"), run.run_id)
        touch_settled(context, changes)
    compute_positions(database, user)

    assert kinds(database, user) == ["missing_price"] * 30
    assert context.settled == 1
    assert changes.since == {"XMR": T0 + timedelta(days=1.03)}
    assert summary(database, user).cost == 30 * 6
    assert conservation_findings(database, user) == []
