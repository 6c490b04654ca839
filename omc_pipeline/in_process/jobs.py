"""The pipeline's jobs run in this process, recorded in the Dagster instance like any other run."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

from omc_infra.errors import MachineError, RetryableError
from omc_infra.machine import means_full_disk
from omc_infra.runs.outcome import settle
from omc_infra.runs.process import RunProcess
from omc_infra.runs.routing import PROCESS_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagster import DagsterInstance, Definitions, ExecuteInProcessResult, JobDefinition

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class JobFailedError(RetryableError):
    """A run or one of its blocking checks failed; the message says where to look."""

    advice = "Look at the failing checks with `omc quality`, or at the run in the Dagster UI, then run it again."


class PipelineJobs:
    """Jobs of the code location ``omc_pipeline``, run one after another in this interpreter."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._instance = instance

    @cached_property
    def _definitions(self) -> Definitions:
        from omc_pipeline.definitions import build_definitions

        return build_definitions()

    @property
    def names(self) -> list[str]:
        """The names of all jobs, collection jobs first."""
        return sorted((job.name for job in self._definitions.jobs or ()), key=lambda name: (not name.startswith("collect_"), name))

    def collect(self, ledger: str) -> None:
        """Run every collection job of a ledger.

        Raises:
            JobFailedError: A run or one of its blocking checks failed.
        """
        for name in self.collections_of(ledger):
            self.run(name)

    def collections_of(self, ledger: str) -> list[str]:
        """Return the names of a ledger's collection jobs."""
        return sorted(job.name for job in self._definitions.jobs or () if job.name.startswith(f"collect_{ledger}"))

    def run(self, name: str) -> None:
        """Run one job; a job that collects accounts runs once for each account.

        Raises:
            JobFailedError: A run or one of its blocking checks failed.
            MachineError: A disk is full.
            KeyboardInterrupt: It was interrupted; the run is canceled.
        """
        from omc_pipeline.orchestration.accounts import tags_of_runs

        job = self._definitions.resolve_job_def(name)
        failures = [failure for tags in tags_of_runs(job, self._instance) if (failure := self._failure(job, tags)) is not None]
        if failures:
            raise JobFailedError("; ".join(failures))

    def _failure(self, job: JobDefinition, tags: Mapping[str, str]) -> str | None:
        run_id = str(uuid4())
        tags = {**tags, PROCESS_TAG: RunProcess.current(run_id).as_tag()}
        result = job.execute_in_process(_QUIET, instance=self._instance, raise_on_error=False, tags=tags, run_id=run_id)
        if not result.success:
            return self._why(job.name, run_id, result)
        red = [
            f"{e.check_name} of {e.asset_key.to_user_string()}"
            for e in result.get_asset_check_evaluations()
            if not e.passed and e.severity.value == "ERROR"
        ]
        return f"job {job.name}: check {', '.join(red)} failed" if red else None

    def _why(self, name: str, run_id: str, result: ExecuteInProcessResult) -> str:
        """Record the outcome of an unsuccessful run and return the reason; raise if no other run would succeed either."""
        from dagster import DagsterRunStatus

        run, reason = settle(self._instance, run_id), _first_failure(result)
        if run is not None and run.status is DagsterRunStatus.CANCELED:
            raise KeyboardInterrupt
        if means_full_disk(reason):
            raise MachineError(f"job {name}: a disk is full: {reason}")
        return f"job {name} failed: {reason}"


def _first_failure(result: ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            cause = (error.cause or error) if error else None
            if cause is not None:
                return " ".join(cause.message.split())
    return "see its run in the Dagster UI"
