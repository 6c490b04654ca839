"""The shared code servers: started again where they are killed, started anew where their code has changed, well or badly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.errors import DagsterError
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin

from omc_infra.platform.supervisor import Supervisor
from omc_infra.runs import code_servers
from omc_infra.runs.code_servers import CodeServers, CodeServersNotReadyError

LOCATION = "edited_location"
SOURCE = """import dagster as dg

@dg.job
def {job}() -> None: ...

defs = dg.Definitions(jobs=[{job}])
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a code location in a folder of its own."""
    package = tmp_path / "code" / LOCATION
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(code_servers, "LOOK_S", 0.2)
    file = package / "definitions.py"
    file.write_text(SOURCE.format(job="first"))
    return file


@pytest.fixture
def servers(source: Path, tmp_path: Path) -> Iterator[CodeServers]:
    environ = {**os.environ, "PYTHONPATH": str(source.parent.parent), "PYTHONDONTWRITEBYTECODE": "1", "DAGSTER_HOME": str(tmp_path)}
    with Supervisor(tmp_path / "logs", environ, tmp_path) as supervisor:
        made = CodeServers(supervisor, tmp_path, [LOCATION])
        made.start()
        made.await_ready()
        yield made


def test_the_workspace_names_a_socket_that_its_owner_alone_reaches(servers: CodeServers) -> None:
    (entry,) = yaml.safe_load(servers.workspace.read_text())["load_from"]

    assert entry["grpc_server"]["location_name"] == LOCATION
    assert Path(entry["grpc_server"]["socket"]).parent.stat().st_mode & 0o777 == 0o700
    assert "first" in jobs_of(servers)


def test_a_killed_server_serves_again(servers: CodeServers) -> None:
    (process,) = processes()
    os.kill(process.pid, signal.SIGKILL)

    eventually(lambda: list(servers._supervisor.watch()) == [f"code-{LOCATION}"])
    eventually(lambda: not list(servers._supervisor.watch()) and "first" in jobs_of(servers))


def test_changed_code_is_served_and_broken_code_is_told_until_it_is_mended(servers: CodeServers, source: Path) -> None:
    source.write_text(SOURCE.format(job="second"))
    eventually(lambda: list(servers.watch()) == ["the code has changed; it is loaded anew"])
    servers.await_ready()
    assert "second" in jobs_of(servers)

    source.write_text("raise ValueError('a typing error')\n")
    eventually(lambda: list(servers.watch()) != [])
    servers.await_ready()
    assert "a typing error" in jobs_of(servers)

    source.write_text(SOURCE.format(job="third"))
    eventually(lambda: list(servers.watch()) != [])
    servers.await_ready()
    assert "third" in jobs_of(servers)


def test_a_server_that_does_not_come_up_is_told_with_its_log(source: Path, tmp_path: Path) -> None:
    with Supervisor(tmp_path / "logs", {"PATH": os.defpath}, tmp_path) as supervisor:
        made = CodeServers(supervisor, tmp_path, ["nowhere"])

        with pytest.raises(CodeServersNotReadyError, match=r"nowhere does not answer .*logs/code-nowhere\.log"):
            made.await_ready(patience_s=0.2)


def jobs_of(servers: CodeServers) -> str:
    """Answer the names of a location's jobs, or how it failed to load."""
    (entry,) = yaml.safe_load(servers.workspace.read_text())["load_from"]
    origin = GrpcServerCodeLocationOrigin(host="localhost", socket=entry["grpc_server"]["socket"], location_name=LOCATION)
    with DagsterInstance.ephemeral() as instance:
        try:
            location = origin.create_location(instance)
        except DagsterError as error:
            return str(error)
        try:
            return str([job.name for repository in location.get_repositories().values() for job in repository.get_all_jobs()])
        finally:
            location.cleanup()


def processes() -> list[psutil.Process]:
    return [found for found in psutil.Process().children() if LOCATION in " ".join(found.cmdline())]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
