"""Ordinary processes: a new interpreter for each run, watched by the launcher that started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog

from omc_infra.errors import MachineError
from omc_infra.postgres.credentials import without_logins
from omc_infra.private import PRIVATE_UMASK
from omc_infra.runs.death import report_death
from omc_infra.runs.places import Places
from omc_infra.runs.process import kill_group
from omc_infra.runs.protocol import Order
from omc_infra.runs.worker import OUTCOME_RECORDED
from omc_infra.signals import default_signals

log = structlog.get_logger()


def start_process(order: Order, places: Places, executable: str | None = None, variables: Mapping[str, str] | None = None) -> int:
    """Start the process of a run and answer its pid; a thread waits for it and reports it where it dies.

    It outlives this process: run monitoring then finds it by its tag.

    Args:
        order: The run.
        places: Where its log goes.
        executable: Python of the run's code location; by default this one.
        variables: Logins and other secrets of the run, handed over by its standard input; of the database's logins it gets no other.

    Raises:
        MachineError: The system starts no more processes.
    """
    with _named(order), places.run_log(order.run_id).open("ab") as output:
        process = subprocess.Popen(
            [executable or sys.executable, "-m", "omc_infra.runs.worker", "--folder", str(places.folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=without_logins(os.environ),
            umask=PRIVATE_UMASK,
            preexec_fn=default_signals,  # noqa: PLW1509 system calls only
        )
    with process.stdin:  # type: ignore[union-attr]
        process.stdin.write(json.dumps({"order": order.as_document(), "variables": dict(variables or {})}).encode() + b"\n")  # type: ignore[union-attr]
    threading.Thread(target=_watch, args=(process, order, places), name=f"run-{order.run_id[:8]}", daemon=True).start()
    return process.pid


@contextmanager
def _named(order: Order) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(f"can't start a process for run {order.run_id}: {error.strerror}") from error


def _watch(process: subprocess.Popen[bytes], order: Order, places: Places, report: Callable[..., bool] = report_death) -> None:
    exit_code = process.wait()
    kill_group(process.pid)
    run_log = places.run_log(order.run_id)
    if exit_code == OUTCOME_RECORDED:
        run_log.unlink(missing_ok=True)
        return
    log.warning("the process of a run ended without an outcome", run=order.run_id, pid=process.pid, exit_code=exit_code)
    report(order, process.pid, exit_code, run_log)
    places.forget_old_logs()
