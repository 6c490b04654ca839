"""A Dagster home whose runs start warm, and the code location they run; used by the tests of the run launcher."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml
from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._serdes import serialize_value

from omc_infra.postgres.database import Database
from omc_infra.runs.client import end_runs
from omc_infra.runs.launcher import WarmRunLauncher
from omc_infra.runs.lean_instance import open_lean_instance
from omc_infra.runs.process import RunProcess
from omc_infra.runs.protocol import ask
from omc_infra.runs.routing import PROCESS_TAG
from omc_infra.settings import PROJECT_ROOT

FIXTURES = PROJECT_ROOT / "tests" / "fixtures"
LOCATION = "warm_location.definitions"
PATIENCE_S = 60.0
sys.path.append(str(FIXTURES))  # last: Dagster takes the first entry for a script's folder and does without it


@dataclass
class WarmHome:
    """An open instance with a ``WarmRunLauncher``."""

    folder: Path
    instance: DagsterInstance

    @property
    def launcher(self) -> WarmRunLauncher:
        launcher = self.instance.run_launcher
        assert isinstance(launcher, WarmRunLauncher)
        return launcher

    def create(self, job: str, config: Mapping[str, Any] | None = None, tags: Mapping[str, str] | None = None) -> DagsterRun:
        """Create a run of the location; of the job ``light`` only the asset ``trivial``."""
        repository = ReconstructableRepository(ModuleCodePointer(LOCATION, "defs"))
        return self.instance.create_run_for_job(
            repository.get_definition().get_job(job),
            run_config=dict(config or {}),
            tags=dict(tags or {}),
            job_code_origin=repository.get_reconstructable_job(job).get_python_origin(),
            asset_selection=frozenset({AssetKey("trivial")}) if job == "light" else None,
        )

    def launch(self, job: str, config: Mapping[str, Any] | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Create and launch a run and answer its id."""
        run = self.create(job, config, tags)
        self.instance.launch_run(run.run_id, None)  # type: ignore[arg-type]
        return run.run_id

    def launch_waiting(self, seconds: float, mark: Path, tags: Mapping[str, str] | None = None) -> str:
        """Launch a run that waits, and wait until it does."""
        run_id = self.launch("waiting", {"ops": {"wait": {"config": {"seconds": seconds, "mark": str(mark)}}}}, tags)
        eventually(mark.exists, f"run {run_id} to reach its step")
        return run_id

    def run(self, run_id: str) -> DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def process(self, run_id: str) -> RunProcess:
        """Return the process the run says it has."""
        process = RunProcess.of_tag(self.run(run_id).tags.get(PROCESS_TAG), run_id)
        assert process is not None
        return process

    def ended(self, run_id: str) -> DagsterRunStatus:
        """Wait for a run's end and answer its status."""
        eventually(lambda: self.run(run_id).is_finished, f"run {run_id} to end")
        return self.run(run_id).status

    def messages(self, run_id: str) -> str:
        """Return everything its log says."""
        entries = self.instance.all_logs(run_id)
        return "\n".join((entry.dagster_event.message if entry.dagster_event else None) or entry.user_message for entry in entries)

    def facts(self, run_id: str) -> dict[str, Any]:
        """Return what the asset ``trivial`` said of its process."""
        for entry in self.instance.all_logs(run_id):
            if entry.dagster_event and entry.dagster_event.is_step_materialization:
                return {name: value.value for name, value in entry.dagster_event.step_materialization_data.materialization.metadata.items()}
        raise AssertionError(f"run {run_id} materialized nothing: {self.messages(run_id)}")

    def server(self) -> dict[str, Any]:
        """Wait for the server to answer and answer its state."""
        found: list[dict[str, Any]] = []

        def answers() -> bool:
            status = ask(self.launcher._places.socket, {"ask": "status"}, 5.0)
            found.extend([status] if status else [])
            return bool(found)

        eventually(answers, "the warm server to answer")
        return found[0]


@contextmanager
def warm_home(folder: Path, database: Database, **config: object) -> Iterator[WarmHome]:
    """Open a home whose launcher is configured with ``config``; its server is stopped in the end, with everything under it."""
    folder.mkdir(parents=True)
    url = database.url("dagster", driver="psycopg2", search_path="dagster")
    launcher = {"locations": [LOCATION], "grace_s": 2.0, **config}
    settings = {
        "storage": {"postgres": {"postgres_url": url}},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(folder)},
        },
        "compute_logs": {"module": "omc_infra.runs.compute_logs", "class": "FileComputeLogManager", "config": {"base_dir": str(folder)}},
        "run_launcher": {"module": "omc_infra.runs.launcher", "class": "WarmRunLauncher", "config": launcher},
        "run_monitoring": {"enabled": True, "max_resume_run_attempts": 1 if config.pop("resumes", False) else 0},
        "telemetry": {"enabled": False},
    }
    launcher.pop("resumes", None)
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
    try:
        with DagsterInstance.from_config(str(folder)) as made:
            ref = serialize_value(made.get_ref())
        with open_lean_instance(ref) as instance:
            yield WarmHome(folder, instance)
    finally:
        end_runs(folder)


def eventually(holds: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> float:
    """Wait until something holds and answer how long that took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < within_s, f"waited {within_s:.0f} s for {what}"
        time.sleep(0.1)
    return time.monotonic() - started


def descendants_of(pid: int) -> list[psutil.Process]:
    """Return the processes a process has, zombies included."""
    return psutil.Process(pid).children(recursive=True)


def python_path(*folders: Path) -> str:
    """Return the variable under which subprocesses find modules of ``folders``."""
    return os.pathsep.join(str(folder) for folder in folders)
