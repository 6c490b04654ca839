"""Start the services of a table in the order of their dependencies, wait for them, and keep them running."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import structlog

from omc_infra.errors import RetryableError
from omc_infra.postgres.database import Database
from omc_infra.services.code_servers import CodeWatch, socket_of, write_workspace
from omc_infra.services.health import Subject
from omc_infra.services.loading import LoadCheck
from omc_infra.services.place import LOOPBACK, ServicePlace
from omc_infra.services.ports import free_port_from
from omc_infra.services.state import ServiceState, forget_state, since_now, write_state
from omc_infra.services.supervisor import Service, Started, Supervisor
from omc_infra.services.table import ServiceSpec, ServiceTable
from omc_infra.settings import PROJECT_ROOT, Settings

log = structlog.get_logger()
_POLL_S = 0.1

Environ = Callable[[ServiceSpec, Settings], Mapping[str, str]]
"""Returns the whole environment of a service's process."""


class NotReadyError(RetryableError):
    """A service did not become ready in time; its log says why."""

    advice = "Read the log of the service that the message names, below `logs/` in `OMC_HOME`, and start the platform again."


class RunningServices:
    """The supervised services of one platform; a context manager that stops what it started.

    Args:
        table: The services that this platform runs.
        settings: Of the platform; ``settings`` later names the services that other processes reach by a setting.
        dagster_home: Folder of the sockets and of the workspace file.
        environ: See ``Environ``.
        database: For checks that read it; None where there is none.
    """

    def __init__(
        self, table: ServiceTable, settings: Settings, dagster_home: Path, environ: Environ, database: Database | None = None
    ) -> None:
        self.table, self.settings, self.environ = table, settings, environ
        self.supervisor = Supervisor(settings.home / "logs", PROJECT_ROOT, self._write_state)
        self.workspace = write_workspace(dagster_home, table)
        self.places: dict[str, ServicePlace] = {}
        self._since: dict[str, datetime] = {}
        self._dagster_home, self._database = dagster_home, database
        self._loading = LoadCheck(settings.home / "logs" / "loading.log")
        self._code = CodeWatch({spec.code_location: spec.name for spec in table if spec.code_location})

    def __enter__(self) -> RunningServices:
        self.supervisor.__enter__()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self, name: str, port: int | None = None) -> ServicePlace:
        """Start a service, after those it needs are healthy; does nothing where it was started before.

        Args:
            name: Of the service.
            port: First port to try instead of the service's own; it keeps the one it gets over its restarts.

        Returns:
            Where it runs; it may not be healthy yet.

        Raises:
            NotReadyError: A service that it needs does not become healthy.
            ConfigurationError: There is no such service.
        """
        spec = self.table[name]
        if name in self.places or not spec.command:
            return self.places.get(name) or ServicePlace(self.settings)
        for needed in self.table.needed_by(spec):
            self.start(needed.name)
            self.await_healthy(needed.name)
        self.places[name] = place = self._place_of(spec, port)
        words = place.filled([*spec.command, *(spec.on_port if place.port is not None else spec.on_socket)])
        self.supervisor.start(Service(name, words, self.environ(spec, self.settings)))
        if spec.provides:
            self.await_healthy(name)
            self.settings = self.settings.model_copy(update={spec.replaced_by: place.filled([spec.provides])[0]})
        return place

    def await_healthy(self, name: str, stopped: threading.Event | None = None) -> None:
        """Wait until a started service is healthy, or ``stopped`` is set.

        Raises:
            NotReadyError: It is not in its time, or its process ended.
        """
        spec = self.table[name]
        deadline = time.monotonic() + spec.ready_s
        while spec.command and not (stopped and stopped.is_set()):
            wrong = spec.health.check(Subject(self.places[name], self._since[name], self._database))
            if wrong is None:
                return
            if time.monotonic() > deadline or not self.supervisor.running(name):
                waited = f"after {spec.ready_s:.0f} s" if self.supervisor.running(name) else "and has ended"
                raise NotReadyError(f"service {name} is not ready {waited}: {wrong}; see {self.supervisor.log_file(name)}")
            time.sleep(_POLL_S)

    def unhealthy(self) -> list[str]:
        """Return a line for each service that should run and does not work; may be asked by another thread."""
        wrong = []
        for spec in self.table:
            place, since = self.places.get(spec.name), self._since.get(spec.name)
            if not spec.command:
                continue
            said = "not started" if place is None else spec.health.check(Subject(place, since, self._database))
            wrong += [f"{spec.name}: {said}"] if said else []
        return wrong

    def watch(self) -> Iterator[str]:
        """Start again what ended, and code servers also when their code has changed; yield a line for each.

        When changed code has been loaded, a line says so, or names what does not load.

        Meant to be called every second or so.
        """
        changed = list(self._code.changed())
        for name in changed:
            self.supervisor.restart(name)
            if location := self.table[name].code_location:
                self._loading.begin(location, self.environ(self.table[name], self.settings))
        if changed:
            yield "the code has changed; loading it"
        for location, failures in self._loading.finished():
            yield from failures or [f"{location}: the changed code is loaded"]
        for name in self.supervisor.watch():
            yield f"{name} ended; restarting it (its log: {self.supervisor.log_file(name)})"
            self.lost(name)

    def lost(self, name: str) -> None:
        """Restart the services that don't recover from the loss of another by themselves."""
        for spec in self.table:
            if name in spec.restarts_with:
                self.supervisor.restart(spec.name)

    def stop(self) -> None:
        """Stop all services."""
        self._loading.stop()
        self.supervisor.stop()
        for name in self.places:
            forget_state(self.settings.home, name)
        self.places.clear()

    def _place_of(self, spec: ServiceSpec, port: int | None) -> ServicePlace:
        first = spec.port if port is None else port
        chosen = None if first is None else free_port_from(first)
        socket = socket_of(spec, self._dagster_home) if spec.on_socket and chosen is None else None
        return ServicePlace(self.settings, LOOPBACK, chosen, socket, self.workspace)

    def _write_state(self, started: Started) -> None:
        place, (ticks, since) = self.places[started.name], since_now(started.pid)
        self._since[started.name] = since
        socket, written = str(place.socket or ""), str(self.supervisor.log_file(started.name))
        state = ServiceState(
            started.name,
            started.pid,
            ticks,
            since,
            place.host,
            place.port,
            socket,
            written,
            started.restarts,
            supervised=True,
            profile=self.settings.profile,
        )
        try:
            write_state(self.settings.home, state)
        except OSError as error:  # a full disk: the service itself may go on
            log.warning("the state of a service can't be written", service=started.name, reason=str(error))
