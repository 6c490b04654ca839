"""The outcome of a run as people read it: interrupted is canceled, and a check that was never reached has not failed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from omc_infra.postgres.database import Database
from omc_infra.runs.instance import open_instance
from omc_infra.runs.outcome import settle
from omc_infra.settings import Settings

BEHAVIOUR = {"fact": "works", "check": "works"}


@dg.asset
def fact() -> None:
    """Work, fail, or be interrupted, as a test wants."""
    if BEHAVIOUR["fact"] == "fails":
        raise RuntimeError("the upstream is down")
    if BEHAVIOUR["fact"] == "is interrupted":
        os.kill(os.getpid(), signal.SIGINT)


@dg.asset_check(asset=fact)
def judged() -> dg.AssetCheckResult:
    if BEHAVIOUR["check"] == "fails":
        raise RuntimeError("the check itself is broken")
    return dg.AssetCheckResult(passed=True)


JOB = dg.Definitions(assets=[fact], asset_checks=[judged], executor=dg.in_process_executor).resolve_implicit_global_asset_job_def()
KEY = dg.AssetCheckKey(fact.key, "judged")


@pytest.fixture(scope="module")
def instance(settings: Settings, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    own = settings.model_copy(update={"home": tmp_path_factory.mktemp("home")})
    with open_instance(own, database, None) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _works() -> None:
    BEHAVIOUR.update(fact="works", check="works")


def run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """Run the job, as a process of a run does, and settle what came of it."""
    result = JOB.execute_in_process(instance=instance, raise_on_error=False)
    found = settle(instance, result.run_id)
    assert found is not None
    return found


def records(instance: dg.DagsterInstance) -> list[tuple[str, str]]:
    """Return run id and status of each record of the check, newest first."""
    found = instance.event_log_storage.get_asset_check_execution_history(KEY, limit=10)
    return [(record.run_id, record.status.value) for record in found]


def test_an_interrupted_run_is_canceled_and_its_check_is_not_shown_as_failed(instance: dg.DagsterInstance) -> None:
    good = run(instance)
    BEHAVIOUR["fact"] = "is interrupted"

    interrupted = run(instance)

    assert interrupted.status is dg.DagsterRunStatus.CANCELED
    assert records(instance)[0] == (good.run_id, AssetCheckExecutionRecordStatus.SUCCEEDED.value)


def test_a_check_whose_asset_failed_keeps_its_last_result_and_the_run_is_red(instance: dg.DagsterInstance) -> None:
    good = run(instance)
    BEHAVIOUR["fact"] = "fails"

    failed = run(instance)

    assert failed.status is dg.DagsterRunStatus.FAILURE
    assert records(instance)[0] == (good.run_id, AssetCheckExecutionRecordStatus.SUCCEEDED.value)


def test_a_check_that_is_broken_itself_is_still_shown_as_one_whose_execution_failed(instance: dg.DagsterInstance) -> None:
    BEHAVIOUR["check"] = "fails"

    failed = run(instance)

    assert records(instance)[0] == (failed.run_id, AssetCheckExecutionRecordStatus.PLANNED.value)  # of a run that failed


def test_a_run_that_succeeded_is_left_as_it_is(instance: dg.DagsterInstance) -> None:
    assert run(instance).status is dg.DagsterRunStatus.SUCCESS
