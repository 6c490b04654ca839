"""A replay that only reports: it counts what a replay that writes then does, and changes nothing."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sandboxed import one

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.replay import Replayed, Stretch, apply_replay, preview_replay
from omc_pipeline.collection.source import Parsed, Rejected, Source
from omc_pipeline.ledgers.table import json_values
from omc_pipeline.sandbox import serving

SOURCES = discover_sources()
EVER = Stretch(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
OMC = [sys.executable, "-c", "from omc_infra.cli import main; main()"]


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    """Run a sandbox for the module."""
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def _mended(source: Source, *, forgets: int = 0, doubles: int = 0, refuses: int = 0) -> Source:
    """Return the source with a parser that leaves out its first rows, doubles the numbers of some, and refuses the last ones."""

    def parse(payload: Payload, config: Any) -> Parsed:
        parsed = source.parse(payload, config)
        rows = sorted(parsed.rows, key=lambda row: (row.table.name, str(getattr(row, row.table.clock))))[forgets:]
        kept, last = rows[: len(rows) - refuses], rows[len(rows) - refuses :]
        changed = [
            dataclasses.replace(row, **{name: value * 2 for name in row.table.fields if isinstance(value := getattr(row, name), Decimal)})
            for row in kept[:doubles]
        ]
        return Parsed([*changed, *kept[doubles:]], [*parsed.rejected, *(Rejected("not trusted", json_values(row)) for row in last)])

    return dataclasses.replace(source, parse=parse)


def _counts(replayed: Replayed) -> tuple[Any, ...]:
    return dict(replayed.collection.tables), replayed.collection.quarantined, replayed.collection.payloads, replayed.collection.resolved


def _state(database: Database) -> list[Any]:
    tables = ("human.sentiment", "catalyst.event", "exchange.fill", "exchange.fill_door", "raw.quarantine", "raw.fetch", "omc.knowledge")
    sums = [one(database, f"SELECT coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table} t") for table in tables]
    return [*sums, one(database, "SELECT count(*) FROM raw.quarantine WHERE resolved_at IS NULL")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["human_fear_greed", "catalyst_sec_edgar", "exchange_coinspot_account", "exchange_coinspot_prices"])
def test_what_is_reported_is_what_is_then_written_and_reporting_writes_nothing(database: Database, sandboxed: Settings, name: str) -> None:
    source = SOURCES[name]
    for _ in range(2):  # two bodies that tell the same
        collect(_mended(source, forgets=2), database, sandboxed)
    changed = _mended(source, doubles=3, refuses=1)
    before = _state(database)

    told = preview_replay(changed, database, EVER)

    assert _state(database) == before
    written = apply_replay(changed, database, EVER)
    assert _counts(told) == _counts(written)
    assert (told.is_applied, written.is_applied) == (False, True)
    assert sum(count.inserted + count.changed for count in written.collection.tables.values()) > 0
    assert len(told.opened) == one(database, "SELECT count(*) FROM raw.quarantine WHERE source = %s AND resolved_at IS NULL", name) > 0
    after = preview_replay(changed, database, EVER)
    assert sum(count.inserted + count.changed for count in after.collection.tables.values()) == 0
    assert (list(after.opened), after.collection.resolved) == ([], 0)


def test_examples_show_keys_and_what_would_change(database: Database, sandboxed: Settings) -> None:
    source = dataclasses.replace(SOURCES["human_fear_greed"], name="human_examples")
    collect(_mended(source, forgets=2), database, sandboxed)

    told = preview_replay(_mended(source, doubles=3), database, EVER, examples=2)

    new, also_new, changed = told.examples["human.sentiment"]
    assert (new.version, also_new.version, changed.version) == (1, 1, 2)
    assert (dict(new.before), dict(changed.after)) == ({}, {name: value * 2 for name, value in changed.before.items()})
    assert set(new.after) == set(source.tables[0].fields) - set(source.tables[0].key)
    assert set(changed.key) == set(source.tables[0].key)
    assert preview_replay(_mended(source, doubles=3), database, EVER, examples=0).examples == {"human.sentiment": []}


def test_a_report_waits_for_no_writer_and_no_writer_waits_for_it(database: Database, sandboxed: Settings) -> None:
    source = dataclasses.replace(SOURCES["human_fear_greed"], name="human_busy")
    collect(source, database, sandboxed)

    with database.connect("writer") as other, other.transaction():
        other.execute("SET LOCAL lock_timeout = '2s'")
        other.execute("SELECT omc.stamp('human.sentiment')")
        told = preview_replay(_mended(source, doubles=1), database, EVER)

    assert told.collection.tables["human.sentiment"].changed == 1


def test_a_body_that_can_still_not_be_read_is_counted_and_the_others_are_reported(database: Database, sandboxed: Settings) -> None:
    source = dataclasses.replace(SOURCES["human_fear_greed"], name="human_unread")
    collect(source, database, sandboxed)
    collect(source, database, sandboxed)
    first = one(database, "SELECT min(fetched_at) FROM raw.fetch WHERE source = %s", source.name)

    def parse(payload: Payload, config: Any) -> Parsed:
        if payload.fetched_at == first:
            raise PayloadChangedError("human_unread: no")
        return source.parse(payload, config)

    told = preview_replay(dataclasses.replace(source, parse=parse), database, EVER)

    assert (told.unread, told.collection.payloads, str(told.failure)) == (1, 2, "human_unread: no")
    assert told.collection.rows > 0


def _omc(*arguments: str, settings: Settings) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", **settings.environ()}
    return subprocess.run([*OMC, *arguments], capture_output=True, text=True, env=environ, timeout=120, check=False)


@pytest.mark.slow
def test_a_person_sees_what_would_change_and_writes_it_with_apply(database: Database, sandboxed: Settings) -> None:
    source = SOURCES["human_fear_greed"]
    with database.connect("owner") as connection:
        connection.execute("DELETE FROM human.sentiment WHERE source = %s", [source.name])
        connection.execute("DELETE FROM raw.fetch WHERE source = %s", [source.name])
    collect(_mended(source, forgets=1, doubles=1, refuses=1), database, sandboxed)
    command = ("replay", source.name, "--from", "2020-01-01")

    for_a_person = _omc(*command, settings=sandboxed)
    told = json.loads(_omc(*command, "--json", settings=sandboxed).stdout)
    written = json.loads(_omc(*command, "--apply", "--json", settings=sandboxed).stdout)

    assert "--apply would write 2 new and 1 changed rows, put 0 into quarantine and release 1 from it" in for_a_person.stdout
    assert "human.sentiment" in for_a_person.stdout
    assert (told["applied"], written["applied"]) == (False, True)
    assert told["tables"] == written["tables"] == {"human.sentiment": {"inserted": 2, "changed": 1, "unchanged": 28}}
    assert [(len(told["examples"]["human.sentiment"]), told["opened"], told["resolved"])] == [(3, 0, 1)]
    assert "nothing would change" in _omc(*command, settings=sandboxed).stdout
