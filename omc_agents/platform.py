"""The platform's processes and what they stand on, opened together: lock, database, Dagster instance, sandbox, supervisor."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from omc_agents.workflow.graph import ENVIRONMENT
from omc_infra.errors import RetryableError
from omc_infra.platform.leftovers import end_leftovers, mark
from omc_infra.platform.lock import exclusive_platform
from omc_infra.platform.supervisor import Service, Supervisor
from omc_infra.postgres import embedded
from omc_infra.postgres.credentials import ACCESS_VARIABLE
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.postgres.roles import Role
from omc_infra.postgres.watchdog import Watchdog
from omc_infra.runs.code_servers import CodeServers
from omc_infra.runs.instance import AS_CONFIGURED, LauncherFields, cancel_unfinished_runs, dagster_home, instance_environ, open_instance
from omc_infra.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

log = structlog.get_logger()
LOCATIONS = ("omc_pipeline", "omc_agents")
CODE_ROLES: Mapping[str, tuple[Role, ...]] = {"omc_pipeline": ("writer", "reader", "dagster"), "omc_agents": ("writer", "dagster")}
"""Roles of each code server. The agents' is the dispatcher: it claims events, and talks to no model; its runs have other roles."""
DAEMON_ROLES: tuple[Role, ...] = ("writer", "reader", "agent", "dagster")
"""The daemon launches runs, and hands each the logins of its own code location."""
SANDBOX_READY_S = 20.0
WEBSERVER = "dagster-webserver"


class NotReadyError(RetryableError):
    """A service did not become ready in time; its log says why."""


@dataclass(frozen=True)
class RunningPlatform:
    """What an opened platform offers; ``settings`` name the running sandbox."""

    settings: Settings
    database: Database
    instance: DagsterInstance
    supervisor: Supervisor
    code_servers: CodeServers
    watchdog: Watchdog

    def watch(self) -> Iterator[str]:
        """Mend what ended, and yield a line for each; meant to be called every second or so.

        Services are started again, code servers also when their code has changed, and so is the embedded server. Dagster's
        webserver keeps dead connections in its pool: where the embedded server was lost, it is started anew.
        """
        yield from self.code_servers.watch()
        for overdue in self.watchdog.tick():
            yield f"ended a statement of {overdue.role} after {overdue.seconds:.0f} s"
        for name in self.supervisor.watch():
            yield f"{name} ended; restarting it (its log: {self.supervisor.log_file(name)})"
        if self.keep_postgres():
            yield "PostgreSQL ended; it runs again, and the Dagster UI starts anew"
            self.supervisor.restart(WEBSERVER)

    def start_daemon(self) -> None:
        """Start the Dagster daemon: schedules, sensors, the run queue, run monitoring."""
        self.code_servers.await_ready()
        command = [_script("dagster-daemon"), "run", "--log-format", "json", "-w", str(self.code_servers.workspace)]
        self.supervisor.start(Service("dagster-daemon", command, self.database.environ(DAEMON_ROLES)))

    def start_webserver(self, port: int) -> None:
        """Start the Dagster UI on a loopback port."""
        self.code_servers.await_ready()
        command = [_script(WEBSERVER), "-h", "127.0.0.1", "-p", str(port), "-w", str(self.code_servers.workspace)]
        self.supervisor.start(Service(WEBSERVER, command, self.database.environ(("dagster",))))

    def keep_postgres(self) -> bool:
        """Start the embedded server again where it was killed; others' connections mend themselves at their next failure.

        Returns:
            Whether it had ended.
        """
        if self.settings.database_url is not None or embedded.found(self.settings.home) is not None:
            return False
        log.debug("PostgreSQL ended; starting it again")
        with embedded.running(self.settings.home):
            return True


