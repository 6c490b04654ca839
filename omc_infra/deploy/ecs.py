"""Services of ECS as they are now, and why tasks ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omc_infra.deploy.context import Context
from omc_infra.terminal import one_line

_AT_ONCE = 10
"""Services that one call describes at most."""


@dataclass(frozen=True)
class ServiceState:
    """A service of ECS at one moment; ``raw`` is AWS's description."""

    raw: Mapping[str, Any]

    @property
    def task_definition(self) -> str:
        """ARN of the task definition that it should run."""
        return str(self.raw["taskDefinition"])

    @property
    def rollouts(self) -> Sequence[Mapping[str, Any]]:
        """Deployments, in ECS's sense: the primary one first, then older ones that still have tasks."""
        found: list[Mapping[str, Any]] = self.raw.get("deployments", [])
        return sorted(found, key=lambda each: each["status"] != "PRIMARY")

    @property
    def counts(self) -> str:
        """Running and wanted tasks, in words."""
        return f"{self.raw.get('runningCount', 0)} of {self.raw.get('desiredCount', 0)} running"

    @property
    def network(self) -> Mapping[str, Any]:
        """Subnets and security groups of its tasks, under ``awsvpcConfiguration``."""
        found: Mapping[str, Any] = self.raw.get("networkConfiguration") or {}
        return found

    def is_stable_on(self, arn: str) -> bool:
        """Say whether it runs one task definition, and nothing else, with all its tasks."""
        rollouts = self.rollouts
        return (
            len(rollouts) == 1
            and rollouts[0]["taskDefinition"] == arn
            and rollouts[0].get("rolloutState", "COMPLETED") == "COMPLETED"
            and self.raw["runningCount"] == self.raw["desiredCount"]
        )


def service_states(context: Context, names: Iterable[str]) -> dict[str, ServiceState]:
    """Return services by name; one that doesn't exist or was deleted is left out."""
    wanted = list(names)
    found: dict[str, ServiceState] = {}
    for first in range(0, len(wanted), _AT_ONCE):
        part = wanted[first : first + _AT_ONCE]
        answer = context.aws.call("ecs", "describe_services", cluster=context.section.cluster, services=part)
        found |= {each["serviceName"]: ServiceState(each) for each in answer["services"] if each["status"] == "ACTIVE"}
    return found


def tasks_of(context: Context, service: str, status: str) -> list[dict[str, Any]]:
    """Return a service's tasks of a desired status, ``RUNNING`` or ``STOPPED``, a hundred at most."""
    cluster = context.section.cluster
    arns = context.aws.call("ecs", "list_tasks", cluster=cluster, serviceName=service, desiredStatus=status)["taskArns"]
    return described_tasks(context, arns) if arns else []


def described_tasks(context: Context, arns: Sequence[str]) -> list[dict[str, Any]]:
    """Return tasks by ARN, a hundred at most."""
    tasks: list[dict[str, Any]] = context.aws.call("ecs", "describe_tasks", cluster=context.section.cluster, tasks=list(arns[:100]))[
        "tasks"
    ]
    return tasks


def why_stopped(task: Mapping[str, Any]) -> str:
    """Return why a task stopped: AWS's reason, and the exit codes and reasons of its containers."""
    reasons = [one_line(task.get("stoppedReason", ""))[:300]]
    for container in task.get("containers", []):
        if container.get("exitCode"):
            reasons.append(f"{container['name']} exited with {container['exitCode']}")
        if container.get("reason"):
            reasons.append(f"{container['name']}: {one_line(container['reason'])[:300]}")
    return "; ".join(reason for reason in reasons if reason) or "no reason given"


def stop_reasons(context: Context, service: str, arn: str) -> str:
    """Return why the stopped tasks of a service's task definition stopped, each reason once; empty where none did."""
    stopped = (task for task in tasks_of(context, service, "STOPPED") if task["taskDefinitionArn"] == arn)
    return " | ".join(dict.fromkeys(why_stopped(task) for task in stopped))[:1000]
