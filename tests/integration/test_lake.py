"""The ledgers as Parquet files: as DuckDB reads them, compared with their rows, again after rows were erased, in a folder and in S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from local_s3 import serving_s3

from omc_infra.errors import AccessDeniedError, MachineError, RetryableError, UpstreamUnavailableError
from omc_infra.objects import Objects, StorageConfig, in_folder, in_s3
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings, load_settings
from omc_pipeline.collection.accounts import add_account
from omc_pipeline.collection.erasing import erase_user
from omc_pipeline.lake.export import TABLES, Exported, export_daily, export_days, lake_objects, row_batches
from omc_pipeline.lake.facts import facts_of_file
from omc_pipeline.lake.schema import arrow_schema, columns_of, file_of
from omc_pipeline.ledgers.exchange import BALANCE, FILL, QUOTE, Balance, Fill, Quote
from omc_pipeline.ledgers.glass import FX_RATE, FxRate
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append

TODAY = datetime.now(UTC).date()
DAY = TODAY - timedelta(days=3)
TINY = Decimal("0.000000000000000001")


@pytest.fixture(scope="module")
def filled(database: Database) -> Database:
    """Return the module's database with some rows that were recorded some days ago."""
    at = datetime.combine(DAY, datetime.min.time(), UTC) + timedelta(hours=5)
    quotes = [Quote("BTC", "AUD", at + timedelta(seconds=n), Decimal(140_000) + n, None, TINY, n == 3) for n in range(10)]
    record(database, at, *quotes, Quote("É€🌱", "AUD", at, None, None, Decimal("99999999999999999999.5"), False))
    record(database, at + timedelta(days=1), Quote("ETH", "AUD", at + timedelta(days=1), Decimal(5_000), Decimal(5_010), None))
    record(database, at, FxRate("EUR", "AUD", DAY, at, Decimal("1.65")))
    for user in ("ada", "bob"):
        with database.connect("writer") as connection, connection.transaction():
            add_account(connection, user, "somewhere", None, f"{user}-a")
        fills = [fill(user, number, at + timedelta(minutes=number)) for number in range(5)]
        record(database, at, *fills, Balance(user, f"{user}-a", "BTC", at, Decimal(5), None))
    return database


def fill(user: str, number: int, at: datetime) -> Fill:
    return Fill(f"f{number}", user, f"{user}-a", "BTC", "AUD", "buy", Decimal(1), Decimal(number + 1), Decimal(number + 1), TINY, "AUD", at)


def record(database: Database, at: datetime, *rows: Row) -> None:
    """Append rows as if they had been recorded at a time."""
    with database.connect("writer") as connection, connection.transaction():
        append(connection, "a_venue", rows, None)
    with database.connect("owner") as connection, connection.transaction():
        for table in {row.table.qualified for row in rows}:
            connection.execute(f"UPDATE {table} SET recorded_at = %s WHERE recorded_at > now() - interval '1 hour'", [at])


def counts(done: list[Exported]) -> dict[str, int]:
    return {what: sum(each.what == what for each in done) for what in ("written", "unchanged", "deleted")}


def ask(folder: Path, table: str, statement: str) -> list[tuple[Any, ...]]:
    """Ask DuckDB of the files of a table, as anybody would."""
    files = f"read_parquet('{folder}/{table.replace('.', '/')}/*/*/*/*.parquet', hive_partitioning = true)"
    return duckdb.connect().execute(statement.replace("LAKE", files)).fetchall()


def test_duckdb_reads_what_postgresql_holds_to_the_last_digit(filled: Database, tmp_path: Path) -> None:
    done = list(export_days(filled, in_folder(tmp_path), None, TODAY))

    assert {each.table for each in done} >= {QUOTE.qualified, FX_RATE.qualified, FILL.qualified, BALANCE.qualified}
    assert all(each.what == "written" for each in done)
    for table in (QUOTE, FX_RATE, FILL, BALANCE):
        names = ", ".join(f'"{name}_"' if name == "day" else name for name in (*table.fields, "version"))
        found = ask(tmp_path, table.qualified, f"SELECT {names} FROM LAKE ORDER BY ALL")
        with filled.connect("reader") as connection:
            held = connection.execute(f"SELECT {', '.join((*table.fields, 'version'))} FROM {table.qualified}").fetchall()
        assert sorted(map(repr, map(comparable, found))) == sorted(map(repr, map(comparable, held)))
    kinds = dict(row[:2] for row in ask(tmp_path, QUOTE.qualified, "DESCRIBE SELECT * FROM LAKE"))
    assert (kinds["bid"], kinds["observed_at"], kinds["is_crossed"], kinds["year"]) == (
        "DECIMAL(38,18)",
        "TIMESTAMP WITH TIME ZONE",
        "BOOLEAN",
        "BIGINT",
    )


