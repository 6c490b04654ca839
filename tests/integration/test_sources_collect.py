"""Collecting from the sandbox over HTTP into a real database, on good days and on bad ones."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen

import psycopg
import pytest
from pydantic import SecretStr

from omc_infra.errors import (
    DatabaseUnavailableError,
    NotConfiguredError,
    OmcError,
    PayloadChangedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.items import refusal
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.replay import replay
from omc_pipeline.collection.source import Fetch, FetchContext, Parsed, Source
from omc_pipeline.collection.tally import Collection
from omc_pipeline.ledgers.quarantine import open_rows
from omc_pipeline.sandbox import serving

SOURCES = discover_sources()
EVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    """Run a sandbox for the module."""
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def _spoil(settings: Settings, upstream: str, kind: str, count: int = 1) -> None:
    body = json.dumps({"upstream": upstream, "kind": kind, "count": count, "seconds": 0.1}).encode()
    urlopen(Request(f"{settings.sandbox_url}/_control/faults", body, {"Content-Type": "application/json"}), timeout=5).close()


def _impatient(source: Source) -> Source:
    quick = {"attempts": 1, "requests_per_s": 1_000.0, "burst": 100}
    others = {name: dataclasses.replace(policy, **quick) for name, policy in source.policy.others.items()}  # type: ignore[union-attr]
    return dataclasses.replace(source, policy=dataclasses.replace(source.policy, others=others, **quick))  # type: ignore[type-var]


def _fetching(source: Source, fetch: Fetch) -> Source:
    return dataclasses.replace(source, endpoints=(dataclasses.replace(source.endpoints[0], fetch=fetch),))


def _one(database: Database, statement: str, *values: object) -> Any:
    with database.connect("reader") as connection:
        row = connection.execute(statement, values).fetchone()
    return row[0] if row else None


def _added(collection: Collection) -> int:
    return sum(appended.inserted + appended.changed for appended in collection.tables.values())


OF_CHANGES = {"catalyst_coinspot_listings", "exchange_ccxt_account"}
"""Derived from changes of their input, of which a sandbox that just began has none, or of accounts that somebody has to add; tested with
rows of their own."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SOURCES.keys() - OF_CHANGES))
def test_every_source_fills_its_tables_and_finds_nothing_new_in_the_same_payloads(
    database: Database, sandboxed: Settings, name: str
) -> None:
    source = SOURCES[name]
    for of_input in source.inputs:
        collect(SOURCES[of_input], database, sandboxed)

    collection = collect(source, database, sandboxed)
    again = replay(source, database, *EVER)

    assert set(collection.tables) == {table.qualified for table in source.tables}
    assert all(appended.inserted > 0 for appended in collection.tables.values())
    assert collection.quarantined == 0
    assert collection.observed_from is not None
    assert collection.observed_to is not None
    assert collection.lateness_s is not None
    assert collection.observed_from <= collection.observed_to
    assert (_added(again), again.rows, again.payloads) == (0, collection.rows, collection.payloads)


def test_every_row_names_the_stored_body_it_was_read_from(database: Database, sandboxed: Settings) -> None:
    collect(SOURCES["catalyst_sec_edgar"], database, sandboxed)

    orphans = "SELECT count(*) FROM catalyst.event e WHERE NOT EXISTS (SELECT FROM raw.payload p WHERE p.sha256 = e.payload_sha256)"
    assert _one(database, orphans) == 0


def test_an_unchanged_answer_is_not_sent_again_and_still_proves_freshness(database: Database, sandboxed: Settings) -> None:
    source = SOURCES["catalyst_sec_edgar"]
    collect(source, database, sandboxed)
    bodies = _one(database, "SELECT count(*) FROM raw.payload")

    again = collect(source, database, sandboxed, endpoints=[source.endpoint("submissions")])

    assert (_added(again), again.payloads) == (0, 5)
    assert _one(database, "SELECT count(*) FROM raw.fetch WHERE source = %s AND status = 304", source.name) >= 5
    assert _one(database, "SELECT count(*) FROM raw.payload") == bodies


def test_a_collection_moves_the_watermarks_of_all_tables_that_nobody_writes_to(database: Database, sandboxed: Settings) -> None:
    began = _one(database, "SELECT clock_timestamp()")

    collect(SOURCES["human_fear_greed"], database, sandboxed)

    assert _one(database, "SELECT min(closed_at) FROM omc.knowledge") > began


