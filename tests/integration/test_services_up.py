"""``omc up`` and ``omc status`` as a person uses them: one platform, from its start to its end by a kill and by a hang-up."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest

from omc_infra.postgres import embedded
from omc_infra.postgres.folder import ServerFolder
from omc_infra.postgres.postmaster import ADMINISTRATOR
from omc_infra.services.leftovers import MARK
from omc_infra.settings import PROJECT_ROOT

sys.path.insert(0, str(Path(__file__).parent))

from terminal import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
OMC = str(Path(sys.executable).parent / "omc")
CHILDREN = {"sandbox", "code-omc_pipeline", "code-omc_agents", "dagster-daemon", "dagster-webserver", "beacon"}
BEACON = """
import sys
from omc_infra.services.health import HttpHealth
from omc_infra.services.table import ServiceSpec

BEACON = ServiceSpec(
    "beacon", "A service of another package", HttpHealth("/"), command=("{python}", "-m", "http.server", "--bind", "{host}"),
    on_port=("{port}",), port=8123, needs=("dagster-webserver",),
)

def findings(database):
    with database.connect("reader") as connection:
        return [f"the beacon sees {connection.execute('SELECT profile FROM omc.marker').fetchone()[0]} rows"]

def at_start(database, instance):
    return [f"the beacon found {len(instance.get_runs())} runs"]