def comparable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row with its instants in UTC and its numbers without idle zeros."""
    return tuple(
        value.astimezone(UTC) if isinstance(value, datetime) else f"{value:.18f}" if isinstance(value, Decimal) else value for value in row
    )


def test_a_partition_is_found_by_its_day(filled: Database, tmp_path: Path) -> None:
    list(export_days(filled, in_folder(tmp_path), None, TODAY))

    found = ask(tmp_path, QUOTE.qualified, f"SELECT count(*) FROM LAKE WHERE year = {DAY.year} AND month = {DAY.month} AND day = {DAY.day}")

    assert found == [(11,)]
    assert (tmp_path / file_of(QUOTE, DAY)).is_file()
    assert not list((tmp_path / ".unfinished").iterdir())


def test_the_next_day_writes_only_what_is_new(filled: Database, tmp_path: Path) -> None:
    objects = in_folder(tmp_path)
    first = list(export_daily(filled, objects, TODAY - timedelta(days=2), 7))
    times = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.parquet")}

    second = list(export_daily(filled, objects, TODAY, 7))
    third = list(export_daily(filled, objects, TODAY, 7))

    assert {each.day for each in first} == {DAY}
    assert [(each.table, each.day) for each in second if each.what == "written"] == [(QUOTE.qualified, DAY + timedelta(days=1))]
    assert counts(third) == {"written": 0, "unchanged": len(first) + 1, "deleted": 0}
    assert times == {file: file.stat().st_mtime_ns for file in times}


def test_rows_that_came_late_into_a_day_are_found_and_written(filled: Database, tmp_path: Path) -> None:
    objects, at = in_folder(tmp_path), datetime.combine(DAY, datetime.min.time(), UTC) + timedelta(hours=23)
    list(export_daily(filled, objects, TODAY, 7))
    record(filled, at, Quote("SOL", "AUD", at, Decimal(250), None, None))

    again = list(export_daily(filled, objects, TODAY, 7))

    assert [(each.table, each.day, each.rows) for each in again if each.what == "written"] == [(QUOTE.qualified, DAY, 12)]
    assert ask(tmp_path, QUOTE.qualified, "SELECT count(*) FROM LAKE WHERE symbol = 'SOL'") == [(1,)]
    with filled.connect("owner") as connection, connection.transaction():
        connection.execute("DELETE FROM exchange.quote WHERE symbol = 'SOL'")


def test_a_file_that_differs_from_its_rows_is_refused_and_the_old_one_stays(filled: Database, tmp_path: Path) -> None:
    objects = in_folder(tmp_path)
    list(export_days(filled, objects, None, TODAY, [QUOTE]))
    before = (tmp_path / file_of(QUOTE, DAY)).read_bytes()
    with filled.connect("writer") as connection:
        connection.execute("UPDATE lake.export SET is_stale = true WHERE place = %s", [objects.shown])
        connection.commit()

    with pytest.raises(RetryableError, match=r"exchange.quote of .* differs from its rows: 10 rows against 11"):
        list(export_days(filled, objects, None, TODAY, [QUOTE], lambda *of: (batch.slice(1) for batch in row_batches(*of))))

    assert (tmp_path / file_of(QUOTE, DAY)).read_bytes() == before
    assert not list((tmp_path / ".unfinished").iterdir())


@pytest.mark.parametrize("column", ["symbol", "bid", "observed_at", "is_crossed", "version", "recorded_at"])
def test_a_change_of_any_column_changes_the_checksum(filled: Database, tmp_path: Path, column: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    list(export_days(filled, in_folder(tmp_path), DAY, DAY, [QUOTE]))
    with filled.connect("reader") as connection:
        columns = columns_of(connection, QUOTE)
    file, bent = tmp_path / file_of(QUOTE, DAY), tmp_path / "bent.parquet"
    sound = pq.ParquetFile(file).read()
    values = sound.column(column).to_pylist()
    at = next(number for number, value in enumerate(values) if value is not None)
    values[at] = {bool: lambda v: not v, str: lambda v: v + "x", int: lambda v: v + 1, Decimal: lambda v: v + TINY}.get(
        type(values[at]), lambda v: v + timedelta(microseconds=1)
    )(values[at])
    changed = sound.set_column(
        sound.schema.get_field_index(column), sound.schema.field(column), pa.array(values, sound.schema.field(column).type)
    )
    pq.write_table(changed, bent)

    assert facts_of_file(bent, columns).checksum != facts_of_file(file, columns).checksum


def test_what_is_erased_leaves_the_lake_with_the_next_export(filled: Database, tmp_path: Path) -> None:
    objects = in_folder(tmp_path)
    list(export_daily(filled, objects, TODAY, 0))
    assert ask(tmp_path, FILL.qualified, "SELECT DISTINCT user_id FROM LAKE ORDER BY 1") == [("ada",), ("bob",)]

    with filled.connect("owner") as connection:
        erase_user(connection, "bob", "a test")
    again = list(export_daily(filled, objects, TODAY, 0))

    assert {each.table for each in again if each.what == "written"} == {FILL.qualified, BALANCE.qualified}
    assert ask(tmp_path, FILL.qualified, "SELECT DISTINCT user_id FROM LAKE") == [("ada",)]
    with filled.connect("owner") as connection:
        erase_user(connection, "ada", "a test")
    assert counts(list(export_daily(filled, objects, TODAY, 0)))["deleted"] == 2
    assert not list((tmp_path / "exchange/fill").rglob("*.parquet"))


def test_every_table_of_the_ledgers_has_types_that_the_lake_knows(filled: Database) -> None:
    with filled.connect("reader") as connection:
        for table in TABLES:
            assert len(arrow_schema(columns_of(connection, table))) > len(table.fields)
        on_disk = connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.columns WHERE column_name = 'row_sha256'"
            " AND table_schema IN ('glass', 'human', 'catalyst', 'exchange')"
        ).fetchall()
    of_others = {"glass.candle", "exchange.latest_quote"}  # computed from tables that are written
    assert {name for (name,) in on_disk} - of_others == {table.qualified for table in TABLES}


@pytest.mark.slow
def test_the_command_exports_days_and_refuses_those_to_come(filled: Database, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "omc.toml").write_text(f'[storage]\nlake_folder = "{tmp_path}/files"\n')
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")} | settings.environ()
    environ["OMC_CONFIG"] = str(tmp_path / "omc.toml")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from omc_infra.cli import main; main()", "lake", "export", *arguments, "--json"]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)

    ran, refused = run("--from", str(DAY), "--to", str(DAY)), run("--to", "2999-01-01")

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["place"] == f"{tmp_path}/files"
    assert (tmp_path / "files" / file_of(QUOTE, DAY)).is_file()
    assert refused.returncode == 2
    assert "no day after today" in refused.stderr


def test_a_folder_that_can_not_be_written_is_named(filled: Database, tmp_path: Path) -> None:
    (tmp_path / "file-403").write_text("no folder")

    with pytest.raises(MachineError, match="file-403/lake"):
        list(export_days(filled, in_folder(tmp_path / "file-403/lake"), None, TODAY, [QUOTE]))


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Run a local S3 with one bucket, and return its address."""
    with serving_s3() as url:
        yield url


