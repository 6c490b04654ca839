"""Steps of the platform's start that the storeys contribute, run in a process of their own before anything launches runs.

A hook is a function under the entry point group ``omc.start_hooks``, such as one that collects what was missed. Its libraries would
stay in the platform's memory for as long as it runs, so it does not run there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from omc_infra.errors import RetryableError
from omc_infra.postgres.database import Database, open_database
from omc_infra.services.supervisor import dies_with
from omc_infra.settings import PROJECT_ROOT, Settings, load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

START_HOOKS_GROUP = "omc.start_hooks"
_NAME = "start-hooks"
_LOOK_S = 0.2

StartHook = Callable[[Database, "DagsterInstance"], Iterable[str]]
"""Returns a line for each thing that failed and is no reason not to start."""


class StartHookError(RetryableError):
    """A step of the start broke; its log says why."""

    advice = "Read the log that the message names, below `logs/` in `OMC_HOME`, and start the platform again."


def run_start_hooks(settings: Settings, stopped: threading.Event | None = None) -> list[str]:
    """Run the hooks of all storeys in a child with this process's environment; it is ended when ``stopped`` is set.

    Returns:
        A line for each thing that failed and is no reason not to start.

    Raises:
        StartHookError: A hook raised.
    """
    found, log = settings.home / "services" / f"{_NAME}.json", settings.home / "logs" / f"{_NAME}.log"
    for file in (found, log):
        file.parent.mkdir(parents=True, exist_ok=True)
    found.unlink(missing_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "omc_infra.services.start_hooks", str(found)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=PROJECT_ROOT,
            start_new_session=True,
            preexec_fn=dies_with(os.getpid()),  # noqa: PLW1509 calls C functions only
        )
    try:
        while process.poll() is None:
            if stopped and stopped.wait(_LOOK_S):
                return []
            if not stopped:
                process.wait()
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise StartHookError(f"a step of the platform's start failed; see {log}")
    failures: list[str] = json.loads(found.read_text())
    found.unlink()
    return failures


def main() -> None:
    """Run every hook, and write what failed into the file that the command line names."""
    from dagster import DagsterInstance

    from omc_infra.runs.lean_instance import make_sparing

    hooks: list[StartHook] = [entry.load() for entry in sorted(entry_points(group=START_HOOKS_GROUP))]
    with open_database(load_settings()) as database, DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
        make_sparing(instance)
        failures = [failure for hook in hooks for failure in hook(database, instance)]
    Path(sys.argv[1]).write_text(json.dumps(failures))


if __name__ == "__main__":
    main()
