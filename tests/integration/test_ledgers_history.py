"""For any history of inserts and revisions of any table, a reader of a time sees what a replay of the history up to that time says."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.parsing import ENDPOINT, parse_payload
from omc_pipeline.ledgers import catalyst, exchange, glass, human
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.table import LedgerTable, Row, key_of
from omc_pipeline.ledgers.write import append

FIXTURES = Path(__file__).parent.parent / "fixtures"
FETCHED_AT = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)
TABLES = tuple(itertools.chain(glass.TABLES, human.TABLES, catalyst.TABLES, exchange.TABLES))
NUMBER = itertools.count()
Change = tuple[int, int]
"""Which of a few facts, and which of a few states of it."""
Batches = Sequence[Sequence[Change]]

a_history = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=5), min_size=1, max_size=6)


def _samples() -> dict[LedgerTable, Row]:
    """Return one row of each table that any source's sample bodies fill."""
    found: dict[LedgerTable, Row] = {}
    for source in discover_sources().values():
        for file in sorted((FIXTURES / source.name).iterdir()):
            payload = Payload(source.name, file.read_bytes(), FETCHED_AT, "", context={ENDPOINT: file.name.split(".")[0]})
            for row in parse_payload(source, payload).rows:
                found.setdefault(row.table, row)
    return found


SAMPLES = _samples()


def test_every_ledger_table_has_a_sample_row() -> None:
    assert SAMPLES.keys() == set(TABLES)


def _moved(value: Any, steps: int) -> Any:
    """Return another value of the same type, and of the same sign and kind; the same for no steps."""
    if not steps:
        return value
    if isinstance(value, Decimal):
        return value * (1 + Decimal(steps) / 1000)
    if isinstance(value, datetime):
        return value - timedelta(hours=steps)
    if isinstance(value, date):
        return value - timedelta(days=steps)
    return value + steps if isinstance(value, int) else f"{value}{steps}"


def _row(table: LedgerTable, account: str, change: Change) -> Row:
    """Make one state of one fact; facts differ in each part of the key but the account, states in one field beside it."""
    of_key, of_state = change
    row = SAMPLES[table]
    key = {name: _moved(getattr(row, name), of_key) for name in table.key if name not in ("account_id", "user_id", "interval", "metric")}
    whose = {name: account for name in ("account_id", "user_id") if name in table.fields}
    beside = [name for name in table.fields if name not in table.key and name not in whose and getattr(row, name) is not None]
    changeable = [name for name in beside if isinstance(getattr(row, name), Decimal)]
    changeable += [name for name in beside if name in ("title", "name", "label", "text")]
    changeable += [name for name in beside if type(getattr(row, name)) is int]
    state = {changeable[0]: _moved(getattr(row, changeable[0]), of_state)} if changeable else {"remaining": of_state}
    return dataclasses.replace(row, **{**key, **whose, **state})


Known = Mapping[tuple[Any, ...], tuple[int, Row]]
"""By key: version and facts."""


def _replayed(batches: Sequence[Sequence[Row]]) -> Iterator[Known]:
    """Yield what is known before anything, and after each batch; of a batch's rows of one key the last counts."""
    known: dict[tuple[Any, ...], tuple[int, Row]] = {}
    yield dict(known)
    for batch in batches:
        for key, row in {key_of(row): row for row in batch}.items():
            version, latest = known.get(key, (0, None))
            if latest != row:
                known[key] = version + 1, row
        yield dict(known)


def _read(database: Database, table: LedgerTable, source: str, as_of: datetime) -> Known:
    records = LedgerReader(database.engine("reader"), as_of).rows(table, source=source)
    rows = {tuple(record[name] for name in table.key): record for record in records}
    assert len(rows) == len(records)
    return {key: (record["version"], table.row(**{name: record[name] for name in table.fields})) for key, record in rows.items()}


def _newest(known: Known, table: LedgerTable) -> Known:
    """Keep of each series the fact with the newest clock."""
    newest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for key in sorted(known, key=lambda key: key[-1]):
        newest[key[:-1]] = key
    return {key: known[key] for key in newest.values()}


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.qualified)
@hypothesis.settings(max_examples=8, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(history=a_history)
@hypothesis.example(history=[[(0, 0), (1, 0)], [(0, 1)], [(0, 1), (1, 0)], [(0, 0), (2, 1)], []])
def test_a_reader_of_a_time_sees_what_was_known_then(database: Database, table: LedgerTable, history: Batches) -> None:
    source = f"told-{next(NUMBER)}"
    batches = [[_row(table, source, change) for change in batch] for batch in history]
    times = []
    with database.connect("writer") as connection:
        for batch in (*batches, []):
            row = connection.execute("SELECT clock_timestamp()").fetchone()
            assert row
            times.append(row[0])
            with connection.transaction():
                append(connection, source, batch, "ab" * 32)

    for known_at, known in zip(times, _replayed(batches), strict=True):
        assert _read(database, table, source, known_at) == known
        if table.key[-1] == table.clock and len(table.key) > 1:
            latest = LedgerReader(database.engine("reader"), known_at).latest(table, source=source)
            found = {tuple(each[name] for name in table.key): each["version"] for each in latest}
            assert found == {key: version for key, (version, _) in _newest(known, table).items()}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.qualified)
def test_a_version_is_known_from_the_very_time_it_was_recorded_at_and_not_before(database: Database, table: LedgerTable) -> None:
    source = f"told-{next(NUMBER)}"
    first, second = _row(table, source, (0, 0)), _row(table, source, (0, 1))
    with database.connect("writer") as connection:
        for row in (first, second):
            with connection.transaction():
                append(connection, source, [row], None)

    recorded = [record["recorded_at"] for record in _versions(database, table, source)]

    assert [_read(database, table, source, at) for at in recorded] == [{key_of(row): (n, row)} for n, row in enumerate((first, second), 1)]
    before = [_read(database, table, source, at - timedelta(microseconds=1)) for at in recorded]
    assert before == [{}, {key_of(first): (1, first)}]


def _versions(database: Database, table: LedgerTable, source: str) -> list[dict[str, Any]]:
    with database.connect("owner") as connection:
        found = connection.execute(f"SELECT version, recorded_at FROM {table.qualified} WHERE source = %s ORDER BY version", [source])
        return [{"version": version, "recorded_at": at} for version, at in found.fetchall()]
