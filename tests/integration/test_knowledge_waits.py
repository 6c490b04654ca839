"""Whom a reader as of a time waits for, how long, and what it says when the wait is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from omc_infra.errors import BadInputError, RetryableError
from omc_infra.postgres.database import Database
from omc_infra.settings import PROJECT_ROOT
from omc_pipeline.ledgers import catalyst, exchange, glass, human
from omc_pipeline.ledgers.exchange import QUOTE, Quote
from omc_pipeline.ledgers.glass import CoinPrice
from omc_pipeline.ledgers.knowledge import advance_watermarks, await_known, stamp
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.write import Appended, append, append_bulk

AT = datetime(2026, 9, 21, 14, tzinfo=UTC)
TABLES = [table.qualified for ledger in (glass, human, catalyst, exchange) for table in ledger.TABLES]
WRITER = """
import sys, time
from datetime import UTC, datetime
from decimal import Decimal
import psycopg
from omc_pipeline.ledgers.exchange import Quote
from omc_pipeline.ledgers.write import append
with psycopg.connect(sys.argv[1]) as connection:
    append(connection, "process", [Quote("BTC", "AUD", datetime.now(UTC), Decimal(1), Decimal(2), None)], None)
    print("stamped", flush=True)
    time.sleep(600)
"""


def quote(minute: int, last: str = "1", symbol: str = "BTC") -> Quote:
    return Quote(symbol, "AUD", AT + timedelta(minutes=minute), Decimal(last), Decimal(last), None)


def now_of(database: Database) -> datetime:
    with database.connect("reader") as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


@contextmanager
def writing_process(database: Database) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has stamped a quote and doesn't commit."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), *filter(None, sys.path)])}
    command = [sys.executable, "-c", WRITER, database.url("writer", "")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "stamped\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_writer_frees_the_reader_at_once(database: Database) -> None:
    with writing_process(database) as process:
        as_of = now_of(database)
        process.kill()
        began = time.monotonic()

        rows = LedgerReader(database.engine("reader"), as_of).rows(QUOTE, source="process")

    assert time.monotonic() - began < 1
    assert rows == []


def test_a_stopped_writer_makes_the_read_fail_as_retryable_and_names_its_transaction(database: Database) -> None:
    with writing_process(database) as process:
        process.send_signal(signal.SIGSTOP)
        as_of, began = now_of(database), time.monotonic()

        with pytest.raises(
            RetryableError, match=r"exchange.quote as of .* after 0.3 s still being written, by transaction \d+/\d+ of process"
        ):
            LedgerReader(database.engine("agent"), as_of, patience_s=0.3).rows(QUOTE)

    assert 0.3 <= time.monotonic() - began < 1.5


def test_writers_of_other_tables_and_later_writers_are_not_waited_for(database: Database) -> None:
    reader = LedgerReader(database.engine("reader"), now_of(database), patience_s=0)
    time.sleep(0.01)

    with writing_process(database):  # of exchange.quote, and later than the reader's time
        assert LedgerReader(database.engine("reader"), now_of(database), patience_s=0).latest_prices_usd() == []
        with pytest.raises(RetryableError):
            LedgerReader(database.engine("reader"), now_of(database), patience_s=0).rows(QUOTE)

    assert reader.rows(QUOTE, source="process") == []


def test_a_time_up_to_the_watermark_needs_no_wait(database: Database) -> None:
    with database.connect("writer") as connection:
        append(connection, "closed", [quote(0)], None)
        connection.commit()
    as_of = now_of(database)
    with database.connect("writer") as connection:
        advance_watermarks(connection)

    with writing_process(database):
        rows = LedgerReader(database.engine("reader"), as_of, patience_s=0).rows(QUOTE, source="closed")

    assert len(rows) == 1


def test_a_watermark_does_not_pass_rows_that_are_not_committed(database: Database) -> None:
    with writing_process(database):
        as_of = now_of(database)
        with database.connect("writer") as connection:
            advance_watermarks(connection)
            closed = dict(connection.execute("SELECT table_name, closed_at FROM omc.knowledge").fetchall())

    assert closed["exchange.quote"] < as_of < closed["glass.coin_price"]


def test_an_insert_that_asked_for_no_stamp_is_waited_for_too(database: Database) -> None:
    with database.connect("writer") as slow:
        slow.execute(
            "INSERT INTO exchange.quote (source, symbol, currency, observed_at, version, row_sha256)"
            " VALUES ('by hand', 'BTC', 'AUD', now(), 1, 'x')"
        )

        with pytest.raises(RetryableError):
            LedgerReader(database.engine("reader"), now_of(database), patience_s=0.05).rows(QUOTE)


def test_a_time_that_is_nearly_now_is_waited_for_and_the_future_is_bad_input(database: Database) -> None:
    soon = now_of(database) + timedelta(seconds=0.2)

    LedgerReader(database.engine("reader"), soon).rows(QUOTE)

    assert now_of(database) > soon
    with pytest.raises(BadInputError, match="in the future of the database's clock"):
        LedgerReader(database.engine("reader"), soon + timedelta(days=1)).rows(QUOTE)


def test_stamps_rise_although_the_clock_was_set_back(database: Database) -> None:
    ahead = now_of(database) + timedelta(seconds=5)
    with database.connect("writer") as connection:  # as if an hour ago the clock had been five seconds ahead
        connection.execute("UPDATE omc.knowledge SET closed_at = %s WHERE table_name = 'glass.coin_price'", [ahead])
        connection.commit()
        first, second = stamp(connection, "glass.coin_price"), stamp(connection, "glass.coin_price")
        append(connection, "back", [CoinPrice("BTC", AT, Decimal(1), None)], None)
        connection.commit()
        row = connection.execute("SELECT recorded_at FROM glass.coin_price WHERE source = 'back'").fetchone()

    assert row is not None
    assert ahead < first < second < row[0]


def test_all_rows_of_one_append_to_a_table_have_one_time(database: Database) -> None:
    with database.connect("writer") as connection:
        append(connection, "one time", [quote(minute) for minute in range(50)], None)
        count = connection.execute("SELECT count(DISTINCT recorded_at) FROM exchange.quote WHERE source = 'one time'").fetchone()

    assert count == (1,)


def test_rows_are_staged_before_their_table_is_locked(database: Database) -> None:
    """Staging a million rows takes a minute; nobody may wait for it."""
    held: list[int] = []

    class Watched(Decimal):
        def __format__(self, spec: str, /, _: object = None) -> str:  # as the digest of a row is made, while the row is staged
            held.append(writers_of_quotes(database))
            return super().__format__(spec)

    rows = [Quote("BTC", "AUD", AT + timedelta(minutes=minute), Watched(minute + 1), None, None) for minute in range(3)]
    with database.connect("writer") as connection:
        append(connection, "staged", rows, None)
        held_afterwards = writers_of_quotes(database)

    assert len(held) >= 3
    assert (set(held), held_afterwards) == ({0}, 1)


def writers_of_quotes(database: Database) -> int:
    with database.connect("agent") as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'"
            " AND (classid::bigint << 32 | objid::bigint) = hashtextextended('omc.append exchange.quote', 0)"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_bulk_append_commits_chunk_by_chunk_and_completes_when_it_is_repeated(database: Database) -> None:
    rows = [quote(minute, symbol="ETH") for minute in range(250)]

    def breaking() -> Iterator[Quote]:
        yield from rows[:220]
        raise ValueError("the file is cut")

    with database.connect("writer") as connection:
        with pytest.raises(ValueError, match="cut"):
            append_bulk(connection, "bulk", breaking(), None, chunk_rows=100)
        kept = connection.execute("SELECT count(*), count(DISTINCT recorded_at) FROM exchange.quote WHERE source = 'bulk'").fetchone()
        connection.commit()
        whole = append_bulk(connection, "bulk", iter(rows), None, chunk_rows=100)

    assert kept == (200, 2)
    assert whole == {"exchange.quote": Appended(inserted=50, unchanged=200)}


def test_a_bulk_append_refuses_a_connection_that_is_in_a_transaction(database: Database) -> None:
    with database.connect("writer") as connection:
        connection.execute("SELECT 1")

        with pytest.raises(BadInputError, match="in a transaction"):
            append_bulk(connection, "bulk", [quote(0)], None)


@pytest.mark.parametrize("table", [*TABLES, "quality.check_result", "quality.score", "raw.quarantine"])
def test_every_table_with_knowledge_time_is_guarded(database: Database, table: str) -> None:
    with database.connect("reader") as connection:
        watermark = connection.execute("SELECT count(*) FROM omc.knowledge WHERE table_name = %s", [table]).fetchone()
        trigger = connection.execute(
            "SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = 'hold_writers_lock'", [table]
        ).fetchone()

    assert (watermark, trigger) == ((1,), (1,)), f"the migration that makes {table} lacks `guard_table`"


def test_a_transaction_that_keeps_an_older_snapshot_is_refused(database: Database) -> None:
    with database.engine("reader").connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ")

        with pytest.raises(BadInputError, match="REPEATABLE READ"):
            await_known(connection, ["exchange.quote"], now_of(database))


@pytest.mark.parametrize("role", ["reader", "agent"])
def test_only_the_writer_moves_a_watermark(database: Database, role: str) -> None:
    for statement in ("UPDATE omc.knowledge SET closed_at = now()", "SELECT omc.stamp('exchange.fill')"):
        with database.connect(role) as connection:  # type: ignore[arg-type]
            connection.execute("SET TRANSACTION READ WRITE")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_check_of_an_idle_table_costs_a_few_empty_statements(database: Database) -> None:
    with database.engine("agent").connect() as connection:
        as_of = now_of(database)

        check = quick_s(lambda: await_known(connection, ["exchange.quote"], as_of))
        empty = quick_s(lambda: connection.exec_driver_sql("SELECT 1"))

    assert check < 8 * empty


def quick_s(work: Callable[[], object], times: int = 201) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[times // 10]  # other processes of a busy machine are in the rest
