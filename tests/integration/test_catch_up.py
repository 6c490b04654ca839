"""What a platform that starts has missed is collected, as far as it can be."""

from __future__ import annotations

import dagster as dg
import pytest

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.in_process import catch_up
from omc_pipeline.in_process.catch_up import collect_due
from omc_pipeline.sandbox import serving

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_an_upstream_that_is_down_is_told_and_the_rest_goes_on(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody_listens = settings.model_copy(update={"sandbox_url": "http://127.0.0.1:9"})
    for name, value in nobody_listens.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(catch_up, "_due_ledgers", lambda _database: ["human"])

    with dg.DagsterInstance.ephemeral() as instance:
        failures = collect_due(database, instance)
        statuses = {run.job_name: run.status for run in instance.get_runs()}

    assert failures[0].startswith("job collect_human failed")
    assert "Connection refused" in failures[0]
    assert statuses["collect_human"] is dg.DagsterRunStatus.FAILURE
    assert statuses["value_positions"] is dg.DagsterRunStatus.SUCCESS
    assert "score_ledgers" in statuses


def test_what_failed_or_was_interrupted_last_runs_again_and_what_went_well_does_not(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "_due_ledgers", lambda _database: [])
    with dg.DagsterInstance.ephemeral() as instance, serving(settings) as url:
        for name, value in settings.model_copy(update={"sandbox_url": url}).environ().items():
            monkeypatch.setenv(name, value)
        for job, status in {
            "collect_human": dg.DagsterRunStatus.FAILURE,
            "collect_glass": dg.DagsterRunStatus.SUCCESS,
            "collect_catalyst": dg.DagsterRunStatus.CANCELED,
            "maintain_ledgers": dg.DagsterRunStatus.FAILURE,
        }.items():
            instance.add_run(dg.DagsterRun(job_name=job, status=status))

        collect_due(database, instance)
        again = {run.job_name: run.status for run in reversed(instance.get_runs())}
        ran = [run.job_name for run in instance.get_runs()]
        second = collect_due(database, instance)

    assert again["collect_human"] is again["collect_catalyst"] is dg.DagsterRunStatus.SUCCESS
    assert ran.count("collect_glass") == ran.count("maintain_ledgers") == 1
    assert {"value_positions", "score_ledgers"} <= set(ran)
    assert second == []