"""


class Home:
    """One home, and its platform where it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        package = folder / "package"
        about = package / "beacon-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: beacon\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(
            "[omc.services]\nbeacon = beacon:BEACON\n[omc.status]\nbeacon = beacon:findings\n[omc.start_hooks]\nbeacon = beacon:at_start\n"
        )
        (package / "beacon.py").write_text(BEACON)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_") and name != "PYTHONDONTWRITEBYTECODE"}
        self.environ = {**inherited, "OMC_HOME": str(folder), "OMC_KEY_COINSPOT": "keysecret", "PYTHONPATH": str(package)}
        self.process: subprocess.Popen[str] | None = None

    def up(self, terminal: Terminal | None = None) -> dict[str, Any]:
        """Start the platform, in a terminal if one is given, and return what it printed when it was up."""
        log = terminal.theirs if terminal else (self.folder / "up.log").open("wb")
        command = [OMC, "up", "--json", "--port", "0", "--port", "beacon=0"]
        self.process = subprocess.Popen(
            command,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=PROJECT_ROOT,
            text=True,
            umask=0o022,
            preexec_fn=terminal.control if terminal else None,  # noqa: PLW1509 system calls only
        )
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("}"):
                break
        assert lines, (self.folder / "up.log").read_text()[-3000:]
        document: dict[str, Any] = json.loads("".join(lines))
        return document

    def omc(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [OMC, *arguments],
            env={**self.environ, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            cwd=PROJECT_ROOT,
            check=False,
        )

    def services(self) -> dict[str, dict[str, Any]]:
        """Return what ``omc status`` says of each service."""
        return {service["name"]: service for service in json.loads(self.omc("status", "--json").stdout)["services"]}

    def database_url(self) -> str:
        """Return the administrator's URL of the embedded server's database."""
        server = embedded.found(self.folder)
        assert server is not None
        return f"postgresql://{ADMINISTRATOR}:{ServerFolder(self.folder / 'postgres').password()}@127.0.0.1:{server.port}/omc_sandbox"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with a platform, which a test may have ended."""
    made = Home(tmp_path_factory.mktemp("up"))
    try:
        made.up()
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.terminate()
            made.process.wait(60)
        embedded.stop(made.folder, force=True)


def test_status_checks_every_service_the_contributed_one_too_and_names_the_holder(home: Home) -> None:
    answer = home.omc("status", "--json")

    assert answer.returncode == 0, answer.stdout
    document = json.loads(answer.stdout)
    services = {service["name"]: service for service in document["services"]}
    assert set(services) == {"postgres", *CHILDREN}
    assert all(service["healthy"] and service["pid"] for service in services.values())
    assert {service["run_by"] for name, service in services.items() if name in CHILDREN} == {"platform"}
    assert all(Path(services[name]["log"]).is_file() and services[name]["since"] for name in CHILDREN)
    assert document["holder"]["pid"] == home.process.pid  # type: ignore[union-attr]
    assert document["holder"]["home"] == str(home.folder)
    assert document["findings"] == ["the beacon sees sandbox rows"]
    assert "Started, but the beacon found 0 runs" in (home.folder / "up.log").read_text()
    with urlopen(f"http://{services['beacon']['address']}/", timeout=5) as page:
        assert page.status == 200


def test_the_sandboxs_process_holds_no_key_and_no_way_to_the_database(home: Home) -> None:
    environ = psutil.Process(home.services()["sandbox"]["pid"]).environ()

    assert "keysecret" not in environ.values()
    assert [name for name in environ if name.startswith(("OMC_", "DAGSTER_", "PG"))] == ["OMC_DATABASE_ACCESS"]
    assert environ["OMC_DATABASE_ACCESS"] == "roles"


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_second_platform_on_the_same_database_is_refused_from_another_home(home: Home, tmp_path: Path, command: str) -> None:
    answer = home.omc(command, OMC_HOME=str(tmp_path), OMC_DATABASE_URL=home.database_url())

    assert answer.returncode == 2
    (line,) = [line for line in answer.stderr.splitlines() if line.startswith("omc:")]
    assert f"process {home.process.pid}" in line  # type: ignore[union-attr]
    assert str(home.folder) in line


def test_a_service_that_is_stopped_is_unhealthy_and_a_killed_one_is_started_again(home: Home) -> None:
    beacon = home.services()["beacon"]
    os.kill(beacon["pid"], signal.SIGSTOP)
    stopped = home.omc("status")
    os.kill(beacon["pid"], signal.SIGKILL)

    assert stopped.returncode == 1
    assert "does not answer" in " ".join(stopped.stdout.split())
    eventually(lambda: home.services()["beacon"]["restarts"] == 1 and home.omc("status").returncode == 0)
    assert home.services()["beacon"]["address"] == beacon["address"]


def test_everything_that_a_platform_writes_is_its_owners_alone(home: Home) -> None:
    eventually(lambda: any(home.folder.rglob("compute_logs/*.out")))
    written = {
        path: path.lstat()
        for path in [home.folder, *home.folder.rglob("*")]
        if not path.is_relative_to(home.folder / "package") and path.name != "up.log"
    }

    open_to_others = [str(path) for path, found in written.items() if not stat.S_ISLNK(found.st_mode) and found.st_mode & 0o077]

    assert open_to_others == []
    assert any(path.name == "state.jsonl" for path in written)
    assert any(path.suffix == ".out" for path in written), "no step has printed anything"


def test_services_end_by_themselves_when_the_platform_is_killed_and_the_next_one_starts_and_ends_by_a_hang_up(home: Home) -> None:
    pids = {name: service["pid"] for name, service in home.services().items() if name in CHILDREN}
    home.process.kill()  # type: ignore[union-attr]
    home.process.wait()  # type: ignore[union-attr]
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids.values()), patience_s=5)
    after = home.omc("status", "--json")
    assert after.returncode == 1
    assert json.loads(after.stdout)["holder"] is None

    terminal = Terminal()
    home.up(terminal)
    assert home.omc("status").returncode == 0
    eventually(lambda: "Ctrl-C stops everything" in terminal.text)
    terminal.close()

    assert home.process.wait(30) == 0  # type: ignore[union-attr]
    assert embedded.found(home.folder) is None
    assert marked(home.folder) == []
    assert home.omc("status").returncode == 1


def marked(home: Path) -> list[str]:
    """Return the command lines of processes that belong to a home's platform."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(home):
                found.append(" ".join(process.cmdline()))
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def eventually(holds: Callable[[], bool], patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
