"""Runs that fork from the warm server: how they end, and that nothing they do harms another."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import psutil
import pytest
from dagster import DagsterRunStatus
from dagster._core.launcher.base import WorkerStatus
from dagster._serdes import serialize_value

from omc_infra.postgres.database import Database
from omc_infra.runs.protocol import NO, Conversation, Order, line_of
from omc_infra.runs.routing import LAUNCHED_TAG

sys.path.insert(0, str(Path(__file__).parent))

from warm_home import FIXTURES, WarmHome, descendants_of, eventually, python_path, warm_home


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[WarmHome]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path(FIXTURES))
        with warm_home(tmp_path_factory.mktemp("warm") / "home", database, max_children=4) as opened:
            yield opened


@pytest.mark.slow
def test_a_light_run_is_executed_by_a_process_of_its_own_that_the_server_forked(warm: WarmHome) -> None:
    run_id = warm.launch("light")

    assert warm.ended(run_id) is DagsterRunStatus.SUCCESS, warm.messages(run_id)
    facts, server = warm.facts(run_id), warm.server()
    assert warm.run(run_id).tags[LAUNCHED_TAG] == "warm"
    assert facts["pid"] == facts["session"] == warm.process(run_id).pid
    assert facts["pid"] != server["pid"]


def test_runs_share_neither_random_numbers_nor_the_servers_files(warm: WarmHome) -> None:
    first, second = (warm.launch("light") for _ in range(2))

    assert {warm.ended(first), warm.ended(second)} == {DagsterRunStatus.SUCCESS}
    assert warm.facts(first)["random"] != warm.facts(second)["random"]
    assert warm.facts(first)["pid"] != warm.facts(second)["pid"]
    assert warm.facts(first)["server_files"] == []


def test_a_run_whose_op_raises_fails_as_always(warm: WarmHome) -> None:
    run_id = warm.launch("failing")

    assert warm.ended(run_id) is DagsterRunStatus.FAILURE
    assert "was terminated" not in warm.messages(run_id)


def test_a_run_whose_process_is_killed_has_failed_within_seconds(warm: WarmHome, tmp_path: Path) -> None:
    run_id = warm.launch_waiting(60, tmp_path / "mark")
    process = warm.process(run_id)

    os.kill(process.pid, signal.SIGKILL)

    took_s = eventually(lambda: warm.run(run_id).is_finished, "the killed run to end")
    assert warm.run(run_id).status is DagsterRunStatus.FAILURE
    assert took_s < 5
    assert f"(pid {process.pid}) was terminated by signal 9 (SIGKILL)" in warm.messages(run_id)


@pytest.mark.parametrize(
    ("job", "said"), [("vanishing", "unexpectedly exited with code 7"), ("leaving", "unexpectedly exited with code 0")]
)
def test_a_process_that_leaves_without_an_outcome_fails_its_run(warm: WarmHome, job: str, said: str) -> None:
    run_id = warm.launch(job)

    assert warm.ended(run_id) is DagsterRunStatus.FAILURE
    assert said in warm.messages(run_id)
    assert warm.launcher.check_run_worker_health(warm.run(run_id)).status is WorkerStatus.FAILED


def test_what_a_dead_process_printed_last_is_in_the_log_of_its_run(warm: WarmHome) -> None:
    run_id = warm.launch("dumping")

    assert warm.ended(run_id) is DagsterRunStatus.FAILURE
    assert "Fatal Python error: Segmentation fault" in warm.messages(run_id)


def test_a_terminated_run_is_canceled(warm: WarmHome, tmp_path: Path) -> None:
    run_id = warm.launch_waiting(60, tmp_path / "mark")

    assert warm.launcher.terminate(run_id)

    assert warm.ended(run_id) is DagsterRunStatus.CANCELED
    assert not warm.launcher.terminate(run_id)


def test_a_run_that_ignores_its_termination_is_killed_and_canceled(warm: WarmHome, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    run_id = warm.launch("stubborn", {"ops": {"ignore_interrupts": {"config": {"mark": str(mark)}}}})
    eventually(mark.exists, "the run to reach its step")

    assert warm.launcher.terminate(run_id)

    assert warm.ended(run_id) is DagsterRunStatus.CANCELED
    assert not warm.process(run_id).lives


def test_the_health_of_a_run_is_that_of_its_process(warm: WarmHome, tmp_path: Path) -> None:
    run_id = warm.launch_waiting(60, tmp_path / "mark")

    alive = warm.launcher.check_run_worker_health(warm.run(run_id))
    warm.launcher.terminate(run_id)
    warm.ended(run_id)
    eventually(lambda: not warm.process(run_id).lives, "its process to end")

    assert alive.status is WorkerStatus.RUNNING
    assert warm.launcher.check_run_worker_health(warm.run(run_id)).status is WorkerStatus.SUCCESS


@pytest.mark.slow
def test_more_runs_than_places_wait_and_a_waiting_run_can_be_canceled(warm: WarmHome, tmp_path: Path) -> None:
    running = [warm.launch_waiting(60, tmp_path / f"mark{n}") for n in range(4)]
    waiting = [warm.launch("light") for _ in range(3)]

    assert warm.server()["waiting"] == waiting
    assert warm.launcher.terminate(waiting[1])
    assert warm.ended(waiting[1]) is DagsterRunStatus.CANCELED
    for run_id in running:
        warm.launcher.terminate(run_id)

    assert warm.ended(waiting[0]) is warm.ended(waiting[2]) is DagsterRunStatus.SUCCESS


def test_memory_a_run_took_is_free_when_it_has_ended(warm: WarmHome) -> None:
    before = psutil.Process(warm.server()["pid"]).memory_info().rss

    assert warm.ended(warm.launch("hungry")) is DagsterRunStatus.SUCCESS

    assert psutil.Process(warm.server()["pid"]).memory_info().rss - before < 20_000_000


@pytest.mark.slow
def test_a_launch_that_is_withdrawn_leaves_no_trace_and_fifty_leave_no_leak(warm: WarmHome) -> None:
    run = warm.create("light")
    order = Order(run.run_id, serialize_value(warm.instance.get_ref()))
    server = psutil.Process(warm.server()["pid"])
    before = server.num_fds()

    for _ in range(50):
        with Conversation(warm.launcher._places.socket, 10.0) as conversation:
            conversation.say(line_of({"ask": "launch", **order.as_document()}))
            while conversation.hear(10.0)["state"] == "waiting":
                pass
            conversation.say(NO)
        eventually(lambda: not warm.server()["running"], "the withdrawn child to end")

    eventually(lambda: server.num_fds() <= before, "the server to close its last connection")
    assert descendants_of(server.pid) == []
    assert warm.run(run.run_id).status is DagsterRunStatus.NOT_STARTED
    assert list((warm.folder / "warm" / "runs").glob(f"{run.run_id}*")) == []


def test_a_run_goes_on_when_its_launcher_died_before_giving_its_word(warm: WarmHome) -> None:
    run = warm.create("light")
    order = Order(run.run_id, serialize_value(warm.instance.get_ref()))

    with Conversation(warm.launcher._places.socket, 10.0) as conversation:
        conversation.say(line_of({"ask": "launch", **order.as_document()}))
        conversation.hear(10.0)

    assert warm.ended(run.run_id) is DagsterRunStatus.SUCCESS


def test_a_runs_secrets_reach_its_own_process_and_never_the_server(warm: WarmHome, tmp_path: Path) -> None:
    """A run of another code location forks from the same server, and would find in its memory what the server ever held."""
    secret, mark = f"secret-{token_hex(16)}", tmp_path / "told"
    run = warm.create("telling_variable", {"ops": {"tell": {"config": {"variable": "SECRET_OF_A_RUN", "mark": str(mark)}}}})
    order = Order(run.run_id, serialize_value(warm.instance.get_ref()))

    warm.launcher._client.launch(order, 60.0, lambda: None, {"SECRET_OF_A_RUN": secret})

    assert warm.ended(run.run_id) is DagsterRunStatus.SUCCESS
    assert mark.read_text() == secret
    server = warm.server()["pid"]
    assert in_memory(server, run.run_id.encode()), "the look into the server's memory finds what it holds"
    assert not in_memory(server, secret.encode())


def in_memory(pid: int, wanted: bytes) -> bool:
    """Say whether a process's writable memory holds some bytes."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            place, rights, *_ = line.split()
            if "rw" not in rights or "[v" in line:
                continue
            begin, end = (int(number, 16) for number in place.split("-"))
            memory.seek(begin)
            with suppress(OSError):
                if wanted in memory.read(end - begin):
                    return True
    return False


