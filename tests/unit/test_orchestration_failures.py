"""How failures reach Dagster: which are tried again, after which wait, and that no mechanism of Dagster retries the others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.dagster_run import DagsterRun, RunsFilter
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import filter_runs_to_should_retry

from omc_infra.errors import AccessDeniedError, OmcError, PayloadChangedError, RateLimitedError, UpstreamUnavailableError
from omc_infra.settings import PROJECT_ROOT
from omc_pipeline.definitions import build_definitions
from omc_pipeline.orchestration.failures import LONGEST_WAIT_S, MAX_RETRIES, translate_failures


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    configured = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text())
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"run_retries": configured["run_retries"], "telemetry": {"enabled": False}}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


def failing(error: OmcError, attempts: list[float], policy: dg.RetryPolicy | None = None) -> dg.AssetsDefinition:
    @dg.asset(retry_policy=policy)
    def collected() -> None:
        attempts.append(time.monotonic())
        with translate_failures():
            raise error

    return collected


@pytest.mark.parametrize(
    "error", [PayloadChangedError("the body changed"), AccessDeniedError("refused"), RateLimitedError("banned", retry_after_s=600)]
)
def test_a_failure_that_a_rerun_does_not_mend_is_tried_once_by_every_mechanism(instance: dg.DagsterInstance, error: OmcError) -> None:
    attempts: list[float] = []
    asset = failing(error, attempts, dg.RetryPolicy(max_retries=3))

    result = dg.materialize([asset], instance=instance, raise_on_error=False, tags={"dagster/max_retries": "3"})

    run = instance.get_run_by_id(result.run_id)
    assert not result.success
    assert len(attempts) == 1
    assert isinstance(run, DagsterRun)
    assert list(filter_runs_to_should_retry([run], instance)) == []
    assert len(instance.get_runs(RunsFilter())) == 1


def test_a_transient_failure_is_tried_again_after_the_wait_that_was_asked_for(instance: dg.DagsterInstance) -> None:
    attempts: list[float] = []
    asset = failing(RateLimitedError("slow down", retry_after_s=0.3), attempts)

    result = dg.materialize([asset], instance=instance, raise_on_error=False)

    assert not result.success
    assert len(attempts) == 1 + MAX_RETRIES
    assert all(later - earlier >= 0.3 for earlier, later in pairwise(attempts))


def raised(error: OmcError) -> Exception:
    with pytest.raises((dg.RetryRequested, dg.Failure)) as found, translate_failures():
        raise error
    return found.value


def test_a_wait_of_zero_seconds_is_a_wait_of_zero_seconds() -> None:
    asked = raised(RateLimitedError("again at once", retry_after_s=0))

    assert isinstance(asked, dg.RetryRequested)
    assert asked.seconds_to_wait == 0


def test_a_wait_longer_than_a_run_may_last_ends_the_run_and_says_how_long() -> None:
    failure = raised(UpstreamUnavailableError("back in ten minutes", retry_after_s=LONGEST_WAIT_S + 540))

    assert isinstance(failure, dg.Failure)
    assert (failure.allow_retries, failure.metadata["retry_after_s"].value) == (False, 600.0)


def test_no_job_or_asset_of_the_pipeline_has_a_retry_mechanism_of_its_own() -> None:
    definitions = build_definitions()

    for job in definitions.jobs or ():
        assert not [tag for tag in (job.tags or {}) if "retr" in tag], job.name
        resolved = definitions.resolve_job_def(job.name)
        policies = [node.name for node in resolved.nodes if resolved.get_node_named(node.name).retry_policy]
        assert policies == [], job.name
