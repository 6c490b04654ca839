"""What a deployment would change: the difference between what runs and what would run."""

from __future__ import annotations

from dataclasses import dataclass

from omc_infra.deploy.context import Context
from omc_infra.deploy.ecs import service_states
from omc_infra.deploy.failures import GateRefusedError
from omc_infra.deploy.record import ServiceChange
from omc_infra.deploy.revisions import definition, differences, family_of, own_images


@dataclass(frozen=True)
class PlannedChange:
    """What changes for one service, or one family of run tasks.

    Attributes:
        change: The service, and the task definition that serves now.
        image_before: Its image now.
        image_after: The image that it gets; empty where it is not built yet.
        others: Names of what else differs, because the newest revision of its family is not the one that serves.
    """

    change: ServiceChange
    image_before: str
    image_after: str
    others: tuple[str, ...]

    @property
    def is_change(self) -> bool:
        """Whether anything changes."""
        return self.image_before != self.image_after or bool(self.others)

    def __str__(self) -> str:
        """Describe it in one line."""
        if not self.is_change:
            return f"{self.change.name}: no change"
        others = f"; {', '.join(self.others)}" if self.others else ""
        return f"{self.change.name}: {_short(self.image_before)} -> {_short(self.image_after) or 'not built yet'}{others}"


def planned_changes(context: Context, image: str) -> list[PlannedChange]:
    """Compare each service, in order, and each family of run tasks with what it would be.

    Raises:
        GateRefusedError: A service does not exist, or has no image of the repository.
    """
    states = service_states(context, [target.ecs_name for target in context.targets])
    places = []
    for target in context.targets:
        if target.ecs_name not in states:
            raise GateRefusedError(f"cluster {context.section.cluster} has no service {target.ecs_name}")
        places.append((target.spec.name, target.ecs_name, states[target.ecs_name].task_definition))
    places += [(family, "", str(definition(context, family)["taskDefinitionArn"])) for family in context.section.run_families]
    return [_planned(context, ServiceChange(*place), image) for place in places]


def _planned(context: Context, change: ServiceChange, image: str) -> PlannedChange:
    now, newest = definition(context, change.before), definition(context, family_of(change.before))
    images = own_images(now, context.section.repository)
    if not images:
        raise GateRefusedError(f"{change.name}: no container has an image of {context.section.repository}")
    return PlannedChange(change, images[0], image, tuple(differences(now, newest)))


def _short(image: str) -> str:
    _, _, digest = image.partition("@sha256:")
    return digest[:12] or image.rpartition("/")[2]