def test_nonsense_on_the_socket_harms_nobody(warm: WarmHome) -> None:
    for nonsense in (b"\n", b"[]\n", b'{"ask": "fly"}\n', b'{"ask": "launch"}\n', b"\xff\xfe\n"):
        with Conversation(warm.launcher._places.socket, 5.0) as conversation:
            conversation.say(nonsense)
            with pytest.raises(ConnectionError):
                conversation.hear(5.0)

    assert warm.ended(warm.launch("light")) is DagsterRunStatus.SUCCESS


def test_only_the_owner_reaches_the_socket(warm: WarmHome) -> None:
    warm.server()
    places = warm.launcher._places

    assert places.socket.stat().st_mode & 0o777 == 0o600
    assert places.socket.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(sys.platform != "linux", reason="names of processes are read from /proc")
def test_a_runs_process_says_what_it_is(warm: WarmHome, tmp_path: Path) -> None:
    run_id = warm.launch_waiting(60, tmp_path / "mark")

    name = Path(f"/proc/{warm.process(run_id).pid}/comm").read_text().strip()
    warm.launcher.terminate(run_id)

    assert name == "omc-run"


def test_launches_from_several_threads_at_once_all_arrive(warm: WarmHome) -> None:
    runs = [warm.create("light") for _ in range(6)]
    threads = [threading.Thread(target=warm.instance.launch_run, args=(run.run_id, None)) for run in runs]
    started = time.monotonic()

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {warm.ended(run.run_id) for run in runs} == {DagsterRunStatus.SUCCESS}
    assert len({warm.facts(run.run_id)["pid"] for run in runs}) == 6
    assert time.monotonic() - started < 30
