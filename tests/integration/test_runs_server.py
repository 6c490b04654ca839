"""The warm server itself: killed, reloaded, stopped, left alone, unable to start."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
import pytest
from dagster import DagsterRunStatus
from dagster._core.launcher.base import ResumeRunContext, WorkerStatus

from omc_infra.postgres.database import Database
from omc_infra.runs.client import end_runs
from omc_infra.runs.process import started_at
from omc_infra.runs.routing import LAUNCHED_TAG

sys.path.insert(0, str(Path(__file__).parent))

from warm_home import FIXTURES, WarmHome, descendants_of, eventually, python_path, warm_home

pytestmark = pytest.mark.slow

Open = Callable[..., WarmHome]


@pytest.fixture
def opened(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return a function that opens a home of its own, the fixtures' location or a changed copy of it in ``src``."""
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path / "src", FIXTURES))
    with ExitStack() as stack:
        yield lambda name="home", **config: stack.enter_context(_home(tmp_path / name, database, **config))


def _home(folder: Path, database: Database, **config: object) -> AbstractContextManager[WarmHome]:
    return warm_home(folder, database, **config)


def _copy_location(source: Path) -> Path:
    shutil.copytree(FIXTURES / "warm_location", source / "warm_location", ignore=shutil.ignore_patterns("__pycache__"))
    return source / "warm_location" / "definitions.py"


def test_runs_outlive_their_server_and_the_next_launch_starts_another(opened: Open, tmp_path: Path) -> None:
    home = opened(max_children=3)
    ending = home.launch_waiting(5, tmp_path / "one")
    hanging, dying = (home.launch_waiting(60, tmp_path / mark) for mark in ("two", "three"))
    killed = home.server()["pid"]

    os.kill(killed, signal.SIGKILL)
    eventually(lambda: started_at(killed) is None, "the server to die")

    assert home.launcher.check_run_worker_health(home.run(ending)).status is WorkerStatus.RUNNING
    home.process(dying).send(signal.SIGKILL)
    eventually(lambda: not home.process(dying).lives, "a run's process to die")
    assert home.launcher.check_run_worker_health(home.run(dying)).status is WorkerStatus.NOT_FOUND
    assert home.launcher.terminate(hanging)
    assert home.ended(hanging) is DagsterRunStatus.CANCELED
    assert home.ended(home.launch("light")) is DagsterRunStatus.SUCCESS
    assert home.server()["pid"] != killed
    assert home.ended(ending) is DagsterRunStatus.SUCCESS


def test_a_run_that_waits_while_the_server_is_killed_is_started_by_the_next(opened: Open, tmp_path: Path) -> None:
    home = opened(max_children=1)
    home.launch_waiting(60, tmp_path / "mark")
    waiting = home.launch("light")

    os.kill(home.server()["pid"], signal.SIGKILL)

    assert home.ended(waiting) is DagsterRunStatus.SUCCESS


def test_a_killed_run_goes_on_where_it_was_when_run_monitoring_resumes_it(opened: Open, tmp_path: Path) -> None:
    home = opened(resumes=True)
    run_id = home.launch_waiting(60, tmp_path / "mark")
    first = home.process(run_id)

    first.send(signal.SIGKILL)
    eventually(lambda: "Run monitoring will resume it." in home.messages(run_id), "the death to be told")
    assert home.run(run_id).status is DagsterRunStatus.STARTED
    home.launcher.resume_run(ResumeRunContext(home.run(run_id), None, 1))

    eventually(lambda: home.process(run_id).pid != first.pid, "a new process")
    eventually(lambda: "Started process for resuming job" in home.messages(run_id), "the run to go on")
    home.launcher.terminate(run_id)
    assert home.ended(run_id) is DagsterRunStatus.CANCELED


def test_changed_code_is_loaded_anew_while_runs_go_on(opened: Open, tmp_path: Path) -> None:
    definitions = _copy_location(tmp_path / "src")
    home = opened()
    running = home.launch_waiting(60, tmp_path / "mark")
    assert home.ended(first := home.launch("light")) is DagsterRunStatus.SUCCESS
    before = home.server()

    definitions.write_text(definitions.read_text().replace('GREETING = "hello"', 'GREETING = "good evening"'))
    eventually(lambda: home.server()["generation"] > before["generation"], "the server to reload")
    assert home.ended(second := home.launch("light")) is DagsterRunStatus.SUCCESS

    after = home.server()
    assert [home.facts(run)["greeting"] for run in (first, second)] == ["hello", "good evening"]
    assert after["pid"] == before["pid"]
    assert after["generation"] > before["generation"]
    assert after["files"] == before["files"]
    eventually(lambda: list(home.server()["running"]) == [running], "the second run's process to end")
    home.process(running).send(signal.SIGKILL)
    assert home.ended(running) is DagsterRunStatus.FAILURE
    assert descendants_of(after["pid"]) == []


