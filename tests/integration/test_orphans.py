"""After ``kill -9`` of a platform its processes end within seconds: deaf ones, grandchildren, and those whose home is gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from omc_infra.errors import ConfigurationError
from omc_infra.postgres import embedded
from omc_infra.services.lock import CLEANING, exclusive_platform
from omc_infra.settings import PROJECT_ROOT

PLATFORM = """
import os, subprocess, sys, time
from pathlib import Path
from omc_infra.postgres import embedded
from omc_infra.services.leftovers import mark
from omc_infra.services.lock import exclusive_platform
from omc_infra.services.orphans import ended_with_us

home = Path(sys.argv[1])
deaf = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; print('deaf', flush=True); time.sleep(600)"
with exclusive_platform(home), ended_with_us(home), embedded.running(home, durable=False):
    grandchild = subprocess.Popen(
        [sys.executable, "-c", deaf], env={**os.environ, **mark(home)}, start_new_session=True, stdout=subprocess.PIPE
    )
    grandchild.stdout.readline()
    print(grandchild.pid, flush=True)
    time.sleep(float(sys.argv[2]))
    grandchild.kill()
"""


def started(home: Path, seconds: float = 600) -> tuple[subprocess.Popen[str], int]:
    """Start a platform with one process that no signal but SIGKILL ends and that the kernel doesn't tie to it."""
    words = [sys.executable, "-c", PLATFORM, str(home), str(seconds)]
    platform = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT)
    assert platform.stdout
    return platform, int(platform.stdout.readline())


def watchers(home: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if "omc_infra.services.orphans" in _words(p) and str(home) in _words(p)]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return []


def await_end(pid: int, within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.05)


@pytest.mark.parametrize("is_removed", [False, True], ids=["home stays", "home removed"])
def test_what_a_killed_platform_left_ends_within_seconds(tmp_path: Path, is_removed: bool) -> None:
    home = tmp_path / "home"
    platform, grandchild = started(home)
    server = embedded.found(home)
    assert server is not None

    if is_removed:
        shutil.rmtree(home)
    platform.kill()
    platform.wait()

    await_end(grandchild)
    if not is_removed:
        await_end(server.pid, 30)
    else:
        os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while watchers(home):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_watcher_is_a_shell_that_no_signal_of_a_terminal_ends_and_goes_with_a_platform_that_ends_by_itself(tmp_path: Path) -> None:
    platform, _ = started(tmp_path, seconds=1.5)
    (watcher,) = watchers(tmp_path)
    name, memory = watcher.name(), watcher.memory_info().rss
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        watcher.send_signal(number)

    lives = watcher.is_running()
    assert platform.wait(30) == 0

    assert lives
    assert name in ("sh", "dash", "bash")
    assert memory < 6_000_000
    assert watchers(tmp_path) == []


def test_a_platform_that_starts_meanwhile_waits_for_the_cleaning_and_is_not_refused(tmp_path: Path) -> None:
    cleaning = (
        "import sys, time; from pathlib import Path; from omc_infra.services.lock import CLEANING, exclusive_platform\n"
        "with exclusive_platform(Path(sys.argv[1]), CLEANING): print('in', flush=True); time.sleep(1)"
    )
    cleaner = subprocess.Popen([sys.executable, "-c", cleaning, str(tmp_path)], stdout=subprocess.PIPE, cwd=PROJECT_ROOT)
    assert cleaner.stdout
    cleaner.stdout.readline()

    with exclusive_platform(tmp_path):
        assert CLEANING not in (tmp_path / "platform.lock").read_text()
        with pytest.raises(ConfigurationError, match="already running"), exclusive_platform(tmp_path):
            pass
    cleaner.wait()
