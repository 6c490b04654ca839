"""Start hooks: what they report is returned, and one that breaks stops the start with its log named."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from omc_infra.postgres.database import Database
from omc_infra.runs.instance import instance_environ
from omc_infra.services.start_hooks import StartHookError, run_start_hooks
from omc_infra.settings import Settings

Contribute = Callable[[str], Settings]


@pytest.fixture
def contribute(tmp_path: Path, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> Contribute:
    """A function that contributes a hook which runs before all others, and returns the settings of a home to run it on."""

    def write(body: str) -> Settings:
        about = tmp_path / "package" / "hooked-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hooked\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[omc.start_hooks]\na_first = hooked:hook\n")
        (about.parent / "hooked.py").write_text(f"import os, time\ndef hook(database, instance):\n    {body}\n")
        own = settings.model_copy(update={"home": tmp_path / "home"})
        environ = {**own.without_logins().environ(), **database.environ(("writer", "reader", "dagster"))}
        for name, value in {**environ, **instance_environ(own, database), "PYTHONPATH": str(about.parent)}.items():
            monkeypatch.setenv(name, value)
        return own

    return write


def test_a_hook_that_breaks_ends_the_start_and_its_log_says_why(contribute: Contribute) -> None:
    settings = contribute("raise ValueError(f'nothing for {database.name}')")

    with pytest.raises(StartHookError, match=r"see .*/logs/start-hooks\.log"):
        run_start_hooks(settings)

    assert f"nothing for {settings.database_url.get_secret_value().rpartition('/')[2]}" in log_of(settings)  # type: ignore[union-attr]


def test_hooks_end_when_the_platform_is_stopped_meanwhile(contribute: Contribute) -> None:
    settings = contribute("print(os.getpid(), flush=True); time.sleep(600)")
    stopped = threading.Event()
    threading.Thread(target=lambda: (_await(lambda: bool(log_of(settings))), stopped.set())).start()

    assert run_start_hooks(settings, stopped) == []

    with pytest.raises(ProcessLookupError):
        os.kill(int(log_of(settings).split()[-1]), 0)


def log_of(settings: Settings) -> str:
    log = settings.home / "logs" / "start-hooks.log"
    return log.read_text() if log.is_file() else ""


def _await(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
