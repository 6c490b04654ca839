"""A year of three sources: one run each for the whole range, killed half way, and completed by the same run once more."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from sandboxed import one

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.orchestration.history import history_assets
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.sandbox import serving

DAYS = 365
LAST = datetime.now(UTC).date() - timedelta(days=2)
FIRST = LAST - timedelta(days=DAYS - 1)
TABLES = {"human_fear_greed": "human.sentiment", "glass_coin_prices": "glass.coin_price", "glass_defillama": "glass.coin_price"}
"""Sources whose past the sandbox has for a year, and the table in which each day of it has rows."""
RUN = """
import sys
sys.path[:0] = {path!r}
from test_backfill_year import run
run({name!r}, {environ!r})
"""


def run(name: str, environ: dict[str, str]) -> dg.ExecuteInProcessResult:
    """Materialize the year of one source's history as Dagster does a backfill of a range: by one run."""
    source = discover_sources()[name]
    (asset,) = history_assets([source])
    assert asset.backfill_policy == dg.BackfillPolicy.single_run()
    return dg.materialize(
        [asset],
        resources={"platform": Platform(variables=environ)},
        tags={"dagster/asset_partition_range_start": FIRST.isoformat(), "dagster/asset_partition_range_end": LAST.isoformat()},
    )


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def _days(database: Database, name: str) -> set[date]:
    with database.connect("reader") as connection:
        query = f"SELECT DISTINCT (observed_at AT TIME ZONE 'UTC')::date FROM {TABLES[name]} WHERE source = %s"
        return {day for (day,) in connection.execute(query, [name]) if FIRST <= day <= LAST}


def _facts(database: Database, name: str) -> tuple[Any, ...]:
    with database.connect("reader") as connection:
        row = connection.execute(f"SELECT count(*), max(version) FROM {TABLES[name]} WHERE source = %s", [name]).fetchone()
    assert row
    return row


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_year_of_three_sources_is_killed_half_way_and_completed_without_duplicates(
    database: Database, sandboxed: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    environ, spent_s = dict(sandboxed.environ()), 0.0
    for name in TABLES:
        began = time.monotonic()
        if name == "glass_defillama":
            _killed_half_way(database, name, environ)
            assert 0 < len(_days(database, name)) < DAYS
            known = _facts(database, name)
            began = time.monotonic()
        result = run(name, environ)
        spent_s += time.monotonic() - began
        assert result.success
        assert len(result.asset_materializations_for_node(f"{name.replace('_', '__', 1)}_history")) == DAYS
        assert _days(database, name) == {FIRST + timedelta(days=n) for n in range(DAYS)}
        again = _facts(database, name)
        assert again[1] == 1, "a day that was collected twice is no second version"
    assert again[0] > known[0]
    assert one(database, "SELECT count(*) FROM raw.quarantine") == 0
    with capfd.disabled():
        sys.stdout.write(f"\n365 days of {len(TABLES)} sources: {spent_s:.0f} s\n")


def _killed_half_way(database: Database, name: str, environ: dict[str, str]) -> None:
    script = RUN.format(path=[*sys.path, str(__file__).rpartition("/")[0]], name=name, environ=environ)
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    told = ""
    try:
        deadline = time.monotonic() + 400
        while len(_days(database, name)) < DAYS / 2:
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        child.send_signal(signal.SIGKILL)
        _, told = child.communicate()
    assert f"{FIRST} to {LAST}: " in told, "how far it has come is told while it runs"
    assert "answers read" in told
