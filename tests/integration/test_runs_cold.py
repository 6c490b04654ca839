"""Runs that get an ordinary process: by their tags, by the table, by another launcher."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterRunStatus
from dagster._core.launcher.base import WorkerStatus

from omc_infra.postgres.database import Database
from omc_infra.runs.client import end_runs
from omc_infra.runs.routing import LAUNCHED_TAG, WISH_TAG

sys.path.insert(0, str(Path(__file__).parent))

from warm_home import FIXTURES, WarmHome, eventually, python_path, warm_home

pytestmark = pytest.mark.slow

HEAVY = {WISH_TAG: "process"}


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[WarmHome]:
    elsewhere = {"module": "warm_location.launcher", "class": "RememberingLauncher", "config": {"name": "far away"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path(FIXTURES))
        with warm_home(
            tmp_path_factory.mktemp("cold") / "home", database, routes=[{"job": "stub*", "to": "process"}], elsewhere=elsewhere
        ) as opened:
            yield opened


def test_a_heavy_run_gets_a_process_of_its_own_without_a_warm_server(cold: WarmHome) -> None:
    run_id = cold.launch("light", tags=HEAVY)

    assert cold.ended(run_id) is DagsterRunStatus.SUCCESS, cold.messages(run_id)
    assert cold.run(run_id).tags[LAUNCHED_TAG] == "process"
    assert cold.facts(run_id)["pid"] == cold.facts(run_id)["session"] == cold.process(run_id).pid
    assert cold.launcher._client.ask("status") is None


def test_a_heavy_run_whose_process_is_killed_has_failed_within_seconds(cold: WarmHome, tmp_path: Path) -> None:
    run_id = cold.launch_waiting(60, tmp_path / "mark", HEAVY)
    assert cold.launcher.check_run_worker_health(cold.run(run_id)).status is WorkerStatus.RUNNING

    os.kill(cold.process(run_id).pid, signal.SIGKILL)

    assert eventually(lambda: cold.run(run_id).is_finished, "the killed run to end") < 5
    assert cold.run(run_id).status is DagsterRunStatus.FAILURE
    assert "was terminated by signal 9 (SIGKILL)" in cold.messages(run_id)


def test_a_heavy_run_that_ignores_its_termination_is_killed_and_canceled(cold: WarmHome, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    run_id = cold.launch("stubborn", {"ops": {"ignore_interrupts": {"config": {"mark": str(mark)}}}})
    eventually(mark.exists, "the run to reach its step")

    assert cold.launcher.terminate(run_id)

    assert cold.ended(run_id) is DagsterRunStatus.CANCELED
    eventually(lambda: not cold.process(run_id).lives, "its process to end")


def test_a_run_canceled_before_its_process_is_ready_never_executes(cold: WarmHome) -> None:
    run_id = cold.launch("light", tags=HEAVY)

    assert cold.launcher.terminate(run_id)

    assert cold.ended(run_id) is DagsterRunStatus.CANCELED
    eventually(lambda: not (cold.folder / "warm" / "runs" / f"{run_id}.log").exists(), "its process to end")
    assert cold.run(run_id).status is DagsterRunStatus.CANCELED
    assert "STEP_START" not in {entry.dagster_event_type.value for entry in cold.instance.all_logs(run_id) if entry.dagster_event_type}


def test_a_run_for_elsewhere_is_handed_to_the_launcher_that_is_configured(cold: WarmHome) -> None:
    run_id = cold.launch("light", tags={WISH_TAG: "elsewhere"})

    assert cold.run(run_id).tags[LAUNCHED_TAG] == "RememberingLauncher"
    assert cold.launcher.check_run_worker_health(cold.run(run_id)).msg == f"far away has {run_id}"
    assert cold.launcher.terminate(run_id)


def test_a_run_that_wishes_for_what_there_is_not_goes_by_the_table_and_its_log_says_so(cold: WarmHome) -> None:
    run_id = cold.launch("light", tags={WISH_TAG: "proces", "dagster/backfill": "some"})

    assert "omc/launch='proces' is not one of warm, process, elsewhere; it is ignored" in cold.messages(run_id)
    cold.ended(run_id)
    assert cold.run(run_id).tags[LAUNCHED_TAG] == "process"


def test_a_platform_that_ends_its_runs_ends_ordinary_processes_too(cold: WarmHome, tmp_path: Path) -> None:
    run_id = cold.launch_waiting(60, tmp_path / "mark", HEAVY)

    end_runs(cold.folder)

    assert not cold.process(run_id).lives
    assert cold.ended(run_id) is DagsterRunStatus.CANCELED
