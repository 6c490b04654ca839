"""Nothing depends on which signals whoever started a process had ignored or blocked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omc_infra.services.supervisor import Service, Supervisor
from omc_infra.settings import PROJECT_ROOT

OMC = str(Path(sys.executable).parent / "omc")
DEAF = (signal.SIGINT, signal.SIGTERM)


def deaf() -> None:
    """Start deaf, as a script's background job with SIGINT ignored is, and with SIGTERM blocked besides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup around the tests must not count
    signal.pthread_sigmask(signal.SIG_BLOCK, DEAF)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_command_that_was_started_deaf_ends_by_each_signal_with_the_status_a_shell_expects(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    process = subprocess.Popen(
        [OMC, "sandbox", "serve"],
        env={**os.environ, "OMC_HOME": str(tmp_path)},
        preexec_fn=deaf,  # noqa: PLW1509 system calls only
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT_ROOT,
    )
    assert process.stdout
    process.stdout.readline()

    process.send_signal(number)
    _, said = process.communicate(timeout=20)

    assert process.returncode == status
    assert said.strip() == "omc: interrupted"


def test_a_hang_up_that_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [OMC, "sandbox", "serve"],
        env={**os.environ, "OMC_HOME": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509 system calls only
        stdout=subprocess.PIPE,
        cwd=PROJECT_ROOT,
    )
    assert process.stdout
    process.stdout.readline()

    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    lives = process.poll() is None
    process.terminate()
    process.wait(20)

    assert lives


def test_a_service_of_a_deaf_supervisor_takes_signals_as_a_new_program_does(tmp_path: Path) -> None:
    report = (
        "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.pthread_sigmask(0, []), flush=True)"
    )
    before = signal.getsignal(signal.SIGINT), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    deaf()
    try:
        with Supervisor(tmp_path, tmp_path) as supervisor:
            supervisor.start(Service("reporter", [sys.executable, "-c", report], dict(os.environ)))
            eventually(lambda: bool(supervisor.log_file("reporter").read_text()))
            said = supervisor.log_file("reporter").read_text()
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.pthread_sigmask(signal.SIG_SETMASK, before[1])

    assert said.strip() == "True set()"


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
