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

from omc_infra.errors import MachineError, RetryableError
from omc_infra.logs import redact
from omc_infra.machine import machine_failure
from omc_infra.postgres.database import Database, open_database
from omc_infra.private import PRIVATE_UMASK, private_folder
from omc_infra.services.supervisor import as_child_of
from omc_infra.settings import PROJECT_ROOT, Settings, load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

START_HOOKS_GROUP = "omc.start_hooks"
_NAME = "start-hooks"
_LOOK_S = 0.2
_REFUSED = 3

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
        MachineError: The machine or the database refused, as a full disk does.
    """
    found, log = settings.home / "services" / f"{_NAME}.json", settings.home / "logs" / f"{_NAME}.log"
    for file in (found, log):
        private_folder(file.parent)
    found.unlink(missing_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "omc_infra.services.start_hooks", str(found)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=PROJECT_ROOT,
            start_new_session=True,
            umask=PRIVATE_UMASK,
            preexec_fn=as_child_of(os.getpid()),  # noqa: PLW1509 system calls only
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
    if process.returncode == _REFUSED:
        raise MachineError(f"a step of the platform start failed: {json.loads(found.read_text())}")
    if process.returncode:
        raise StartHookError(f"a step of the platform start failed; see {log}")
    failures: list[str] = json.loads(found.read_text())
    found.unlink()
    return failures


def main() -> int:
    """Run every hook, and write what failed into the file that the command line names; returns the exit status."""
    try:
        failures = _run_all()
    except Exception as error:
        refused = machine_failure(error)
        if refused is None:
            raise
        Path(sys.argv[1]).write_text(json.dumps(redact(str(refused))))
        return _REFUSED
    Path(sys.argv[1]).write_text(json.dumps(failures))
    return 0


def _run_all() -> list[str]:
    from dagster import DagsterInstance

    from omc_infra.runs.lean_instance import make_sparing

    hooks: list[StartHook] = [entry.load() for entry in sorted(entry_points(group=START_HOOKS_GROUP))]
    with open_database(load_settings()) as database, DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
        make_sparing(instance)
        return [failure for hook in hooks for failure in hook(database, instance)]


if __name__ == "__main__":
    sys.exit(main())
