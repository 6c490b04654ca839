"""The work of ``omc bench ingest``: two servers, one that takes rows by ``append_bulk`` and one by COPY, in turns of some rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omc_infra.bench import Figure
from omc_pipeline.benches.own_database import bench_database, peak_mb
from omc_pipeline.ledgers.exchange import QUOTE, Quote
from omc_pipeline.ledgers.partitions import make_months
from omc_pipeline.ledgers.staging import staged_rows
from omc_pipeline.ledgers.write import append_bulk

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

UNEXPECTED = "unexpected"
SYMBOLS, ROWS_A_TURN = 500, 100_000
_SOURCE, _SAMPLE = "bench", timedelta(seconds=10)
_BLOCK_BYTES = 1 << 20
_COPY = f"""
COPY exchange.quote ({", ".join(QUOTE.fields)}, row_sha256, source, version, recorded_at) FROM STDIN
"""
_IDENTITIES = "SELECT coalesce(sum(last_value), 0) FROM pg_sequences"


def ingest_figures(rows: int) -> Iterator[Figure]:
    """Measure on databases of this run's own.

    Args:
        rows: New quotes; each turn takes up to 100,000, by COPY, as new rows, and once more as known ones.
    """
    copied_s = new_s = known_s = 0.0
    unexpected, begun_at = 0, datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    with bench_database() as plain, bench_database() as ledger, TemporaryDirectory(prefix="omc-bench-") as folder:
        for database in (plain, ledger):
            with database.connect("writer") as connection:
                make_months(connection, QUOTE, begun_at, begun_at + rows // SYMBOLS * _SAMPLE)
        memory = 0.0
        for start in range(0, rows, ROWS_A_TURN):
            count = min(ROWS_A_TURN, rows - start)

            def drawn(start: int = start, count: int = count) -> Iterator[Quote]:
                return quotes(begun_at, start, count)

            written = _written(Path(folder, "rows"), drawn())
            copied_s += _seconds(lambda written=written: _copy(plain, written))  # type: ignore[misc]
            new_s += _seconds(lambda drawn=drawn, count=count: _require(ledger, drawn(), count, 0))  # type: ignore[misc]
            memory = memory or peak_mb()
            identities = _identities(ledger)
            known_s += _seconds(lambda drawn=drawn, count=count: _require(ledger, drawn(), 0, count))  # type: ignore[misc]
            unexpected += _identities(ledger) - identities
        unexpected += abs(_count(ledger) - rows) + abs(_count(plain) - rows)
    copy = "COPY of the same text into the same table"
    yield Figure(f"idempotent ingest, {rows:,} new quotes", round(rows / new_s), "rows/s", copy, round(rows / copied_s))
    yield Figure("re-ingest, all unchanged", round(rows / known_s), "rows/s", "the ingest of new rows", round(rows / new_s))
    yield Figure(f"memory gained after the first {ROWS_A_TURN:,} rows", round(max(peak_mb() - memory, 0), 1), "MB")
    yield Figure(f"{UNEXPECTED}: rows missing, identity values burnt by known rows", unexpected, "rows")


def quotes(begun_at: datetime, start: int, count: int) -> Iterator[Quote]:
    """Invent quotes in the order of their time, as a venue's price list gives them: all symbols every ten seconds."""
    for number in range(start, start + count):
        tick, coin = divmod(number, SYMBOLS)
        last = Decimal(coin * 137 + 1_000_000 + tick % 9_973).scaleb(-4)
        yield Quote(f"C{coin:03}", "AUD", begun_at + tick * _SAMPLE, last - 1, last + 1, last)


def _written(file: Path, rows: Iterator[Quote]) -> Path:
    """Write rows as the text that COPY reads, so that its time is PostgreSQL's alone."""
    text = staged_rows(rows)[QUOTE].text
    file.write_text(text.replace("\n", f"\t{_SOURCE}\t1\t{datetime.now(UTC).isoformat()}\n"))
    return file


def _copy(database: Database, file: Path) -> None:
    with database.connect("writer") as connection, connection.cursor().copy(_COPY) as copy, file.open("rb") as opened:
        while block := opened.read(_BLOCK_BYTES):
            copy.write(block)


def _require(database: Database, rows: Iterator[Quote], new: int, known: int) -> None:
    with database.connect("writer") as connection:
        done = append_bulk(connection, _SOURCE, rows, None)[QUOTE.qualified]
    if (done.inserted, done.changed, done.unchanged) != (new, 0, known):
        raise AssertionError(f"{done}, and not {new} new and {known} unchanged")


def _identities(database: Database) -> int:
    with database.connect("owner") as connection:
        row = connection.execute(_IDENTITIES).fetchone()
    return int(row[0]) if row else 0


def _count(database: Database) -> int:
    with database.connect("reader") as connection:
        row = connection.execute("SELECT count(*) FROM exchange.quote").fetchone()
    return int(row[0]) if row else 0


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
