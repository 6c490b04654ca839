"""The newest fact of one series costs the same however many other series there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event

from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.exchange import QUOTE, Quote
from omc_pipeline.ledgers.glass import COIN_PRICE, CoinPrice
from omc_pipeline.ledgers.human import SENTIMENT, Sentiment
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.write import append

AT = datetime(2026, 9, 21, 14, tzinfo=UTC)
SYMBOLS = [f"COIN{n:03}" for n in range(500)]
MOST_INDEX_ENTRIES = 40


@pytest.fixture(scope="module", autouse=True)
def many_series(database: Database) -> None:
    """Hold 500 symbols of three tables, two times each, of two sources."""
    times = [AT, AT + timedelta(minutes=1)]
    one = Decimal(1)
    with database.connect("writer") as connection:
        for source in ("a_venue", "b_venue"):
            append(
                connection,
                source,
                [Quote(symbol, cur, at, one, one, None) for symbol in SYMBOLS for cur in ("AUD", "USD") for at in times],
                None,
            )
            append(connection, source, [CoinPrice(symbol, at, one, None) for symbol in SYMBOLS for at in times], None)
            append(connection, source, [Sentiment(symbol, "mood", at, one, None) for symbol in SYMBOLS for at in times], None)
        connection.commit()
    with database.engine("owner").connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        for table in (QUOTE, COIN_PRICE, SENTIMENT):
            owner.exec_driver_sql(f"ANALYZE {table.qualified}")


@contextmanager
def _plans(engine: sqlalchemy.Engine) -> Iterator[list[dict[str, Any]]]:
    """Collect how PostgreSQL ran each SELECT on a ledger, as EXPLAIN ANALYZE tells it, by running it once more."""
    plans: list[dict[str, Any]] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
        if "newest" in statement:
            with connection.connection.cursor() as own:
                own.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {statement}", parameters)
                plans.append(own.fetchone()[0][0]["Plan"])

    event.listen(engine, "before_cursor_execute", explain)
    yield plans
    event.remove(engine, "before_cursor_execute", explain)


def _rows_read(plan: dict[str, Any]) -> float:
    """Count the rows that scans of tables brought, those that they threw away included."""
    own = 0.0
    if "Relation Name" in plan:
        own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)) * plan[
            "Actual Loops"
        ]
    return own + sum(_rows_read(child) for child in plan.get("Plans", []))


@pytest.mark.parametrize(
    ("table", "equals"),
    [
        (QUOTE, {"symbol": "COIN250", "currency": "AUD"}),
        (QUOTE, {"symbol": ["COIN250"]}),
        (QUOTE, {"source": "b_venue", "symbol": ["COIN250", "COIN251"], "currency": "USD"}),
        (COIN_PRICE, {"symbol": ["COIN499"]}),
        (SENTIMENT, {"symbol": "COIN001"}),
        (SENTIMENT, {"symbol": ["NONE"], "metric": "mood"}),
    ],
)
def test_the_latest_of_one_symbol_reads_a_handful_of_rows_among_five_hundred_symbols(
    database: Database, table: Any, equals: dict[str, Any]
) -> None:
    reader = LedgerReader(database.engine("reader"))

    with _plans(database.engine("reader")) as plans:
        found = reader.latest(table, **equals)

    (plan,) = plans
    assert _rows_read(plan) <= MOST_INDEX_ENTRIES
    wanted = {column: {value} if isinstance(value, str) else set(value) for column, value in equals.items()}
    expected = [row for row in reader.latest(table) if all(row[column] in values for column, values in wanted.items())]
    assert found == expected


def test_a_key_column_in_the_middle_of_the_series_may_be_given_alone(database: Database) -> None:
    reader = LedgerReader(database.engine("reader"))

    in_dollars = reader.latest(QUOTE, currency="USD", source="b_venue")

    assert [row["symbol"] for row in in_dollars] == SYMBOLS
    assert {(row["source"], row["currency"], row["observed_at"]) for row in in_dollars} == {("b_venue", "USD", AT + timedelta(minutes=1))}


def test_a_value_given_twice_brings_its_series_once_and_a_null_key_brings_none(database: Database) -> None:
    reader = LedgerReader(database.engine("reader"))

    assert len(reader.latest(COIN_PRICE, symbol=["COIN001", "COIN001"])) == 2
    assert reader.latest(COIN_PRICE, symbol=None) == []