def test_a_fill_belongs_to_the_configured_user(database: Database, sandboxed: Settings) -> None:
    source = SOURCES["exchange_coinspot_account"]
    collect(source, database, sandboxed.model_copy(update={"user": "grace"}))

    assert _one(database, "SELECT count(*) FROM exchange.fill WHERE user_id = 'grace'") > 0


def test_real_keys_never_reach_the_sandbox(database: Database, sandboxed: Settings) -> None:
    mistaken = sandboxed.model_copy(update={"keys": {"coinspot": SecretStr("real"), "coinspot_secret": SecretStr("real")}})

    assert collect(SOURCES["exchange_coinspot_account"], database, mistaken).rows > 0


def test_a_live_source_without_its_keys_is_not_configured_before_anything_is_asked(database: Database, settings: Settings) -> None:
    live = settings.model_copy(update={"profile": "live"})

    with pytest.raises(NotConfiguredError, match=r"OMC_KEY_COINSPOT\w* and OMC_KEY_COINSPOT_SECRET"):
        collect(SOURCES["exchange_coinspot_account"], database, live)


@pytest.mark.parametrize(
    ("kind", "error"), [("500", UpstreamUnavailableError), ("malformed", PayloadChangedError), ("reset", UpstreamUnavailableError)]
)
def test_an_upstream_that_fails_is_a_failure_and_never_an_empty_success(
    database: Database, sandboxed: Settings, kind: str, error: type[OmcError]
) -> None:
    source = _impatient(SOURCES["human_fear_greed"])
    _spoil(sandboxed, "fng", kind)

    with pytest.raises(error, match="human_fear_greed"):
        collect(source, database, sandboxed)

    assert collect(source, database, sandboxed).rows > 0


def test_a_malformed_body_stays_in_the_raw_store(database: Database, sandboxed: Settings) -> None:
    source = _impatient(SOURCES["exchange_coinspot_prices"])
    before = _one(database, "SELECT count(*) FROM raw.fetch WHERE source = %s", source.name)
    _spoil(sandboxed, "coinspot", "malformed")

    with pytest.raises(PayloadChangedError):
        collect(source, database, sandboxed)

    assert _one(database, "SELECT count(*) FROM raw.fetch WHERE source = %s", source.name) == before + 1


def test_one_spoiled_answer_does_not_keep_the_others_out(database: Database, sandboxed: Settings) -> None:
    source = _impatient(SOURCES["glass_defillama"])
    _spoil(sandboxed, "defillama_coins", "malformed")
    before = _one(database, "SELECT count(*) FROM raw.fetch WHERE source = %s AND status = 200", source.name)

    with pytest.raises(PayloadChangedError, match="glass_defillama"):
        collect(source, database, sandboxed)

    assert _one(database, "SELECT count(*) FROM raw.fetch WHERE source = %s AND status = 200", source.name) == before + 20


def test_duplicated_rows_of_an_upstream_are_rows_once(database: Database, sandboxed: Settings) -> None:
    source = _impatient(SOURCES["human_fear_greed"])
    collect(source, database, sandboxed)
    rows = _one(database, "SELECT count(*) FROM human.sentiment")
    _spoil(sandboxed, "fng", "duplicate")

    collect(source, database, sandboxed)

    assert _one(database, "SELECT count(*) FROM human.sentiment") == rows


def test_an_account_that_answers_everything_twice_gains_no_fills(database: Database, sandboxed: Settings) -> None:
    source, settings = _impatient(SOURCES["exchange_coinspot_account"]), sandboxed.model_copy(update={"user": "doubled"})
    _spoil(sandboxed, "coinspot", "duplicate", count=2)

    with pytest.raises(PayloadChangedError, match="repeats itself"):
        collect(source, database, settings)

    assert _one(database, "SELECT count(*) FROM exchange.fill WHERE user_id = 'doubled'") == 0


