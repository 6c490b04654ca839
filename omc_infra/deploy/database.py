"""The database's part of a deployment: a snapshot, then the migration as a task of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omc_infra.deploy.aws import AwsRefusedError
from omc_infra.deploy.context import Context
from omc_infra.deploy.ecs import described_tasks, why_stopped
from omc_infra.deploy.failures import RolloutError
from omc_infra.deploy.revisions import definition, is_own_image
from omc_infra.errors import OmcError, RetryableError
from omc_infra.logs import redact
from omc_infra.terminal import one_line

_LAST_LINES = 5


def make_snapshot(context: Context, deployment_id: str) -> str:
    """Make a snapshot of the database, wait until it is complete, and return its name; asked again, it waits for the same snapshot.

    Raises:
        RolloutError: It failed or takes too long.
    """
    section = context.section
    name = f"omc-{context.environment}-{deployment_id}".lower()
    context.require_lock()
    try:
        context.aws.call(
            "rds", "create_db_snapshot", DBInstanceIdentifier=section.database_instance, DBSnapshotIdentifier=name,
            Tags=[{"Key": "omc:deployment", "Value": deployment_id}],
        )  # fmt: skip
    except AwsRefusedError as error:
        if error.code != "DBSnapshotAlreadyExists":
            raise
    for _ in context.looks(section.snapshot_timeout_s):
        (found,) = context.aws.call("rds", "describe_db_snapshots", DBSnapshotIdentifier=name)["DBSnapshots"]
        if found["Status"] == "available":
            return name
        if found["Status"] not in {"creating", "pending"}:
            raise RolloutError(f"snapshot {name} is {found['Status']}")
    raise RolloutError(f"snapshot {name} is not complete after {section.snapshot_timeout_s:.0f} s")


def start_migration(context: Context, arn: str, deployment_id: str, network: Mapping[str, Any]) -> str:
    """Start the migration's task and return its ARN; asked again for the same deployment, ECS returns the same task.

    Raises:
        RolloutError: ECS places no task.
    """
    section = context.section
    context.require_lock()
    answer = context.aws.call(
        "ecs", "run_task", cluster=section.cluster, taskDefinition=arn, count=1, launchType="FARGATE", networkConfiguration=network,
        clientToken=deployment_id, startedBy=f"omc/{deployment_id}", **_overrides(context, arn),
    )  # fmt: skip
    if not answer["tasks"]:
        said = "; ".join(one_line(each.get("reason", "?")) for each in answer.get("failures", []))
        raise RolloutError(f"the migration's task was not placed: {said[:300]}")
    return str(answer["tasks"][0]["taskArn"])


def wait_for_migration(context: Context, task: str) -> None:
    """Wait until the migration has ended well. A task that runs too long, or does not start, is stopped.

    Raises:
        RolloutError: It failed; the message has its exit code, AWS's reason and the end of its log.
    """
    section, last = context.section, "UNKNOWN"
    for passed in context.looks(section.migration_timeout_s):
        try:
            found = described_tasks(context, [task])
        except RetryableError as error:
            context.report(f"migration: {error}")
            continue
        if not found:
            raise RolloutError("the migration's task is gone; whether it ended well is not known")
        status = str(found[0]["lastStatus"])
        if status != last:
            context.report(f"  migration: {status}")
            last = status
        if status == "STOPPED":
            _require_success(context, found[0])
            return
        if status in {"PROVISIONING", "PENDING"} and passed > section.start_timeout_s:
            _stop(context, task)
            raise RolloutError(f"the migration's task has not started within {section.start_timeout_s:.0f} s; it is {status}")
    _stop(context, task)
    raise RolloutError(f"the migration has not ended within {section.migration_timeout_s:.0f} s; it was stopped")


def _require_success(context: Context, task: Mapping[str, Any]) -> None:
    # Helpers beside it, such as a log router, are killed when it ends; their exit codes mean nothing.
    own = [c for c in task.get("containers", []) if is_own_image(str(c.get("image", "")), context.section.repository)]
    if own and all(container.get("exitCode") == 0 for container in own):
        return
    lines = _last_lines(context, task)
    raise RolloutError(f"the migration failed: {why_stopped(task)}" + (f"; its log ends: {lines}" if lines else ""))


def _last_lines(context: Context, task: Mapping[str, Any]) -> str:
    """Return the end of the logs of a task's containers; empty where they can't be read: the failure itself is reported anyhow."""
    identifier, lines = str(task["taskArn"]).rpartition("/")[2], []
    try:
        for container in definition(context, str(task["taskDefinitionArn"]))["containerDefinitions"]:
            options = container.get("logConfiguration", {}).get("options", {})
            if "awslogs-group" not in options or "awslogs-stream-prefix" not in options:
                continue
            stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{identifier}"
            answer = context.aws.call(
                "logs", "get_log_events", logGroupName=options["awslogs-group"], logStreamName=stream, limit=_LAST_LINES
            )
            lines += [redact(one_line(event["message"]))[:300] for event in answer["events"][-_LAST_LINES:]]
    except OmcError as error:
        return f"(can't be read: {error})"
    return " / ".join(lines)


def _overrides(context: Context, arn: str) -> dict[str, Any]:
    command: Sequence[str] = context.section.migration_command
    if not command:
        return {}
    found = definition(context, arn)
    names = [c["name"] for c in found["containerDefinitions"] if is_own_image(c["image"], context.section.repository)]
    return {"overrides": {"containerOverrides": [{"name": name, "command": list(command)} for name in names[:1]]}}


def _stop(context: Context, task: str) -> None:
    context.require_lock()
    context.aws.call("ecs", "stop_task", cluster=context.section.cluster, task=task, reason="omc deploy: it took too long")
