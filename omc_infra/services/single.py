"""One service alone in the foreground, unsupervised: how a container runs it.

Its process replaces this one, so that signals reach it directly. The exceptions are PostgreSQL, which runs as long as this process
uses it, and a service that holds the platform's lock (the daemon): it is a child, and this process keeps the lock.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import click

from omc_infra.clock import utc_now
from omc_infra.errors import ConfigurationError
from omc_infra.postgres import embedded
from omc_infra.postgres.database import Database, open_database
from omc_infra.private import mend_home
from omc_infra.runs.instance import dagster_home, instance_environ
from omc_infra.services.code_servers import socket_of, write_workspace
from omc_infra.services.environment import reads_settings, service_environ
from omc_infra.services.health import Subject
from omc_infra.services.holder import PlatformLock
from omc_infra.services.place import LOOPBACK, ServicePlace
from omc_infra.services.ports import free_port
from omc_infra.services.state import ServiceState, forget_state, read_state, since_now, write_state
from omc_infra.services.table import ServiceSpec, ServiceTable, load_services
from omc_infra.settings import PROJECT_ROOT, Settings
from omc_infra.terminal import say

_LOOK_S, _GRACE_S = 1.0, 10.0


def run_only(settings: Settings, name: str, host: str | None, port: int | None, workspace: Path | None, stopped: threading.Event) -> int:
    """Run one service until it ends or ``stopped`` is set.

    Args:
        settings: Of the platform; services that others reach by a setting must be named there.
        name: Of the service.
        host: Address to listen on; None: loopback.
        port: Port to listen on, 0 for any free one; None: the service's own, or its socket.
        workspace: Dagster's workspace file; None: one that names the code servers of this home.
        stopped: Set when the person or the container ends it.

    Returns:
        The exit status: that of the service.

    Raises:
        ConfigurationError: It can't run alone under these settings, or runs already on this home.
        PlatformTakenError: It holds the platform's lock, and another platform has it.
    """
    table = load_services()
    spec = table[name]
    if settings.home.is_dir():
        mend_home(settings.home)
    _require(spec, table, settings)
    if not spec.command:
        with embedded.running(settings.home) as server:
            say(f"{name} listens on {server.host}:{server.port}", err=True)
            stopped.wait()
        return 0
    place = _place(spec, table, settings, host, port, workspace)
    words = place.filled([*spec.command, *(spec.on_port if place.port is not None else spec.on_socket)])
    if not spec.roles:
        return _replace(spec, place, words, service_environ(spec, settings, None, {}, table))
    with open_database(settings) as database:
        environ = service_environ(spec, settings, database, instance_environ(settings, database), table)
        if not spec.holds_platform:
            return _replace(spec, place, words, environ)
        with PlatformLock(database, settings.home, utc_now()) as lock:
            lock.announce()
            return _attend(spec, place, words, environ, lock, database, stopped)


def _require(spec: ServiceSpec, table: ServiceTable, settings: Settings) -> None:
    if settings.profile not in spec.profiles:
        raise ConfigurationError(f"service {spec.name!r} is not part of the profile {settings.profile}")
    if spec.is_replaced(settings):
        raise ConfigurationError(f"service {spec.name!r} is not needed: OMC_{spec.replaced_by.upper()} points to another one")
    found = read_state(settings.home, spec.name)
    if found is not None:
        raise ConfigurationError(f"service {spec.name!r} is already running on {settings.home} (process {found.pid})")
    for other in table.only(settings):
        if other.provides and reads_settings(spec):
            raise ConfigurationError(f"OMC_{other.replaced_by.upper()}: must be the URL of {other.name} if {spec.name!r} runs on its own")
    if spec.roles and not settings.has_roles_only and settings.database_url is None and embedded.found(settings.home) is None:
        raise ConfigurationError("PostgreSQL is not running; start `omc up --only postgres` too, or set OMC_DATABASE_URL")


def _place(
    spec: ServiceSpec, table: ServiceTable, settings: Settings, host: str | None, port: int | None, workspace: Path | None
) -> ServicePlace:
    home = dagster_home(settings)
    asked = spec.port if port is None else port
    if asked is not None and not spec.on_port:
        raise click.UsageError(f"service {spec.name} has no port")
    chosen = free_port() if asked == 0 else asked
    socket = socket_of(spec, home) if spec.on_socket and chosen is None else None
    named = workspace if workspace or not spec.roles else write_workspace(home, table.only(settings))
    return ServicePlace(settings, host or LOOPBACK, chosen, socket, named)


def _replace(spec: ServiceSpec, place: ServicePlace, words: list[str], environ: Mapping[str, str]) -> int:
    _write(spec, place, os.getpid())
    os.chdir(PROJECT_ROOT)
    os.execve(words[0], words, dict(environ))  # noqa: S606 no shell; the words are the table's


def _attend(
    spec: ServiceSpec,
    place: ServicePlace,
    words: list[str],
    environ: Mapping[str, str],
    lock: PlatformLock,
    database: Database,
    stopped: threading.Event,
) -> int:
    """Run the service as a child while this process keeps the lock and sends alerts; end it with this process or with the lock."""
    from omc_infra.services.alert_watch import AlertWatch
    from omc_infra.services.supervisor import as_child_of

    process = subprocess.Popen(words, env=dict(environ), cwd=PROJECT_ROOT, preexec_fn=as_child_of(os.getpid()))  # noqa: PLW1509 system calls only
    _write(spec, place, process.pid)
    subject = Subject(place, since_now(process.pid)[1], database)

    def wrong() -> list[str]:
        said = spec.health.check(subject)
        return [f"{spec.name}: {said}"] if said else []

    try:
        with AlertWatch(database, place.settings, wrong):
            while process.poll() is None and not stopped.wait(_LOOK_S):
                lock.keep()
    finally:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        forget_state(place.settings.home, spec.name)
    return 0 if stopped.is_set() else process.returncode


def _write(spec: ServiceSpec, place: ServicePlace, pid: int) -> None:
    ticks, since = since_now(pid)
    socket = str(place.socket or "")
    write_state(
        place.settings.home,
        ServiceState(spec.name, pid, ticks, since, place.host, place.port, socket, "", 0, supervised=False, profile=place.settings.profile),
    )
