"""What every step of a deployment works with, and the part of the table of services that is deployed."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from omc_infra.deploy.aws import Aws
from omc_infra.deploy.options import DeploySection
from omc_infra.errors import ConfigurationError
from omc_infra.services.health import HttpHealth
from omc_infra.services.table import ServiceSpec


@dataclass(frozen=True)
class Target:
    """A service that is deployed.

    Attributes:
        spec: As in the table of services.
        ecs_name: Its name in ECS.
    """

    spec: ServiceSpec
    ecs_name: str

    @property
    def health_path(self) -> str | None:
        """Path of its HTTP health check; None where it is checked in another form."""
        return self.spec.health.path if isinstance(self.spec.health, HttpHealth) and self.spec.port is not None else None


@dataclass(frozen=True)
class Context:
    """What every step works with.

    Attributes:
        environment: Name of the environment.
        section: Its options.
        aws: Its account and region.
        targets: Services in the order in which they are deployed.
        report: Takes a line of progress.
        require_lock: Raises ``LeaseLostError`` where the lock was lost; called before each change and each look.
    """

    environment: str
    section: DeploySection
    aws: Aws
    targets: tuple[Target, ...]
    report: Callable[[str], None]
    require_lock: Callable[[], None] = field(default=lambda: None)

    def looks(self, timeout_s: float) -> Iterator[float]:
        """Yield the seconds since the first look, every ``poll_s``, until the timeout; the lock is held at each look.

        Raises:
            LeaseLostError: The lock was lost.
        """
        began = time.monotonic()
        while (passed := time.monotonic() - began) < timeout_s:
            self.require_lock()
            yield passed
            time.sleep(self.section.poll_s)


def targets_of(table: Iterable[ServiceSpec], section: DeploySection) -> tuple[Target, ...]:
    """Return the services that are deployed, each after those that it needs.

    A service is deployed that has a process of its own, runs in the live profile, and is not replaced by one that AWS provides. A service
    on demand is deployed only where its own name is listed.

    Raises:
        ConfigurationError: None is left, or a listed name fits no such service.
    """
    able = [spec for spec in table if spec.command and "live" in spec.profiles and not spec.replaced_by]
    named = [s for s in able if (s.name in section.services if s.on_demand else _fits(s.name, section.services))]
    for pattern in section.services:
        if not any(fnmatch.fnmatchcase(spec.name, pattern) for spec in able):
            names = ", ".join(spec.name for spec in able)
            raise ConfigurationError(f"deploy: services: {pattern!r} fits no service; choose from {names}")
    if not named:
        raise ConfigurationError("deploy: services: none is left")
    return tuple(Target(spec, section.service_name.replace("{service}", spec.name)) for spec in named)


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