def test_two_collections_at_once_add_nothing_twice_and_mix_up_no_nonces(database: Database, sandboxed: Settings) -> None:
    source, settings = SOURCES["exchange_coinspot_account"], sandboxed.model_copy(update={"user": "twins"})
    failures: list[OmcError] = []

    def work() -> None:
        try:
            collect(source, database, settings)
        except OmcError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    counts = "SELECT count(*) = count(DISTINCT fill_id) AND count(*) > 0 FROM exchange.fill WHERE user_id = 'twins'"
    assert _one(database, counts)


def test_rows_accepted_by_a_mended_parser_leave_the_quarantine_in_a_replay(database: Database, sandboxed: Settings) -> None:
    known = SOURCES["human_fear_greed"]

    def strict(payload: Payload, config: SourceConfig) -> Parsed:
        parsed = known.parse(payload, config)
        return Parsed(parsed.rows[1:], [refusal("too new", {"score": str(parsed.rows[0].score)})])  # type: ignore[attr-defined]

    broken = dataclasses.replace(_impatient(known), name="human_mended", parse=strict)
    mended = dataclasses.replace(known, name="human_mended")
    collected = collect(broken, database, sandboxed)
    with database.connect("reader") as connection:
        held = open_rows(connection, "human_mended")

    replayed = replay(mended, database, *EVER)

    with database.connect("reader") as connection:
        left = open_rows(connection, "human_mended")
    assert (collected.quarantined, [row.reason for row in held]) == (1, ["too new"])
    assert (replayed.tables["human.sentiment"].inserted, replayed.resolved, left) == (1, 1, [])


def test_a_source_whose_rows_are_all_refused_is_a_failure_with_the_rows_in_quarantine(database: Database, sandboxed: Settings) -> None:
    source = dataclasses.replace(
        SOURCES["human_fear_greed"],
        name="human_refused",
        parse=lambda *_: Parsed([], [refusal("no day", {"day": 1}), refusal("no", {"day": 2})]),
    )

    with pytest.raises(PayloadChangedError, match="all 2 rows were refused; reason of the first one: no day"):
        collect(source, database, sandboxed)

    with database.connect("reader") as connection:
        assert len(open_rows(connection, "human_refused")) == 2


def test_a_source_that_fetches_nothing_is_a_failure(database: Database, sandboxed: Settings) -> None:
    source = _fetching(SOURCES["human_fear_greed"], lambda _: iter(()))

    with pytest.raises(UpstreamRefusedError, match="no payload"):
        collect(source, database, sandboxed)


def test_what_came_before_a_failure_is_kept_and_asked_from_there(database: Database, sandboxed: Settings) -> None:
    known, seen = SOURCES["human_fear_greed"], []

    def fetch(context: FetchContext) -> Iterator[Payload]:
        seen.append(context.since)
        yield context.http.get("/fng/", params={"limit": "2"})
        raise UpstreamUnavailableError("gone")

    source = dataclasses.replace(_fetching(_impatient(known), fetch), name="human_halved")
    for _ in range(2):
        with pytest.raises(UpstreamUnavailableError, match="gone"):
            collect(source, database, sandboxed)

    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert seen[0] is None
    assert midnight - timedelta(days=1) <= seen[1] <= midnight
    assert _one(database, "SELECT count(*) FROM human.sentiment WHERE source = 'human_halved'") == 2


def test_rows_of_a_foreign_table_are_refused_before_they_are_written(database: Database, sandboxed: Settings) -> None:
    source = dataclasses.replace(SOURCES["human_fear_greed"], name="human_foreign", tables=SOURCES["glass_defillama"].tables)

    with pytest.raises(PayloadChangedError, match=r"made rows for human\.sentiment"):
        collect(source, database, sandboxed)

    assert _one(database, "SELECT count(*) FROM human.sentiment WHERE source = 'human_foreign'") == 0


def test_a_database_that_goes_away_is_named_as_such(database: Database, sandboxed: Settings) -> None:
    name = database.name

    def fetch(context: FetchContext) -> Iterator[Payload]:
        with psycopg.connect(sandboxed.database_url.get_secret_value()) as admin:  # type: ignore[union-attr]
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'omc writer' AND datname = %s", [name]
            )
        yield context.http.get("/fng/", params={"limit": "1"})

    source = _fetching(SOURCES["human_fear_greed"], fetch)

    with pytest.raises(DatabaseUnavailableError, match="PostgreSQL"):
        collect(source, database, sandboxed)
