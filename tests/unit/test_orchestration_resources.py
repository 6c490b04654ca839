"""What run config may set: options of ops, never where data comes from and goes to."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.definitions.job_definition import JobDefinition
from dagster._core.execution.api import create_execution_plan

from omc_agents.definitions import build_definitions as build_agents
from omc_pipeline.definitions import build_definitions


def jobs() -> list[JobDefinition]:
    locations = [build_definitions(), build_agents()]
    return [definitions.resolve_job_def(job.name) for definitions in locations for job in definitions.jobs or ()]


@pytest.mark.parametrize("job", jobs(), ids=lambda job: job.name)
def test_run_config_can_not_set_a_variable_of_a_resource(job: JobDefinition) -> None:
    for name in job.resource_defs:
        config = {"resources": {name: {"config": {"variables": {"OMC_DATABASE_URL": "postgresql://evil.example/x"}}}}}
        with pytest.raises(dg.DagsterInvalidConfigError):
            create_execution_plan(job, run_config=config)


def test_every_job_may_be_launched_without_run_config_but_those_that_need_a_batch() -> None:
    refused = []
    for job in jobs():
        try:
            create_execution_plan(job)
        except dg.DagsterInvalidConfigError:
            refused.append(job.name)

    assert refused == ["brief_catalysts"]
