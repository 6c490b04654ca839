"""The table of services: each a ``ServiceSpec`` that a storey contributes as an entry point in the group ``omc.services``.

In ``pyproject.toml``::

    [project.entry-points."omc.services"]
    console = "omc_agents.services:CONSOLE"

The platform starts and supervises the services of this table, and ``omc status`` checks them. A command is a template; its
fields are listed at ``ServicePlace.fields``.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.roles import Role
from omc_infra.services.health import Health
from omc_infra.settings import Profile, Settings

SERVICES_GROUP = "omc.services"
EVERYTHING = ("*",)
_PROFILES: tuple[Profile, ...] = ("sandbox", "live")


@dataclass(frozen=True)
class ServiceSpec:
    """One service of the platform.

    Attributes:
        name: Unique; names the log file, and the service in ``omc status`` and ``omc up --only``.
        title: What it is, in a few words.
        health: How to check that it works.
        command: Words of the command line, as templates; empty: it runs with the platform and is no child of the supervisor.
        on_port: Words added where it listens on a port.
        on_socket: Words added where it listens on its Unix socket instead.
        port: The port it has by default, 0 for any free one, None for a service without a port.
        roles: Database roles whose credentials its process gets; without any it gets no database.
        keys: Names of upstream keys that its process gets; ``*`` is all.
        variables: Patterns of environment variables that its process gets beside the plain ones of ``environment.PLAIN``.
        environ: Variables set for its process, and for runs where it serves a code location.
        needs: Names or patterns of the services that are healthy before it starts.
        profiles: Profiles in which it runs.
        replaced_by: Setting that names another such service; where it is set, this one isn't run.
        provides: Template of the URL that the setting in ``replaced_by`` gets while it runs.
        code_location: Package whose ``definitions`` it serves to Dagster; it is restarted when code on disk changes.
        launches_runs: Whether Dagster's runs start below it; its process then gets the variables of all code locations.
        holds_platform: Whether its process holds the database's platform lock where it runs alone.
        restarts_with: Services after whose loss it is restarted.
        label: Name under which ``omc up`` prints its address; by default ``name``.
        entry: Function of the settings that returns the path a person opens at its address, where that is not the root.
        on_demand: Whether it runs only where somebody names it: `omc up --only NAME`.
        ready_s: How long its start may take.
    """

    name: str
    title: str
    health: Health
    command: tuple[str, ...] = ()
    on_port: tuple[str, ...] = ()
    on_socket: tuple[str, ...] = ()
    port: int | None = None
    roles: tuple[Role, ...] = ()
    keys: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    profiles: tuple[Profile, ...] = _PROFILES
    replaced_by: str = ""
    provides: str = ""
    code_location: str = ""
    launches_runs: bool = False
    holds_platform: bool = False
    restarts_with: tuple[str, ...] = ()
    label: str = ""
    entry: Callable[[Settings], str] | None = None
    on_demand: bool = False
    ready_s: float = 60.0

    def is_replaced(self, settings: Settings) -> bool:
        """Say whether the user named another such service, so that this one isn't run."""
        return bool(self.replaced_by) and getattr(settings, self.replaced_by) is not None


class ServiceTable:
    """Services by name, each after those it needs; iteration follows that order.

    Args:
        specs: All services, in any order.

    Raises:
        ConfigurationError: Two have one name, one needs a service that doesn't exist, or they need each other in a circle.
    """

    def __init__(self, specs: Iterable[ServiceSpec]) -> None:
        by_name: dict[str, ServiceSpec] = {}
        for spec in specs:
            if spec.name in by_name:
                raise ConfigurationError(f"two services are named {spec.name!r}; see the entry points {SERVICES_GROUP!r}")
            by_name[spec.name] = spec
        self._specs = {spec.name: spec for spec in _ordered(by_name)}

    def __iter__(self) -> Iterator[ServiceSpec]:
        return iter(self._specs.values())

    def __contains__(self, name: object) -> bool:
        return name in self._specs

    def __getitem__(self, name: str) -> ServiceSpec:
        """Return the service of a name.

        Raises:
            ConfigurationError: There is none.
        """
        if name not in self._specs:
            raise ConfigurationError(f"no service {name!r}; choose one of {', '.join(self._specs)}")
        return self._specs[name]

    def needed_by(self, spec: ServiceSpec) -> list[ServiceSpec]:
        """Return the services of this table that a service needs, in order."""
        return [other for other in self if other.name != spec.name and _is_named(other.name, spec.needs)]

    def needs_any(self, spec: ServiceSpec, asked: Callable[[ServiceSpec], bool]) -> bool:
        """Say whether a service, or one that it needs directly or indirectly, is as asked."""
        return asked(spec) or any(self.needs_any(other, asked) for other in self.needed_by(spec))

    def where_code_servers_execute_runs(self) -> ServiceTable:
        """Return the same table, in which code servers get what those services get that launch runs here."""
        launchers = [spec for spec in self if spec.launches_runs]

        def widened(spec: ServiceSpec) -> ServiceSpec:
            if not spec.code_location or not launchers:
                return spec
            return replace(spec, roles=launchers[0].roles, keys=launchers[0].keys, variables=launchers[0].variables)

        return ServiceTable([widened(spec) for spec in self])

    def only(self, settings: Settings, names: Iterable[str] = EVERYTHING) -> ServiceTable:
        """Return the part that this machine runs under these settings; ``names`` are names or patterns."""
        patterns = tuple(names)
        named = [s for s in self if (s.name in patterns if s.on_demand else _is_named(s.name, patterns))]
        kept = [s for s in named if settings.profile in s.profiles and not s.is_replaced(settings)]
        part = ServiceTable([])
        part._specs = {spec.name: spec for spec in kept}
        return part


def load_services() -> ServiceTable:
    """Read the whole table from the entry points of all storeys.

    Raises:
        ConfigurationError: An entry isn't a service, its name isn't the service's, or the table doesn't fit together.
    """
    return ServiceTable(_loaded())


def _loaded() -> Iterator[ServiceSpec]:
    for entry in sorted(entry_points(group=SERVICES_GROUP)):
        spec = entry.load()
        if not isinstance(spec, ServiceSpec) or spec.name != entry.name:
            raise ConfigurationError(f"entry point {entry.name!r} of {SERVICES_GROUP!r}: {entry.value} is not a service of that name")
        yield spec


def _ordered(specs: Mapping[str, ServiceSpec]) -> Iterator[ServiceSpec]:
    waiting = dict(specs)
    while waiting:
        ready = [spec for spec in waiting.values() if not any(_is_named(name, spec.needs) for name in waiting if name != spec.name)]
        if not ready:
            raise ConfigurationError(f"services depend on each other in a cycle: {', '.join(sorted(waiting))}")
        for spec in ready:
            _require_needs(spec, specs)
            del waiting[spec.name]
            yield spec


def _require_needs(spec: ServiceSpec, specs: Mapping[str, ServiceSpec]) -> None:
    for need in spec.needs:
        if not any(fnmatch.fnmatchcase(name, need) for name in specs) and "*" not in need:
            raise ConfigurationError(f"service {spec.name!r} needs {need!r}, which doesn't exist")


def _is_named(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