def test_code_that_does_not_load_sends_runs_to_ordinary_processes_until_it_is_mended(opened: Open, tmp_path: Path) -> None:
    definitions = _copy_location(tmp_path / "src")
    sound = definitions.read_text()
    definitions.write_text("import threading\nthreading.Thread(target=threading.Event().wait, name='pump', daemon=True).start()\n" + sound)
    home = opened()

    threaded = home.launch("light")
    assert home.ended(threaded) is DagsterRunStatus.SUCCESS, home.messages(threaded)
    definitions.write_text(sound)
    eventually(lambda: home.server()["refusal"] is None, "the server to recover")
    mended = home.launch("light")

    assert home.run(threaded).tags[LAUNCHED_TAG] == "process"
    assert "Started as an ordinary process, which takes longer: preloading started threads: pump" in home.messages(threaded)
    assert home.ended(mended) is DagsterRunStatus.SUCCESS
    assert home.run(mended).tags[LAUNCHED_TAG] == "warm"


def test_a_server_that_cannot_start_costs_a_warning_and_no_run(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    home = opened()
    (home.folder / "warm").mkdir()
    (home.folder / "warm" / "server.lock").mkdir()

    run_id = home.launch("light")

    assert home.ended(run_id) is DagsterRunStatus.SUCCESS
    assert home.run(run_id).tags[LAUNCHED_TAG] == "process"
    assert "the warm server ended with status 1" in home.messages(run_id)
    (home.folder / "warm" / "server.lock").rmdir()


def test_stopping_the_server_ends_its_runs_and_leaves_no_process(opened: Open, tmp_path: Path) -> None:
    home = opened(grace_s=1.0)
    obedient = home.launch_waiting(60, tmp_path / "one")
    mark = tmp_path / "two"
    stubborn = home.launch("stubborn", {"ops": {"ignore_interrupts": {"config": {"mark": str(mark)}}}})
    eventually(mark.exists, "the second run to reach its step")
    server = psutil.Process(home.server()["pid"])
    family = [server, *descendants_of(server.pid)]

    end_runs(home.folder)

    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert home.run(obedient).status is DagsterRunStatus.CANCELED
    assert home.run(stubborn).status is DagsterRunStatus.FAILURE
    assert not home.launcher._places.socket.exists()
    end_runs(home.folder)  # and again: there is nothing to end


def test_a_server_ends_by_itself_when_its_launchers_have_gone(opened: Open) -> None:
    home = opened(idle_exit_s=0.5)
    assert home.ended(home.launch("light")) is DagsterRunStatus.SUCCESS
    server = home.server()["pid"]

    home.launcher.dispose()

    eventually(lambda: started_at(server) is None, "the server to end")


@pytest.mark.parametrize("name", ["home", "a-home-whose-sockets-lie-elsewhere" * 3])
def test_a_server_whose_home_is_removed_ends(opened: Open, name: str) -> None:
    home = opened(name)
    home.launcher.warm_up()
    server = home.server()["pid"]

    shutil.rmtree(home.folder / "warm")

    eventually(lambda: started_at(server) is None, "the server to end")


def test_many_launchers_at_once_start_one_server(opened: Open) -> None:
    home = opened()
    others = [home.instance.get_ref().run_launcher for _ in range(5)]
    for launcher in others:
        launcher.register_instance(home.instance)
    threads = [threading.Thread(target=launcher.warm_up) for launcher in (home.launcher, *others)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    status = home.server()
    assert status["leases"] == 6
    servers = [
        p for p in psutil.process_iter() if str(home.folder) in " ".join(_command(p)) and "omc_infra.runs.warm_server" in _command(p)
    ]
    assert [process.pid for process in servers] == [status["pid"]]
    for launcher in others:
        launcher.dispose()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return []
