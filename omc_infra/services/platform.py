"""Open the platform: locks, database, Dagster instance, services."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from omc_infra.clock import utc_now
from omc_infra.errors import ConfigurationError, DatabaseUnavailableError
from omc_infra.postgres import embedded
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.postgres.watchdog import Watchdog
from omc_infra.runs.instance import AS_CONFIGURED, LauncherFields, cancel_unfinished_runs, dagster_home, instance_environ, open_instance
from omc_infra.services.alert_watch import AlertWatch
from omc_infra.services.attempts import Attempts
from omc_infra.services.disk_watch import DiskWatch
from omc_infra.services.environment import service_environ
from omc_infra.services.holder import PlatformLock
from omc_infra.services.leftovers import end_leftovers, mark
from omc_infra.services.lock import exclusive_platform
from omc_infra.services.orphans import ended_with_us
from omc_infra.services.running import RunningServices
from omc_infra.services.start_hooks import run_start_hooks
from omc_infra.services.state import read_state
from omc_infra.services.supervisor import Supervisor
from omc_infra.services.table import EVERYTHING, ServiceSpec, ServiceTable, load_services
from omc_infra.services.tick_watch import TickWatch
from omc_infra.settings import Settings
from omc_infra.terminal import one_line

if TYPE_CHECKING:
    from dagster import DagsterInstance

log = structlog.get_logger()
POSTGRES = "postgres"
RETRY_S = 10.0
"""Between two attempts to start a PostgreSQL that does not start."""


@dataclass(frozen=True)
class Watches:
    """What the platform's console tells of beside its services: the disk, ticks that fail, a server that doesn't start."""

    disk: DiskWatch
    ticks: TickWatch
    server: Attempts

    @classmethod
    def of(cls, database: Database, home: Path) -> Watches:
        """Watch a platform's home, its embedded server where it has one, and its database."""
        server_log = home / "postgres" / "log" if database.address.embedded else None
        return cls(DiskWatch(home, server_log), TickWatch(database), Attempts(RETRY_S))