def bucket(url: str, home: Path) -> tuple[Objects, StorageConfig, Settings]:
    settings = load_settings({"OMC_HOME": str(home), "OMC_KEY_S3": "a-key-of-s3", "OMC_KEY_S3_SECRET": "a-secret-of-s3"})
    config = StorageConfig(s3="s3://lakes/omc", s3_region="us-east-1", s3_endpoint=url, lake="s3")
    objects = lake_objects(config, settings)
    return objects, config, settings


def test_the_lake_in_s3_is_the_same_files(filled: Database, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    objects, config, settings = bucket(s3, tmp_path)

    done = list(export_days(filled, objects, None, TODAY, [QUOTE]))
    again = list(export_days(filled, objects, None, TODAY, [QUOTE]))

    assert objects.shown == "s3://lakes/omc/lake"
    assert {each.what for each in done} == {"written"}
    assert {each.what for each in again} == {"unchanged"}
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(objects.read(file_of(QUOTE, DAY)))
    assert duckdb.connect().execute(f"SELECT count(*) FROM read_parquet('{copy}')").fetchall() == [(11,)]
    objects.delete(file_of(QUOTE, DAY))
    with pytest.raises(LookupError):
        objects.read(file_of(QUOTE, DAY))
    nowhere = StorageConfig(**{**config.model_dump(), "s3": "s3://no-such-bucket"})
    with pytest.raises((AccessDeniedError, UpstreamUnavailableError), match="s3://no-such-bucket") as refused:
        in_s3(nowhere, settings, "lake").put("x", b"1")
    assert "a-secret-of-s3" not in str(refused.value)
