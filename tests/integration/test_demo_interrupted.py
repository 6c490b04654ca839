"""Ctrl-C in ``omc demo``: told as such, with nothing shown as done or as failed, nothing of before, and nothing left running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from omc_infra.postgres import embedded
from omc_infra.postgres.database import open_database
from omc_infra.services.leftovers import MARK
from omc_infra.settings import PROJECT_ROOT, load_settings

sys.path.insert(0, str(Path(__file__).parent))

from demo_process import OMC, environ_of

ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def slow_sandbox(tmp_path: Path) -> Iterator[str]:
    """A sandbox whose next answers for the glass ledger take a minute."""
    command = [str(OMC), "sandbox", "serve"]
    process = subprocess.Popen(command, env=environ_of(tmp_path / "sandbox"), stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT)
    assert process.stdout
    url = process.stdout.readline().split()[3].rstrip(";")
    httpx2.post(f"{url}/_control/faults", json={"upstream": "defillama", "kind": "slow", "seconds": 60, "count": 50}, trust_env=False)
    yield url
    process.terminate()
    process.wait(20)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_a_stage_is_told_as_such_and_leaves_nothing_behind(tmp_path: Path, slow_sandbox: str, number: signal.Signals) -> None:
    home, said = tmp_path / "home", tmp_path / "said"
    environ = {**environ_of(home), **ASCII, "OMC_SANDBOX_URL": slow_sandbox}
    with said.open("wb") as file:
        process = subprocess.Popen([str(OMC), "demo"], env=environ, stdout=subprocess.PIPE, stderr=file, cwd=PROJECT_ROOT)
    await_text(said, "Start the Dagster daemon")
    await_run(home, "collect_glass")

    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)

    text = said.read_text()
    assert process.returncode in (130, 128 + number), text
    assert text.splitlines()[-1] == "omc: interrupted"
    assert text.isascii()
    assert "Traceback" not in text
    assert "Collect the glass ledger" in text
    assert not any(mark in text.partition("Collect the glass ledger")[2] for mark in ("ok ", " x ", "failed"))
    assert printed == b""
    assert embedded.found(home) is None
    assert left_of(home) == []
    assert status_of(home, "collect_glass") == "CANCELED"


def await_text(file: Path, text: str, patience_s: float = 90.0) -> None:
    deadline = time.monotonic() + patience_s
    while text not in file.read_text():
        assert time.monotonic() < deadline, file.read_text()
        time.sleep(0.1)


def await_run(home: Path, job: str, patience_s: float = 90.0) -> None:
    """Wait until a run of a job has begun."""
    deadline = time.monotonic() + patience_s
    while status_of(home, job) != "STARTED":
        assert time.monotonic() < deadline
        time.sleep(0.3)
    time.sleep(1.0)  # it asks its upstream by now


def status_of(home: Path, job: str) -> str | None:
    with open_database(load_settings({"OMC_HOME": str(home)})) as database, database.connect("dagster") as connection:
        query = "SELECT status FROM dagster.runs WHERE pipeline_name = %s ORDER BY id DESC LIMIT 1"
        row = connection.execute(query, [job]).fetchone() if is_there(connection) else None
    return row[0] if row else None


def is_there(connection: object) -> bool:
    return bool(connection.execute("SELECT to_regclass('dagster.runs') IS NOT NULL").fetchone()[0])  # type: ignore[attr-defined]


def left_of(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(home):
                found.append(" ".join(process.cmdline()))
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found
