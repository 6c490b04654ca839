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

from omc_infra.services import code_servers
from omc_infra.services.code_servers import code_server
from omc_infra.services.health import ListeningHealth
from omc_infra.services.running import NotReadyError, RunningServices
from omc_infra.services.table import ServiceSpec, ServiceTable
from omc_infra.settings import Settings

pytestmark = pytest.mark.slow

LOCATION = "edited_location"
SERVICE = f"code-{LOCATION}"
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
def servers(source: Path, tmp_path: Path) -> Iterator[RunningServices]:
    environ = {**os.environ, "PYTHONPATH": str(source.parent.parent), "PYTHONDONTWRITEBYTECODE": "1", "DAGSTER_HOME": str(tmp_path)}
    table = ServiceTable([code_server(LOCATION, needs=())])
    with RunningServices(table, Settings(home=tmp_path), tmp_path, lambda _spec, _settings: environ) as made:
        made.start(SERVICE)
        made.await_healthy(SERVICE)
        yield made


def test_the_workspace_names_a_socket_that_its_owner_alone_reaches(servers: RunningServices) -> None:
    (entry,) = yaml.safe_load(servers.workspace.read_text())["load_from"]

    assert entry["grpc_server"]["location_name"] == LOCATION
    assert Path(entry["grpc_server"]["socket"]).parent.stat().st_mode & 0o777 == 0o700
    assert "first" in jobs_of(servers)


def test_a_killed_server_serves_again(servers: RunningServices) -> None:
    (process,) = processes()
    os.kill(process.pid, signal.SIGKILL)

    eventually(lambda: list(servers.supervisor.watch()) == [SERVICE])
    eventually(lambda: not list(servers.supervisor.watch()) and "first" in jobs_of(servers))


def test_changed_code_is_served_and_broken_code_is_told_until_it_is_mended(servers: RunningServices, source: Path) -> None:
    source.write_text(SOURCE.format(job="second"))
    assert title_source(servers)[-2:] == ["the code has changed; loading it", f"{LOCATION}: the changed code is loaded"]
    servers.await_healthy(SERVICE)
    assert "second" in jobs_of(servers)

    source.write_text("raise ValueError('a typing\\nerror')\n")
    assert title_source(servers)[-1] == f"{LOCATION}.definitions does not load: ValueError: a typing error"
    servers.await_healthy(SERVICE)
    assert "a typing" in jobs_of(servers)

    source.write_text("import os; os._exit(3)\n")
    assert title_source(servers)[-1].startswith(f"{LOCATION} does not load; see ")

    source.write_text(SOURCE.format(job="third"))
    assert title_source(servers)[-1] == f"{LOCATION}: the changed code is loaded"
    servers.await_healthy(SERVICE)
    assert "third" in jobs_of(servers)


def title_source(servers: RunningServices) -> list[str]:
    """Return what a change of the code makes the platform say, until it has said how loading went."""
    lines: list[str] = []

    def is_complete() -> bool:
        lines.extend(servers.watch())
        return any("load" in line and "loading it" not in line for line in lines)

    eventually(is_complete)
    return lines


def test_a_service_that_does_not_become_ready_is_told_with_its_log(source: Path, tmp_path: Path) -> None:
    deaf = ServiceSpec("deaf", "Listens to nobody", ListeningHealth(), command=("sleep", "60"), port=0, ready_s=0.2)
    brief = ServiceSpec("brief", "Ends at once", ListeningHealth(), command=("true",), port=0)
    with RunningServices(ServiceTable([deaf, brief]), Settings(home=tmp_path), tmp_path, lambda _spec, _settings: os.environ) as made:
        made.start("deaf")
        made.start("brief")

        with pytest.raises(NotReadyError, match=r"deaf is not ready after 0 s: .* takes no connection: .*logs/deaf\.log"):
            made.await_healthy("deaf")
        with pytest.raises(NotReadyError, match=r"brief is not ready and has ended"):
            made.await_healthy("brief")


def jobs_of(servers: RunningServices) -> str:
    """Return the names of a location's jobs, or how it failed to load."""
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
