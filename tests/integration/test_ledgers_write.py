"""Appending to real tables: nothing twice, nothing overwritten, nothing half."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.catalyst import EVENT, CatalystEvent
from omc_pipeline.ledgers.glass import CoinPrice, ProtocolFees
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import Appended, append

AT = datetime(2026, 9, 21, 14, tzinfo=UTC)


def _price(price: str, minute: int = 0, symbol: str = "BTC") -> CoinPrice:
    return CoinPrice(symbol, AT + timedelta(minutes=minute), Decimal(price), Decimal("0.99"))


def _event(event_id: str, title: str = "8-K") -> CatalystEvent:
    return CatalystEvent(event_id, "filing", "BTC", "MSTR", "Strategy", title, "8-K", None, "https://x", AT.date(), AT)


def _appended(database: Database, source: str, rows: Sequence[Row], sha256: str | None = None) -> dict[str, Appended]:
    with database.connect("writer") as connection, connection.transaction():
        return dict(append(connection, source, rows, sha256))


def _versions(database: Database, source: str) -> list[tuple[object, ...]]:
    with database.connect("reader") as connection:
        return connection.execute(
            "SELECT symbol, version, price_usd FROM glass.coin_price WHERE source = %s ORDER BY symbol, observed_at, version", [source]
        ).fetchall()


def test_appending_the_same_rows_again_changes_nothing(database: Database) -> None:
    rows = [_price("1", 0), _price("2", 1), ProtocolFees("lido", AT, "Lido", None, Decimal(1), None)]

    first, again = _appended(database, "same", rows), _appended(database, "same", rows)

    assert first == {"glass.coin_price": Appended(inserted=2), "glass.protocol_fees": Appended(inserted=1)}
    assert again == {"glass.coin_price": Appended(unchanged=2), "glass.protocol_fees": Appended(unchanged=1)}
    assert len(_versions(database, "same")) == 2


def test_equal_numbers_written_otherwise_are_no_change(database: Database) -> None:
    _appended(database, "written", [_price("1.50")])

    assert _appended(database, "written", [_price("1.5000")]) == {"glass.coin_price": Appended(unchanged=1)}
    assert _appended(database, "written", [_price("1.5E0")]) == {"glass.coin_price": Appended(unchanged=1)}


def test_a_difference_in_the_last_of_38_digits_is_a_change(database: Database) -> None:
    _appended(database, "digits", [_price("12345678901234567890.123456789012345678")])

    assert _appended(database, "digits", [_price("12345678901234567890.123456789012345679")]) == {"glass.coin_price": Appended(changed=1)}


def test_a_changed_fact_is_a_new_version_and_the_old_one_stays(database: Database) -> None:
    for price in ("1", "2", "1", "1"):
        _appended(database, "changed", [_price(price)])

    assert _versions(database, "changed") == [("BTC", 1, 1), ("BTC", 2, 2), ("BTC", 3, 1)]


def test_of_duplicates_in_one_batch_the_last_counts(database: Database) -> None:
    assert _appended(database, "duplicates", [_price("1"), _price("2"), _price("3")]) == {"glass.coin_price": Appended(inserted=1)}
    assert _versions(database, "duplicates") == [("BTC", 1, 3)]


def test_two_sources_may_tell_the_same_key_differently(database: Database) -> None:
    assert _appended(database, "one", [_price("1")]) == _appended(database, "other", [_price("2")])


def test_texts_survive_the_copy_with_every_character_they_hold(database: Database) -> None:
    odd = "tab\tback\\slash \\N line\nnull 🌱 ' \""
    _appended(database, "odd", [_event("odd", odd)])

    with database.connect("reader") as connection:
        assert connection.execute("SELECT title, items FROM catalyst.event WHERE source = 'odd'").fetchone() == (odd, None)


def test_no_rows_are_nothing(database: Database) -> None:
    assert _appended(database, "nothing", []) == {}


def test_several_appends_fit_into_one_transaction(database: Database) -> None:
    with database.connect("writer") as connection, connection.transaction():
        append(connection, "several", [_price("1")], None)
        second = append(connection, "several", [_price("2"), _price("1", 1)], None)

    assert second == {"glass.coin_price": Appended(inserted=1, changed=1)}


def test_an_event_and_its_announcement_stand_or_fall_together(database: Database) -> None:
    def announced() -> int:
        with database.connect("reader") as connection:
            row = connection.execute("SELECT count(*) FROM catalyst.outbox WHERE source = 'edgar'").fetchone()
        return int(row[0]) if row else 0

    with database.connect("writer") as connection, connection.transaction(force_rollback=True):
        append(connection, "edgar", [_event("1")], None)
        inside = connection.execute("SELECT count(*) FROM catalyst.outbox WHERE source = 'edgar'").fetchone()
    after_rollback = announced()
    _appended(database, "edgar", [_event("1"), _event("2")])
    _appended(database, "edgar", [_event("1", "8-K/A")])

    assert inside == (1,)
    assert after_rollback == 0
    assert announced() == 2


def test_concurrent_appends_of_the_same_rows_insert_each_once(database: Database) -> None:
    rows = [_price(str(minute + 1), minute) for minute in range(500)]
    results: list[Appended] = []
    start = threading.Barrier(4)

    def work() -> None:
        with database.connect("writer") as connection:
            start.wait()
            with connection.transaction():
                results.append(append(connection, "concurrent", rows, None)["glass.coin_price"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(result.inserted for result in results) == [0, 0, 0, 500]
    assert len(_versions(database, "concurrent")) == 500


def test_concurrent_writers_of_several_tables_in_opposite_order_do_not_lock_each_other_out(database: Database) -> None:
    fees = [ProtocolFees("aave", AT, "Aave", Decimal(1), None, None)]
    failures: list[Exception] = []
    start = threading.Barrier(2)

    def work(rows: Sequence[Row], name: str) -> None:
        try:
            for turn in range(20):
                start.wait()
                _appended(database, f"{name} {turn}", rows)
        except Exception as error:  # noqa: BLE001 handed to the asserting thread
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(rows, name)) for rows, name in (([*fees, _price("1")], "a"), ([_price("1"), *fees], "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_versions_are_recorded_in_the_order_of_their_commits(database: Database) -> None:
    for price in ("1", "2", "3"):
        _appended(database, "order", [_price(price)])

    with database.connect("reader") as connection:
        times = [at for (at,) in connection.execute("SELECT recorded_at FROM glass.coin_price WHERE source = 'order' ORDER BY version")]

    assert times == sorted(times)
    assert len(set(times)) == 3


def test_a_writer_can_neither_change_nor_delete_what_is_recorded(database: Database) -> None:
    _appended(database, "kept", [_price("1")])

    for statement in ("UPDATE glass.coin_price SET price_usd = 9", "DELETE FROM glass.coin_price", "TRUNCATE glass.coin_price"):
        with database.connect("writer") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_a_replayed_payload_does_not_turn_back_what_a_later_one_has_told(database: Database) -> None:
    early, late = (Payload("replayed", body, AT + timedelta(hours=n), "u") for n, body in enumerate((b"early", b"late")))
    with database.connect("writer") as connection:
        store = PostgresRawStore(connection)
        for payload, price in ((early, "1"), (late, "2")):
            store.store(payload, etag=None, last_modified=None)
            with connection.transaction():
                append(connection, "replayed", [_price(price)], payload.sha256)

        replayed = []
        for payload, price in ((early, "1"), (early, "1.5"), (late, "2"), (late, "2.5"), (early, "1.5")):
            with connection.transaction():
                rows = [_price(price)]
                replayed.append(append(connection, "replayed", rows, payload.sha256, replayed_from=payload.fetched_at)["glass.coin_price"])

    assert [(result.changed, result.unchanged) for result in replayed] == [(0, 1), (0, 1), (0, 1), (1, 0), (0, 1)]
    assert _versions(database, "replayed")[-1] == ("BTC", 3, Decimal("2.5"))


class Counted(psycopg.Cursor[Any]):
    """A cursor that counts its statements."""

    statements = 0

    def execute(self, *arguments: Any, **named: Any) -> Counted:
        Counted.statements += 1
        return super().execute(*arguments, **named)

    def copy(self, *arguments: Any, **named: Any) -> AbstractContextManager[psycopg.Copy]:
        Counted.statements += 1
        return super().copy(*arguments, **named)


def test_a_large_batch_takes_no_more_statements_than_a_small_one(database: Database) -> None:
    """What a batch costs besides its rows is one round trip a statement: a statement a row would be 20,000 of them."""

    def counted(rows: Sequence[Row], source: str) -> tuple[int, Appended]:
        with database.connect("writer") as connection, connection.transaction():
            connection.cursor_factory, Counted.statements = Counted, 0
            done = append(connection, source, rows, None)
            return Counted.statements, done["glass.coin_price"]

    large = [_price(f"{n}.000001", n // 50, f"S{n % 50}") for n in range(20_000)]
    small, _ = counted(large[:1], "small")

    assert small > 0
    assert counted(large, "large") == (small, Appended(inserted=20_000))
    assert counted(large, "large") == (small, Appended(unchanged=20_000))


def test_the_event_table_takes_the_key_of_its_source(database: Database) -> None:
    assert EVENT.key == ("event_id",)
    assert _appended(database, "one", [_event("shared")]) == _appended(database, "two", [_event("shared")])
