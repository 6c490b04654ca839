"""Quotes lie in monthly partitions that are made ahead, none is ever lost, and the newest of each series is kept apart."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.exchange import QUOTE, Quote
from omc_pipeline.ledgers.partitions import make_months, make_months_ahead
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.write import append

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
ONE = Decimal(1)


@pytest.fixture(autouse=True)
def no_quotes(database: Database) -> None:
    with database.connect("owner") as owner:
        owner.execute("TRUNCATE exchange.quote")


def _quote(symbol: str, at: datetime, last: Decimal = ONE) -> Quote:
    return Quote(symbol, "AUD", at, ONE, ONE, last)


def _append(database: Database, *quotes: Quote) -> None:
    with database.connect("writer") as connection:
        append(connection, "a_venue", quotes, None)


def _parts(database: Database) -> dict[str, list[datetime]]:
    with database.connect("reader") as connection:
        rows = connection.execute("SELECT tableoid::regclass::text, observed_at FROM exchange.quote ORDER BY 2").fetchall()
    parts: dict[str, list[datetime]] = {}
    for part, at in rows:
        parts.setdefault(part.removeprefix("partitions.exchange_quote_"), []).append(at)
    return parts


def _next_month(database: Database) -> datetime:
    with database.connect("reader") as connection:
        row = connection.execute("SELECT next_month FROM omc.partitioned WHERE table_name = 'exchange.quote'").fetchone()
    assert row is not None
    return row[0].astimezone(UTC)  # type: ignore[no-any-return]


def test_a_quote_lies_in_its_month_and_one_from_before_the_first_month_with_the_earlier_ones(database: Database) -> None:
    _append(database, _quote("BTC", NOW), _quote("BTC", datetime(2015, 3, 2, tzinfo=UTC)))

    assert _parts(database) == {"earlier": [datetime(2015, 3, 2, tzinfo=UTC)], f"{NOW:%Y_%m}": [NOW]}


def test_an_append_beyond_the_last_month_makes_the_months_up_to_its_own(database: Database) -> None:
    at = _next_month(database) + timedelta(days=3)

    _append(database, _quote("BTC", at))

    assert _parts(database) == {f"{at:%Y_%m}": [at]}


def test_a_quote_waits_where_the_table_is_busy_and_is_moved_when_its_month_is_made(database: Database) -> None:
    at = _next_month(database) + timedelta(days=1)
    with database.connect("reader") as busy:
        busy.execute("SELECT count(*) FROM exchange.quote").fetchone()
        _append(database, _quote("BTC", at))
    waiting = _parts(database)

    with database.connect("writer") as connection:
        made = make_months(connection, QUOTE, at, at)

    assert waiting == {"later": [at]}
    assert made == 1
    assert _parts(database) == {f"{at:%Y_%m}": [at]}
    assert [row["observed_at"] for row in LedgerReader(database.engine("reader")).rows(QUOTE)] == [at]


def test_months_are_made_ahead_once_and_never_for_more_than_a_year(database: Database) -> None:
    with database.connect("writer") as connection:
        make_months(connection, QUOTE, NOW, datetime(2099, 1, 1, tzinfo=UTC))
        again = make_months_ahead(connection)

    assert again == 0
    assert _next_month(database) <= NOW + timedelta(days=366 + 31)


def test_earlier_months_are_made_while_nothing_older_is_stored(database: Database) -> None:
    at = NOW - timedelta(days=100)
    with database.connect("writer") as connection:
        assert make_months(connection, QUOTE, at, NOW) > 0
    _append(database, _quote("BTC", at), _quote("BTC", datetime(2014, 1, 1, tzinfo=UTC)))

    with database.connect("writer") as connection:
        assert make_months(connection, QUOTE, datetime(2013, 12, 1, tzinfo=UTC), NOW) == 0
    assert set(_parts(database)) == {"earlier", f"{at:%Y_%m}"}


def test_the_kept_newest_quotes_are_those_of_the_ledger_at_every_time(database: Database) -> None:
    chance, moments = random.Random(7), []
    for _ in range(40):
        times = [NOW + timedelta(days=chance.randrange(-40, 40)) for _ in range(3)]
        _append(database, *(_quote(chance.choice(["BTC", "ETH", "XRP"]), at, Decimal(chance.randrange(3))) for at in times))
        with database.connect("reader") as connection:
            moments.append(connection.execute("SELECT clock_timestamp()").fetchone()[0])  # type: ignore[index]

    for moment in (*moments, None):
        reader = LedgerReader(database.engine("reader"), as_of=moment)
        assert reader.latest(QUOTE) == _newest_of_all(reader.rows(QUOTE))


def _newest_of_all(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    newest: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:  # newest first
        newest.setdefault((row["source"], row["symbol"], row["currency"]), row)
    return [newest[series] for series in sorted(newest)]


def test_a_quote_that_is_removed_or_changed_by_the_owner_leaves_the_newest_quotes_right(database: Database) -> None:
    first, second = NOW, NOW + timedelta(hours=1)
    _append(database, _quote("BTC", first), _quote("BTC", second), _quote("ETH", second))
    reader = LedgerReader(database.engine("reader"))

    with database.connect("owner") as owner:
        owner.execute("DELETE FROM exchange.quote WHERE observed_at = %s", [second])
    after_delete = reader.latest_quotes()
    with database.connect("owner") as owner:
        owner.execute("UPDATE exchange.quote SET last = 5")

    assert [(row["symbol"], row["observed_at"]) for row in after_delete] == [("BTC", first)]
    assert [row["last"] for row in reader.latest_quotes()] == [Decimal(5)]


def test_the_newest_quote_as_of_a_time_opens_no_month_before_its_own(database: Database) -> None:
    _append(database, *(_quote("BTC", NOW - timedelta(days=40 * n)) for n in range(4)))
    with database.connect("reader") as connection:
        before = connection.execute("SELECT clock_timestamp()").fetchone()
    _append(database, _quote("BTC", NOW + timedelta(minutes=1)))
    assert before is not None
    statement = """
        EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) SELECT * FROM exchange.quote WHERE source = 'a_venue' AND symbol = 'BTC'
        AND currency = 'AUD' AND recorded_at <= %s ORDER BY observed_at DESC, version DESC LIMIT 1"""

    with database.connect("reader") as connection:
        plan = connection.execute(statement, before).fetchone()

    assert plan is not None
    assert _tables_read(plan[0][0]["Plan"]) == {f"exchange_quote_{NOW:%Y_%m}"}


def _tables_read(plan: dict[str, Any]) -> set[str]:
    own = {plan["Relation Name"]} if "Relation Name" in plan and plan["Actual Rows"] else set()
    return own.union(*(_tables_read(child) for child in plan.get("Plans", [])))