@contextmanager
def open_platform(
    settings: Settings, launcher: LauncherFields | None = AS_CONFIGURED, locations: Sequence[str] = LOCATIONS
) -> Iterator[RunningPlatform]:
    """Open everything but the Dagster UI and daemon, which the caller starts through the supervisor.

    Left-overs of a killed platform are ended first and the runs they had begun reported as canceled, so a platform that was
    killed at any moment starts like any other.

    Args:
        settings: Whose platform.
        launcher: Fields that win over the launcher's configuration; None: Dagster's default launcher.
        locations: The code locations to serve.

    Raises:
        ConfigurationError: Another platform runs on this home, or the profile is not the database's.
    """
    from omc_infra.runs.client import bounded_runs
    from omc_infra.runs.launcher import WarmRunLauncher

    with exclusive_platform(settings.home):
        ended = end_leftovers(settings.home)
        if ended:
            log.warning("ended what a killed platform left running", processes=ended)
        with open_database(settings, check=False) as database:
            migrate(database)
            with (
                open_database(settings),
                bounded_runs(dagster_home(settings)),
                Supervisor(settings.home / "logs", {}, PROJECT_ROOT) as supervisor,
            ):
                settings = _with_sandbox(settings, supervisor)
                supervisor.environ = _child_environ(settings, database, launcher)
                os.environ.update({**supervisor.environ, **settings.environ()})
                os.environ.pop(ACCESS_VARIABLE, None)  # this process keeps its own access
                with open_instance(settings, database, launcher) as instance:
                    cancel_unfinished_runs(instance)
                    environs = {name: database.environ(_code_roles(name, launcher)) for name in locations}
                    code_servers = CodeServers(supervisor, dagster_home(settings), locations, environs)
                    code_servers.start()
                    if isinstance(instance.run_launcher, WarmRunLauncher):
                        instance.run_launcher.warm_up()
                    with closing(Watchdog.of(database)) as watchdog:
                        yield RunningPlatform(settings, database, instance, supervisor, code_servers, watchdog)


def _code_roles(location: str, launcher: LauncherFields | None) -> tuple[Role, ...]:
    """Return the roles of a code server; under Dagster's default launcher its children execute the runs, with its logins."""
    return DAEMON_ROLES if launcher is None else CODE_ROLES.get(location, ("dagster",))


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _child_environ(settings: Settings, database: Database, launcher: LauncherFields | None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_") and name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        **ENVIRONMENT,
        **settings.without_logins().environ(),
        **instance_environ(settings, database, launcher),
        **mark(settings.home),
    }


def _with_sandbox(settings: Settings, supervisor: Supervisor) -> Settings:
    if settings.profile != "sandbox" or settings.sandbox_url:
        return settings
    from omc_pipeline.sandbox.running import port_file, state_file

    announced, state = port_file(settings), state_file(settings)
    announced.parent.mkdir(parents=True, exist_ok=True)
    announced.unlink(missing_ok=True)
    supervisor.environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith("OMC_")},
        **settings.without_logins().environ(),
        **mark(settings.home),
    }
    port = free_port()
    supervisor.start(_sandbox(settings, state, announced, port))
    deadline = time.monotonic() + SANDBOX_READY_S
    while not announced.is_file():
        if time.monotonic() > deadline or not supervisor.running("sandbox"):
            raise NotReadyError(f"the sandbox did not start; see {supervisor.log_file('sandbox')}")
        time.sleep(0.05)
    return settings.model_copy(update={"sandbox_url": f"http://127.0.0.1:{port}"})


def free_port() -> int:
    """Answer a loopback port that is free now; a service keeps it over its restarts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_port_from(first: int) -> int:
    """Answer the first free loopback port from ``first`` on, or any where ``first`` is 0."""
    for port in range(first, first + 100) if first else ():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    return free_port()


def _sandbox(settings: Settings, state: Path, announced: Path, port: int) -> Service:
    arguments = [
        "--port",
        str(port),
        "--seed",
        str(settings.sandbox_seed),
        "--state",
        str(state),
        "--announce-port",
        str(announced),
    ]
    return Service("sandbox", [sys.executable, "-m", "omc_pipeline.sandbox", *arguments])
