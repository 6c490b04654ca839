"""What serves in an environment, and how its newest deployment stands."""

from __future__ import annotations

from dataclasses import dataclass

from omc_infra.deploy.context import Context
from omc_infra.deploy.ecs import service_states
from omc_infra.deploy.lease import read_lock
from omc_infra.deploy.record import Deployment, newest
from omc_infra.deploy.revisions import definition, own_images
from omc_infra.deploy.rollout import alarm_states


@dataclass(frozen=True)
class ServiceStatus:
    """A service of ECS.

    Attributes:
        name: In the table of services.
        task_definition: Family and revision; empty where the service is missing.
        image: That it runs.
        running: Number of its tasks.
        desired: Number of tasks that it should have.
        is_stable: Whether one revision runs with all tasks.
    """

    name: str
    task_definition: str
    image: str
    running: int
    desired: int
    is_stable: bool


@dataclass(frozen=True)
class EnvironmentStatus:
    """An environment.

    Attributes:
        services: In the order of deployments.
        newest: The newest deployment or rollback; None before the first.
        holder: Who holds the lock; empty where nobody does.
        alarms: Alarms that are off.
    """

    services: tuple[ServiceStatus, ...]
    newest: Deployment | None
    holder: str
    alarms: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether every service is stable and no alarm is off."""
        return all(service.is_stable for service in self.services) and not self.alarms


def environment_status(context: Context) -> EnvironmentStatus:
    """Ask AWS; changes nothing and needs no lock."""
    section = context.section
    states = service_states(context, [target.ecs_name for target in context.targets])
    services = []
    for target in context.targets:
        state = states.get(target.ecs_name)
        if state is None:
            services.append(ServiceStatus(target.spec.name, "", "", 0, 0, is_stable=False))
            continue
        images = own_images(definition(context, state.task_definition), section.repository)
        name, raw = state.task_definition.rpartition("/")[2], state.raw
        stable = state.is_stable_on(state.task_definition)
        services.append(ServiceStatus(target.spec.name, name, ", ".join(images), raw["runningCount"], raw["desiredCount"], stable))
    lock = read_lock(context.aws, section.state_table, context.environment)
    loud = tuple(name for name, state in alarm_states(context).items() if state == "ALARM")
    return EnvironmentStatus(
        tuple(services), newest(context.aws, section.state_table, context.environment), lock["holder"] if lock else "", loud
    )
