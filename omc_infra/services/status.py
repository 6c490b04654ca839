"""What ``omc status`` shows: every service of the table checked, the database, and who holds the platform. Starts nothing.

Storeys add findings by the entry point group ``omc.status``: functions of the database that return a line for each thing a person
should know, such as a role with rights that the server doesn't allow to take away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psycopg

from omc_infra.errors import OmcError
from omc_infra.postgres.address import Address
from omc_infra.postgres.database import Database, open_database
from omc_infra.services.health import Subject, server_address
from omc_infra.services.holder import Holder, read_holder
from omc_infra.services.place import ServicePlace
from omc_infra.services.state import ServiceState, read_state
from omc_infra.services.table import ServiceSpec, ServiceTable
from omc_infra.settings import Settings

STATUS_GROUP = "omc.status"
Findings = Callable[[Database], Iterable[str]]
RunBy = Literal["platform", "itself", "elsewhere", "nobody"]


@dataclass(frozen=True)
class ServiceReport:
    """One service as it is now.

    Attributes:
        name: Of the service.
        title: What it is.
        run_by: ``platform`` (supervised), ``itself`` (alone, or kept by its users), ``elsewhere`` (a setting names it) or ``nobody``.
        healthy: Whether its check passes.
        reason: What is wrong, or None.
        pid: Of its process on this machine.
        address: Port as ``host:port``, URL, or path of the socket.
        since: When its process was started.
        restarts: How often the supervisor has started it again.
        log: File it writes to.
    """

    name: str
    title: str
    run_by: RunBy
    healthy: bool
    reason: str | None = None
    pid: int | None = None
    address: str | None = None
    since: datetime | None = None
    restarts: int | None = None
    log: str | None = None


@dataclass(frozen=True)
class DatabaseReport:
    """The platform's database: where it is, its newest migration, and why it can't be used, or None."""

    address: str | None
    revision: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class PlatformReport:
    """Everything that ``omc status`` shows."""

    profile: str
    services: list[ServiceReport]
    database: DatabaseReport
    holder: Holder | None
    findings: list[str]

    @property
    def healthy(self) -> bool:
        """Say whether everything that should run works."""
        return self.database.reason is None and all(service.healthy for service in self.services)


def platform_report(settings: Settings, table: ServiceTable) -> PlatformReport:
    """Check every service of the profile, and read the database's state."""
    with _database(settings) as (database, report):
        services = [_service_report(spec, settings, database) for spec in table if settings.profile in spec.profiles and not spec.on_demand]
        holder = read_holder(database) if database else None
        return PlatformReport(settings.profile, services, report, holder, _findings(database) if database else [])


def _service_report(spec: ServiceSpec, settings: Settings, database: Database | None) -> ServiceReport:
    if spec.is_replaced(settings) or not spec.command:
        return _unsupervised(spec, settings, database)
    state = read_state(settings.home, spec.name)
    if state is None:
        return ServiceReport(spec.name, spec.title, "nobody", healthy=False, reason="not running")
    if state.profile not in {"", settings.profile}:
        return ServiceReport(
            spec.name, spec.title, "nobody", healthy=False, reason=f"not running; in this home it runs for {state.profile}"
        )
    wrong = spec.health.check(Subject(_place_of(state, settings), state.since, database))
    return ServiceReport(
        spec.name,
        spec.title,
        "platform" if state.supervised else "itself",
        wrong is None,
        wrong,
        state.pid,
        f"{state.host}:{state.port}" if state.port is not None else state.socket or None,
        state.since,
        state.restarts,
        state.log or None,
    )


def _unsupervised(spec: ServiceSpec, settings: Settings, database: Database | None) -> ServiceReport:
    """Report a service that a setting names, or that its users keep: PostgreSQL."""
    if spec.is_replaced(settings) and spec.provides:
        url = str(getattr(settings, spec.replaced_by))
        parts = urlsplit(url)
        place = ServicePlace(settings, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        wrong = spec.health.check(Subject(place, None, database))
        return ServiceReport(spec.name, spec.title, "elsewhere", wrong is None, wrong, address=url)
    wrong = spec.health.check(Subject(ServicePlace(settings), None, database))
    address, process = server_address(settings), _embedded_process(settings)
    shown = f"{address.host}:{address.port}" if address else None
    run_by: RunBy = "elsewhere" if spec.is_replaced(settings) else "itself" if process else "nobody"
    log = None if spec.is_replaced(settings) else str(settings.home / "postgres" / "log")
    return ServiceReport(spec.name, spec.title, run_by, wrong is None, wrong, process, shown, log=log)


def _embedded_process(settings: Settings) -> int | None:
    from omc_infra.postgres import embedded

    found = None if settings.database_url else embedded.found(settings.home)
    return found.pid if found else None


def _place_of(state: ServiceState, settings: Settings) -> ServicePlace:
    return ServicePlace(settings, state.host, state.port, Path(state.socket) if state.socket else None)


@contextmanager
def _database(settings: Settings) -> Iterator[tuple[Database | None, DatabaseReport]]:
    """Open the database where it is there and migrated; nothing is started, made or changed."""
    from omc_infra.postgres.migrate import revision

    address = server_address(settings)
    if address is None:
        yield None, DatabaseReport(None, None, "server not running")
        return
    with ExitStack() as exits:
        found = None
        try:
            if _is_migrated(address):
                found = exits.enter_context(open_database(settings))
            report = DatabaseReport(str(address), *((revision(found), None) if found else (None, "not migrated; run `omc db migrate`")))
        except (OmcError, psycopg.Error) as error:
            report = DatabaseReport(str(address), None, " ".join(str(error).split()))
        yield found, report


def _is_migrated(address: Address) -> bool:
    with address.administer() as admin:
        return admin.execute("SELECT to_regclass('omc.marker')").fetchone() != (None,)


def _findings(database: Database) -> list[str]:
    named: list[Findings] = [entry.load() for entry in sorted(entry_points(group=STATUS_GROUP))]
    return [finding for findings in named for finding in findings(database)]
