"""Fills in other money are settled by the reference rates of a central bank, before any other way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.glass import CoinPrice, FxRate
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append
from omc_pipeline.positions import compute_positions, exceptions, summary, value_positions
from omc_pipeline.positions.reporting import set_reporting
from omc_pipeline.positions.triangulation import Triangulation
from omc_pipeline.sandbox import serving

D = Decimal
FRIDAY = datetime(2026, 3, 6, 13, 15, tzinfo=UTC)
SUNDAY = datetime(2026, 3, 8, 20, tzinfo=UTC)


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    return request.node.name.removeprefix("test_")[:60]


@pytest.fixture(scope="module")
def rated(database: Database) -> Database:
    """Return the module's database with the rates of a Thursday and a Friday."""
    for at, dollars, australian in ((FRIDAY - timedelta(days=1), "1.00", "1.50"), (FRIDAY, "1.20", "1.60")):
        _store(database, "bank", FxRate("EUR", "USD", at.date(), at, D(dollars)), FxRate("EUR", "AUD", at.date(), at, D(australian)))
    return database


def _store(database: Database, source: str, *rows: Row) -> None:
    with database.connect("writer") as connection:
        append(connection, source, rows, None)


def _bought(user: str, at: datetime, symbol: str = "BTC") -> Fill:
    return Fill(f"{user}-1", user, f"of {user}", symbol, "AUD", "buy", D(1), D(80), D(80), D(0), "AUD", at)


def _rate_of(database: Database, user: str) -> tuple[Decimal, str]:
    with database.connect("reader") as connection:
        ((rate, origin),) = connection.execute("SELECT rate, rate_id FROM pnl.rate_use WHERE user_id = %s", [user]).fetchall()
    return rate, origin


def test_an_australian_fill_of_a_user_in_euro_is_settled_by_the_reference_rate_though_a_quote_says_otherwise(
    rated: Database, user: str
) -> None:
    _store(rated, "venue", Quote("EUR", "AUD", SUNDAY - timedelta(hours=1), D(2), D(2), None), _bought(user, SUNDAY))
    set_reporting(rated, user, "EUR", "Europe/Berlin")

    compute_positions(rated, user)

    assert summary(rated, user).cost == 50
    assert exceptions(rated, user) == []
    assert _rate_of(rated, user) == (D("0.625"), "1 / glass.fx_rate bank EUR/AUD 2026-03-06T13:15:00+00:00 v1")


def test_two_currencies_of_one_day_give_the_rate_between_them(rated: Database, user: str) -> None:
    _store(rated, "venue", _bought(user, SUNDAY))
    set_reporting(rated, user, "USD", "America/New_York")

    compute_positions(rated, user)

    assert summary(rated, user).cost == 60
    assert _rate_of(rated, user)[0] == D("0.75")


def test_a_fill_before_the_rate_of_its_day_was_taken_goes_by_the_day_before(rated: Database, user: str) -> None:
    _store(rated, "venue", _bought(user, FRIDAY - timedelta(hours=2)))
    set_reporting(rated, user, "EUR", "Europe/Berlin")

    compute_positions(rated, user)

    assert round(summary(rated, user).cost, 12) == round(D(80) / D("1.5"), 12)


def test_a_rate_of_more_than_a_week_ago_is_none(rated: Database, user: str) -> None:
    _store(rated, "venue", _bought(user, FRIDAY + timedelta(days=30)))
    set_reporting(rated, user, "EUR", "Europe/Berlin")

    compute_positions(rated, user)

    assert [found.kind for found in exceptions(rated, user)] == ["missing_price"]


def test_what_a_dollar_was_worth_is_a_reference_rate_so_a_coin_priced_in_dollars_alone_is_valued(rated: Database, user: str) -> None:
    _store(rated, "venue", _bought(user, SUNDAY, "RARE"), CoinPrice("RARE", SUNDAY, D(120), None))
    set_reporting(rated, user, "EUR", "Europe/Berlin")

    compute_positions(rated, user)
    value_positions(rated, user, SUNDAY + timedelta(hours=1))

    assert round(summary(rated, user).value or 0, 12) == 100


def test_a_rate_that_was_recorded_later_was_not_known(rated: Database) -> None:
    _store(rated, "late bank", FxRate("EUR", "CHF", date(2026, 3, 6), FRIDAY, D("0.9")))
    need = ("CHF", SUNDAY)

    with rated.connect("reader") as connection:
        assert Triangulation(connection, "EUR").rates([need])[need].units == 1_111_111_111_111_111_111
        assert Triangulation(connection, "EUR", datetime(2026, 3, 9, tzinfo=UTC)).rates([need]) == {}


@pytest.fixture
def sandboxed(settings: Settings) -> Iterator[Settings]:
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def test_the_rates_that_are_collected_settle_a_fill_of_last_week(database: Database, sandboxed: Settings, user: str) -> None:
    at = datetime.now(UTC) - timedelta(days=7)
    collect(discover_sources()["glass_fx"], database, sandboxed)
    _store(database, "venue", _bought(user, at))
    set_reporting(database, user, "EUR", "Europe/Berlin")

    compute_positions(database, user)

    assert exceptions(database, user) == []
    assert "glass.fx_rate glass_fx EUR/AUD" in _rate_of(database, user)[1]
