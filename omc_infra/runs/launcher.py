"""Dagster's run launcher of this platform: light runs fork from the warm server, heavy ones get a process of their own.

In ``dagster.yaml``::

    run_launcher:
      module: omc_infra.runs.launcher
      class: WarmRunLauncher
      config:
        locations: [omc_pipeline.definitions, omc_agents.definitions]
        preload: [great_expectations, pandas]
        routes: [{job: "export_*", to: process}]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import structlog
from dagster import Array, DagsterInstance, DagsterRun, Field
from dagster._config.config_schema import UserConfigSchema
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, ResumeRunContext, RunLauncher, WorkerStatus
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value

from omc_infra.errors import ConfigurationError
from omc_infra.runs.client import ServerCommand, WarmClient, WarmServerUnavailableError
from omc_infra.runs.cold import start_process
from omc_infra.runs.ending import end_process
from omc_infra.runs.places import Places, places_of, tail
from omc_infra.runs.process import RunProcess
from omc_infra.runs.protocol import Order
from omc_infra.runs.routing import LAUNCHED_TAG, PROCESS_TAG, rules_of, target_of, unknown_wish
from omc_infra.runs.variables import Handover
from omc_infra.runs.worker import OUTCOME_RECORDED

log = structlog.get_logger()

_OPTIONAL = Field(str, is_required=False)
_CONFIG = {
    "locations": Field(Array(str), default_value=[], description="Modules of the code locations to preload."),
    "preload": Field(Array(str), default_value=[], description="Libraries to import in advance, if they are installed."),
    "warm": Field(bool, default_value=True, description="False: every run gets its own process."),
    "max_children": Field(int, default_value=8, description="Maximum number of warm runs at the same time. More runs wait."),
    "grace_s": Field(float, default_value=10.0, description="Time between the request to end a run and killing it."),
    "answer_s": Field(float, default_value=60.0, description="Time that a launch waits for a server that is still loading."),
    "idle_exit_s": Field(float, default_value=60.0, description="Time after which a server without a launcher and without runs ends."),
    "routes": Field(
        Array({"to": str, "tag": _OPTIONAL, "value": _OPTIONAL, "job": _OPTIONAL}),
        default_value=[],
        description="Rules that come before those of omc_infra.runs.routing; `to` is warm, process or elsewhere.",
    ),
    "elsewhere": Field(
        {"module": str, "class": str, "config": Field(dict, default_value={})},
        is_required=False,
        description="Launcher of the runs that are routed elsewhere, such as EcsRunLauncher of dagster_aws.ecs.",
    ),
}


_BOUNDS = {"max_children": (1, 1000), "grace_s": (0, 3600), "answer_s": (0, 3600), "idle_exit_s": (0, 86_400)}
"""Least and most of each number; Dagster's own schema takes any, also one that is infinite."""


