"""``kill -9`` of each part of a running platform, in turn and together: it mends itself, no event is lost, no brief is doubled."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg
import pytest
import sqlalchemy as sa

from omc_agents.benches.landing import await_briefs, doubled, land
from omc_agents.benches.platform_run import BenchPlatform, bench_platform
from omc_agents.benches.samples import POSTGRES, RUNS, platform_processes
from omc_infra.errors import OmcError
from omc_infra.services.platform import RunningPlatform

VICTIMS = ("warm server", RUNS, "code servers", "daemon", POSTGRES)
PATIENCE_S = 120.0
START_TIMEOUT_S = 90.0
"""``start_timeout_seconds`` of dagster.yaml."""
UNFINISHED = (
    "SELECT pipeline_name, status, run_id FROM dagster.runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED') AND id <= :newest"
)
NEWEST = "SELECT max(id) FROM dagster.runs"
QUOTES = "SELECT count(*) FROM raw.fetch WHERE source = 'exchange_coinspot_prices' AND status = 200"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_platform_whose_parts_are_killed_in_turn_and_together_goes_on() -> None:
    with bench_platform("warm") as bench, kept_up(bench.platform):
        platform = bench.platform
        never_launched = platform.instance.create_run_for_job(forgotten)
        land(platform.database, "first")
        await_briefs(platform.database, "first", 1, PATIENCE_S)

        for victims in (*((victim,) for victim in VICTIMS), VICTIMS):
            name = "-".join(victims).replace(" ", "")
            survive(lambda name=name: land(platform.database, f"{name}-before", 3))  # type: ignore[misc]
            kill(platform, victims)
            survive(lambda name=name: land(platform.database, f"{name}-after", 3))  # type: ignore[misc]
            await_all(platform, name)

        # Not "no run": some source is sampled nearly always, and its run lasts most of a minute.
        newest, fetched = count(platform, "dagster", NEWEST), count(platform, "reader", QUOTES)
        eventually(lambda: count(platform, "reader", QUOTES) > fetched, "the next tick to collect")
        eventually(lambda: launches(bench), "the UI to launch a run")
        assert unfinished_after(START_TIMEOUT_S + PATIENCE_S, platform, newest) == []
        assert platform.instance.get_run_by_id(never_launched.run_id).status is dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
        assert doubled(platform.database, "%") == 0


@dg.job
def forgotten() -> None:
    """A run whose launch fails after it was created looks like one of these."""


@contextmanager
def kept_up(platform: RunningPlatform) -> Iterator[None]:
    """Watch over the services and PostgreSQL as ``omc up`` does."""
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(1.0):
            list(platform.watch())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()


def launches(bench: BenchPlatform) -> bool:
    """Launch a run as the UI does; it takes a while until the webserver has its code servers and connections again."""
    try:
        return bench.await_run(bench.launch("omc_pipeline", "collect_human")) == "SUCCESS"
    except (OSError, OmcError, KeyError, TypeError, ValueError):
        return False


def kill(platform: RunningPlatform, kinds: tuple[str, ...]) -> None:
    """Kill every process of these kinds; a run is waited for, there is not always one."""
    found = [process for process, kind in platform_processes(platform) if kind in kinds]
    deadline = time.monotonic() + 30
    while kinds == (RUNS,) and not found and time.monotonic() < deadline:
        found = [process for process, kind in platform_processes(platform) if kind == RUNS]
    assert found, f"no process of {kinds}"
    for process in found:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def survive(act: Callable[[], None]) -> None:
    """Do something as soon as the database answers again."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except Exception:  # noqa: BLE001 a dying database raises what has no common base
            assert time.monotonic() < deadline
            time.sleep(0.5)


def await_all(platform: RunningPlatform, name: str) -> None:
    survive(lambda: await_briefs(platform.database, f"{name}-before", 3, PATIENCE_S))
    survive(lambda: await_briefs(platform.database, f"{name}-after", 3, PATIENCE_S))


def unfinished_after(patience_s: float, platform: RunningPlatform, newest: int) -> list[object]:
    """Wait for the end of every run up to ``newest`` and answer those that have not ended."""
    deadline = time.monotonic() + patience_s
    while (found := rows(platform, "dagster", UNFINISHED, newest=newest)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def rows(platform: RunningPlatform, role: str, query: str, **values: int) -> list[object]:
    with platform.database.engine(role).connect() as connection:  # type: ignore[arg-type]
        return list(connection.execute(sa.text(query), values))


def count(platform: RunningPlatform, role: str, query: str) -> int:
    return int(rows(platform, role, query)[0][0])  # type: ignore[index]


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s for {what}"
        time.sleep(0.5)
