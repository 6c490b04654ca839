"""Task definitions: which revision serves, what a new one changes, and its registration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omc_infra.deploy.context import Context
from omc_infra.deploy.failures import GateRefusedError

Definition = Mapping[str, Any]
_GIVEN_BY_AWS = frozenset(
    {
        "taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy",
        "deregisteredAt", "deleteRequestedAt", "tags",
    }
)  # fmt: skip
_IMAGE_VARIABLE = "DAGSTER_CURRENT_IMAGE"
"""From which Dagster's run launcher takes the image of runs."""


def definition(context: Context, name: str) -> Definition:
    """Return a task definition by ARN, or the newest active one of a family; its tags are under ``tags``."""
    answer = context.aws.call("ecs", "describe_task_definition", taskDefinition=name, include=["TAGS"])
    return {**answer["taskDefinition"], "tags": answer.get("tags", [])}


def family_of(arn: str) -> str:
    """Return the family in a task definition's ARN."""
    return arn.rpartition("/")[2].partition(":")[0]


def own_images(found: Definition, repository: str) -> list[str]:
    """Return the images of a definition that are of a repository, one each container."""
    return [c["image"] for c in found["containerDefinitions"] if is_own_image(c["image"], repository)]


def is_own_image(image: str, repository: str) -> bool:
    """Say whether an image is of a repository."""
    return image == repository or image.startswith((f"{repository}@", f"{repository}:"))


def registered(context: Context, base: Definition, image: str) -> str:
    """Return the ARN of a revision like ``base`` with another image: ``base`` itself where it has that image, else a new one.

    Raises:
        GateRefusedError: No container of it has an image of the repository.
    """
    wanted = with_image(base, context.section.repository, image)
    if wanted == registrable(base):
        return str(base["taskDefinitionArn"])
    return copied(context, {**wanted, "tags": base["tags"]})


def copied(context: Context, found: Definition) -> str:
    """Register a definition as the newest revision of its family, and return its ARN."""
    tags = {"tags": found["tags"]} if found["tags"] else {}
    answer = context.aws.call("ecs", "register_task_definition", **registrable(found), **tags)
    return str(answer["taskDefinition"]["taskDefinitionArn"])


def registrable(found: Definition) -> dict[str, Any]:
    """Return what a definition's registration is given, without tags."""
    return {key: value for key, value in found.items() if key not in _GIVEN_BY_AWS}


def with_image(found: Definition, repository: str, image: str) -> dict[str, Any]:
    """Return what a definition's registration is given, every image of the repository replaced; other containers stay as they are.

    Raises:
        GateRefusedError: No container has an image of the repository.
    """
    if not own_images(found, repository):
        raise GateRefusedError(f"no container of task definition {found['family']} has an image of {repository}")
    return {**registrable(found), "containerDefinitions": [_container(c, repository, image) for c in found["containerDefinitions"]]}


def differences(old: Definition, new: Definition) -> Iterator[str]:
    """Yield what differs between two definitions beside the image, as names without values."""
    before, after = _flat(old), _flat(new)
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"-{name}"
        elif name not in before:
            yield f"+{name}"
        elif before[name] != after[name]:
            yield f"~{name}"


def _container(container: Mapping[str, Any], repository: str, image: str) -> dict[str, Any]:
    if not is_own_image(container["image"], repository):
        return dict(container)
    changed = {**container, "image": image}
    if "environment" in container:
        changed["environment"] = [{**e, "value": image} if e["name"] == _IMAGE_VARIABLE else e for e in container["environment"]]
    return changed


def _flat(found: Definition) -> dict[str, Any]:
    flat = {key: value for key, value in registrable(found).items() if key != "containerDefinitions"}
    for container in found["containerDefinitions"]:
        for key, value in container.items():
            at = f"{container['name']}.{key}"
            if key in {"environment", "secrets"}:
                flat |= {f"{at}.{e['name']}": e.get("value", e.get("valueFrom")) for e in value if e["name"] != _IMAGE_VARIABLE}
            elif key != "image":
                flat[at] = value
    return flat