class WarmRunLauncher(RunLauncher[DagsterInstance], ConfigurableClass):
    """Launch each run where the routing table sends it; every run says by its tag ``omc/launched`` what it got.

    Args:
        config: See ``config_type``; validated by Dagster.
        inst_data: Where the configuration was read.
    """

    def __init__(self, config: Mapping[str, Any], inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inst_data = inst_data
        self._config = config
        self._rules = rules_of(config["routes"])
        _require_numbers_in_bounds(config)
        self._handover = Handover()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Where the configuration was read."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the fields of ``config`` in ``dagster.yaml``."""
        return _CONFIG

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> WarmRunLauncher:
        """Build the launcher from its block in ``dagster.yaml``."""
        return cls(config_value, inst_data)

    def warm_up(self) -> None:
        """Start the server now, so that the first run need not wait for it; does nothing where no run can be warm."""
        if self._config["warm"] and self._why_cold() is None:
            try:
                self._client.warm_up()
            except (WarmServerUnavailableError, OSError) as error:
                log.warning("cannot start the warm server", reason=str(error))

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start a run; one that should be warm and cannot is started as an ordinary process, with a warning in its log."""
        run = context.dagster_run
        if ignored := unknown_wish(run.tags):
            log.warning(ignored, run=run.run_id)
            self._instance.report_engine_event(ignored, run, cls=type(self))
        if self._target(run) == "elsewhere":
            self._instance.add_run_tags(run.run_id, {LAUNCHED_TAG: self._config["elsewhere"]["class"]})
            self._elsewhere.launch_run(context)
        else:
            self._start(run, resume=False)

    @property
    def supports_resume_run(self) -> bool:
        """Runs whose process died can go on with the steps that had not finished."""
        return True

    def resume_run(self, context: ResumeRunContext) -> None:
        """Start a new process for a run whose process died."""
        if self._is_elsewhere(context.dagster_run):
            self._elsewhere.resume_run(context)
        else:
            self._start(context.dagster_run, resume=True)

    def terminate(self, run_id: str) -> bool:
        """Ask a run to end; it is killed after its grace. A run nobody executes yet is canceled at once.

        Returns:
            False where it had already ended.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if self._is_elsewhere(run):
            return self._elsewhere.terminate(run_id)
        self._instance.report_run_canceling(run)
        answer = self._client.ask("terminate", run_id) or {}
        process = RunProcess.of_tag(run.tags.get(PROCESS_TAG), run_id)
        if answer.get("state") == "signalled" or (process is not None and end_process(self._instance, process, self._config["grace_s"])):
            return True
        self._instance.report_run_canceled(run, "Canceled before any process executed the run.")
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask after each started run."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Look for the run's process by pid and start time, which needs no server; ask the server how it ended."""
        if self._is_elsewhere(run):
            return self._elsewhere.check_run_worker_health(run)
        process = RunProcess.of_tag(run.tags.get(PROCESS_TAG), run.run_id)
        if process is not None and process.lives:
            return CheckRunHealthResult(WorkerStatus.RUNNING, run_worker_id=str(process.pid))
        if process is None and LAUNCHED_TAG not in run.tags:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "executed by a process that no launcher started")
        answer = self._client.ask("health", run.run_id) or {}
        if answer.get("state") in {"running", "waiting"}:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if answer.get("state") == "ended" and answer["exit_code"] == OUTCOME_RECORDED:
            return CheckRunHealthResult(WorkerStatus.SUCCESS)
        if answer.get("state") == "ended":
            return CheckRunHealthResult(WorkerStatus.FAILED, f"process {answer['pid']} ended with {answer['exit_code']}")
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, f"process {process.pid} of {process.host} is gone" if process else "no process is known"
        )

    def get_run_worker_debug_info(self, run: DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """Return what the run's process printed last."""
        last_words = tail(self._places.run_log(run.run_id))
        return f"The run's process printed last:\n{last_words}" if last_words else None

    def dispose(self) -> None:
        """Let go of the warm server."""
        if "_client" in self.__dict__:
            self._client.close()
        self._handover.close()

    @cached_property
    def _places(self) -> Places:
        return places_of(Path(self._instance.root_directory))

    @cached_property
    def _client(self) -> WarmClient:
        return WarmClient(ServerCommand(self._places, self._options()))

    @cached_property
    def _elsewhere(self) -> RunLauncher[DagsterInstance]:
        import yaml

        configured = self._config.get("elsewhere")
        if configured is None:
            raise ConfigurationError("run_launcher: a run is routed elsewhere, but config.elsewhere has no launcher")
        data = ConfigurableClassData(configured["module"], configured["class"], yaml.safe_dump(dict(configured["config"])))
        launcher = cast(RunLauncher[DagsterInstance], data.rehydrate())
        launcher.register_instance(self._instance)
        return launcher

    def _options(self) -> list[str]:
        ref = self._instance.get_ref()
        parts = (ref.storage_data, ref.compute_logs_data, ref.local_artifact_storage_data, ref.run_coordinator_data)
        modules = [part.module_name for part in parts if part is not None]
        drivers = ["psycopg2.extras"] if "dagster_postgres" in " ".join(modules) else []
        options = [f"--location={name}" for name in self._config["locations"]]
        options += [f"--preload={name}" for name in dict.fromkeys([*self._config["preload"], *modules, *drivers])]
        limits = {"max-children": "max_children", "grace": "grace_s", "idle-exit": "idle_exit_s"}
        return options + [f"--{option}={self._config[field]}" for option, field in limits.items()]

    def _target(self, run: DagsterRun) -> str:
        target = target_of(run.job_name, run.tags, self._rules)
        if (target == "elsewhere" and self._config.get("elsewhere") is None) or (target == "warm" and not self._config["warm"]):
            return "process"
        return target

    def _is_elsewhere(self, run: DagsterRun) -> bool:
        configured = self._config.get("elsewhere")
        return configured is not None and run.tags.get(LAUNCHED_TAG) == configured["class"]

    def _why_cold(self) -> str | None:
        return "macOS frameworks do not survive a fork" if sys.platform == "darwin" else None

    def _start(self, run: DagsterRun, *, resume: bool) -> None:
        order = Order(run.run_id, serialize_value(self._instance.get_ref()), resume)
        variables = self._handover.variables_of(run)
        if self._target(run) == "warm" and not self._runs_elsewhere_python(run):
            try:
                self._start_warm(order, variables)
            except WarmServerUnavailableError as error:
                log.warning("a run that should be warm gets an ordinary process", run=run.run_id, reason=str(error))
                self._instance.report_engine_event(f"Started as an ordinary process, which takes longer: {error}", run, cls=type(self))
            else:
                return
        start_process(Order(order.run_id, order.instance_ref, resume, "process"), self._places, _python_of(run), variables)

    def _start_warm(self, order: Order, variables: Mapping[str, str]) -> None:
        reason = self._why_cold()
        if reason is not None:
            raise WarmServerUnavailableError(reason)
        self._client.launch(order, self._config["answer_s"], when_lost=lambda: self._start_again(order), variables=variables)

    def _start_again(self, order: Order) -> None:
        """Start a run that waited in a server that has died."""
        run = self._instance.get_run_by_id(order.run_id)
        if run is not None and not run.is_finished:
            self._start(run, resume=order.resume)

    def _runs_elsewhere_python(self, run: DagsterRun) -> bool:
        return _python_of(run) not in {None, sys.executable}


def _require_numbers_in_bounds(config: Mapping[str, Any]) -> None:
    for name, (least, most) in _BOUNDS.items():
        if not least <= config[name] <= most:  # false for NaN
            raise ConfigurationError(f"run_launcher: {name} must be from {least} to {most}, not {config[name]}")


def _python_of(run: DagsterRun) -> str | None:
    origin = run.job_code_origin
    return origin.repository_origin.executable_path if origin else None