@dataclass(frozen=True)
class RunningPlatform:
    """What an opened platform offers."""

    database: Database
    instance: DagsterInstance
    table: ServiceTable
    services: RunningServices
    lock: PlatformLock
    watchdog: Watchdog
    watches: Watches
    alerts: AlertWatch

    @property
    def settings(self) -> Settings:
        """The settings, with the services that run."""
        return self.services.settings

    @property
    def supervisor(self) -> Supervisor:
        """Who starts the services again."""
        return self.services.supervisor

    def start(self, name: str, port: int | None = None) -> None:
        """Start a service, after those it needs are healthy; see ``RunningServices.start``."""
        self.services.start(name, port)

    def start_all(self, ports: Mapping[str, int], stopped: threading.Event | None = None) -> list[str]:
        """Start every service; the start hooks run before anything that launches runs, so that no tick comes between.

        Args:
            ports: First port to try, by service.
            stopped: Ends the start hooks.

        Returns:
            What failed in the hooks.
        """
        table = self.services.table
        late = [spec.name for spec in table if table.needs_any(spec, lambda other: other.launches_runs)]
        for spec in table:
            if spec.name not in late:
                self.start(spec.name, ports.get(spec.name))
        failures = run_start_hooks(self.settings, stopped)
        for name in late:
            self.start(name, ports.get(name))
        return failures

    def await_healthy(self, stopped: threading.Event | None = None) -> None:
        """Wait until every started service is healthy, or ``stopped`` is set; raises ``NotReadyError``."""
        for name in list(self.services.places):
            self.services.await_healthy(name, stopped)

    def addresses(self) -> dict[str, str | None]:
        """Return where people find the platform: each service with a port, the database, the logs."""
        table, places = self.services.table, self.services.places
        address = self.database.address
        named = {table[name].label or name: place.url for name, place in places.items() if place.port is not None}
        replaced = {spec.name: getattr(self.settings, spec.replaced_by) for spec in self.table if spec.provides}
        return {
            **replaced,
            **named,
            "postgres": f"{address.host}:{address.port}/{self.database.name} (omc db url)",
            "logs": str(self.settings.home / "logs"),
        }

    def entries(self) -> dict[str, str]:
        """Return the links that a person opens where the root of an address is not enough; they may hold the token of a login."""
        table, places = self.services.table, self.services.places
        opened = {name: (table[name].entry, place) for name, place in places.items() if place.port is not None}
        return {table[name].label or name: f"{place.url}{entry(self.settings)}" for name, (entry, place) in opened.items() if entry}

    def moved_ports(self, ports: Mapping[str, int]) -> dict[str, int]:
        """Return the port that was asked for of each service that has another, because it was taken."""
        first = {spec.name: ports.get(spec.name, spec.port) for spec in self.services.table}
        places = self.services.places.items()
        return {name: wanted for name, place in places if (wanted := first[name]) and place.port not in (None, wanted)}

    def watch(self) -> Iterator[str]:
        """Start again what ended, and yield a line for each; meant to be called every second or so.

        Raises:
            PlatformTakenError: The database's lock was lost, and another platform has it.
        """
        yield from self.services.watch()
        for overdue in self.watchdog.tick():
            yield f"ended a statement of {overdue.role} after {overdue.seconds:.0f} s"
        yield from self.watches.disk.watch()
        yield from self._kept()
        yield from self.watches.ticks.watch()
        yield from self.alerts.watch()

    def _kept(self) -> Iterator[str]:
        """Keep PostgreSQL and the platform's lock; a server that can't be started, as on a full disk, is tried again."""
        try:
            ended = self.watches.server.attempt(self.keep_postgres)
        except DatabaseUnavailableError as error:
            yield f"PostgreSQL ended and can't be started: {one_line(error)}; it is tried again every {RETRY_S:.0f} s"
            return
        lost = self.lock.keep()
        if ended or lost:
            yield "PostgreSQL ended; it runs again" if ended else "PostgreSQL had closed the platform's session; its lock is taken again"
            self.services.lost(POSTGRES)

    def keep_postgres(self) -> bool:
        """Start the embedded server again where it was killed; others' connections recover at their next failure.

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
    settings: Settings,
    launcher: LauncherFields | None = AS_CONFIGURED,
    names: Iterable[str] = EVERYTHING,
    table: ServiceTable | None = None,
) -> Iterator[RunningPlatform]:
    """Open the platform: the services that others reach by a setting and the code servers are started, the caller starts the rest.

    What a killed platform left behind is ended first, and the runs it had begun are reported as canceled, so a platform that was
    killed at any moment starts like any other.

    Args:
        settings: Whose platform.
        launcher: Fields that win over the launcher's configuration; None: Dagster's default launcher.
        names: Names or patterns of the services that may run.
        table: All services; by default those of the entry points.

    Raises:
        ConfigurationError: Another platform runs on this home or database, or the profile is not the database's.
    """
    every = table or load_services()
    if launcher is None:  # Dagster's default launcher executes runs below the code servers
        every = every.where_code_servers_execute_runs()
    with exclusive_platform(settings.home), ended_with_us(settings.home):
        ended = end_leftovers(settings.home)
        if ended:
            log.warning("ended what a killed platform left running", processes=ended)
        _refuse_services_alone(settings, every)
        with open_database(settings, check=False) as database, PlatformLock(database, settings.home, utc_now()) as lock:
            migrate(database)
            lock.announce()
            with open_database(settings):
                yield from _opened(settings, launcher, every, tuple(names), database, lock)


def _opened(
    settings: Settings,
    launcher: LauncherFields | None,
    every: ServiceTable,
    names: tuple[str, ...],
    database: Database,
    lock: PlatformLock,
) -> Iterator[RunningPlatform]:
    from omc_infra.runs.client import bounded_runs
    from omc_infra.runs.launcher import WarmRunLauncher

    dagster = instance_environ(settings, database, launcher)

    def environ(spec: ServiceSpec, current: Settings) -> Mapping[str, str]:
        if launcher is None and spec.code_location:
            spec = _executing_runs(spec, every)
        return {**service_environ(spec, current, database, dagster, every), **mark(settings.home)}

    part, home = every.only(settings, names), dagster_home(settings)
    with bounded_runs(home), RunningServices(part, settings, home, environ, database) as services:
        for spec in part:
            if spec.provides:
                services.start(spec.name)
        _become(_run_environ(every, services.settings, environ))
        with open_instance(settings, database, launcher) as instance:
            cancel_unfinished_runs(instance)
            for spec in part:
                if spec.code_location:
                    services.start(spec.name)
            if isinstance(instance.run_launcher, WarmRunLauncher):
                instance.run_launcher.warm_up()
            watches = Watches.of(database, settings.home)

            def wrong() -> list[str]:
                return [*services.unhealthy(), *(["the disk is nearly full"] if watches.disk.is_low else [])]

            with closing(Watchdog.of(database)) as watchdog, AlertWatch(database, settings, wrong) as alerts:
                yield RunningPlatform(database, instance, every, services, lock, watchdog, watches, alerts)


def _executing_runs(spec: ServiceSpec, every: ServiceTable) -> ServiceSpec:
    """Return a code server that has what runs need: under Dagster's default launcher they are its children."""
    launching = [other for other in every if other.launches_runs]
    roles = dict.fromkeys([*spec.roles, *(role for other in launching for role in other.roles)])
    keys = dict.fromkeys([*spec.keys, *(key for other in launching for key in other.keys)])
    return replace(spec, roles=tuple(roles), keys=tuple(keys))


def _refuse_services_alone(settings: Settings, table: ServiceTable) -> None:
    for spec in table:
        found = read_state(settings.home, spec.name)
        if found is not None:
            raise ConfigurationError(f"service {spec.name!r} is running on its own on {settings.home} (process {found.pid}); stop it first")


def _become(environ: Mapping[str, str]) -> None:
    """Give this process the variables of runs; a setting of the shell that these settings don't have would reach the runs."""
    for name in [name for name in os.environ if name.startswith("OMC_") and name not in environ]:
        del os.environ[name]
    os.environ.update(environ)


def _run_environ(
    every: ServiceTable, settings: Settings, environ: Callable[[ServiceSpec, Settings], Mapping[str, str]]
) -> Mapping[str, str]:
    """Return the variables of runs: this process starts the warm server, and runs jobs itself."""
    return {name: value for spec in every if spec.launches_runs for name, value in environ(spec, settings).items()}
