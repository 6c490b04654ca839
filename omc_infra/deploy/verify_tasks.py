"""Checks of task definitions: their images, roles, secrets and log groups."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from omc_infra.deploy.aws import AwsRefusedError
from omc_infra.deploy.context import Context
from omc_infra.deploy.revisions import Definition, own_images

_TASKS = "ecs-tasks.amazonaws.com"
_READS = "secretsmanager:GetSecretValue"


def definition_findings(context: Context, definitions: Iterable[Definition]) -> Iterator[str]:
    """Yield what is wrong with task definitions; a role, secret or log group that several use is looked at once."""
    every = list(definitions)
    for found in every:
        if not own_images(found, context.section.repository):
            yield f"{found['family']}: no container has an image of {context.section.repository}"
        if not found.get("executionRoleArn"):
            yield f"{found['family']}: it has no execution role, which pulls the image and reads secrets"
    roles = {str(found[key]) for found in every for key in ("executionRoleArn", "taskRoleArn") if found.get(key)}
    for role in sorted(roles):
        yield from _role_findings(context, role)
    readers = {(str(found.get("executionRoleArn", "")), arn) for found in every for arn in _secrets_of(found)}
    yield from _secret_findings(context, sorted(readers))
    for group in sorted({group for found in every for group in _log_groups(found)}):
        named = context.aws.call("logs", "describe_log_groups", logGroupNamePrefix=group)["logGroups"]
        if not any(each["logGroupName"] == group for each in named):
            yield f"log group {group} doesn't exist"


def _role_findings(context: Context, arn: str) -> Iterator[str]:
    name = arn.rpartition("/")[2]
    try:
        role = context.aws.call("iam", "get_role", RoleName=name)["Role"]
    except AwsRefusedError as error:
        yield f"role {name}: {'it does not exist' if error.code == 'NoSuchEntity' else error}"
        return
    policy = role["AssumeRolePolicyDocument"]
    if not _trusts_tasks(json.loads(unquote(policy)) if isinstance(policy, str) else policy):
        yield f"role {name} does not trust {_TASKS}: no task can assume it"


def _trusts_tasks(policy: Mapping[str, Any]) -> bool:
    for statement in _listed(policy.get("Statement", [])):
        principal = statement.get("Principal", {})
        services = _listed(principal.get("Service", [])) if isinstance(principal, Mapping) else []
        if statement.get("Effect") == "Allow" and _TASKS in services and "sts:AssumeRole" in _listed(statement.get("Action", [])):
            return True
    return False


def _secret_findings(context: Context, readers: Iterable[tuple[str, str]]) -> Iterator[str]:
    looked_at: dict[str, list[str]] = {}
    for role, arn in readers:
        if arn not in looked_at:
            looked_at[arn] = list(_entry_findings(context, arn))
            yield from looked_at[arn]
        if looked_at[arn] or not role:
            continue
        answer = context.aws.call("iam", "simulate_principal_policy", PolicySourceArn=role, ActionNames=[_READS], ResourceArns=[arn])
        if any(result["EvalDecision"] != "allowed" for result in answer["EvaluationResults"]):
            yield f"role {role.rpartition('/')[2]} may not read secret {_shown(arn)}"


def _entry_findings(context: Context, arn: str) -> Iterator[str]:
    if ":secretsmanager:" not in arn:
        yield f"secret {_shown(arn)} is no ARN of an entry of Secrets Manager"
        return
    try:
        found = context.aws.call("secretsmanager", "describe_secret", SecretId=arn)
    except AwsRefusedError as error:
        yield f"secret {_shown(arn)}: {'it does not exist' if error.code == 'ResourceNotFoundException' else error}"
        return
    if found.get("DeletedDate"):
        yield f"secret {_shown(arn)} is marked for deletion"
    elif not any("AWSCURRENT" in stages for stages in found.get("VersionIdsToStages", {}).values()):
        yield f"secret {_shown(arn)} has no value yet"


def _secrets_of(found: Definition) -> Iterator[str]:
    for container in found["containerDefinitions"]:
        for secret in container.get("secrets", []):
            yield ":".join(str(secret["valueFrom"]).split(":")[:7])  # after the ARN come key, stage and version


def _log_groups(found: Definition) -> Iterator[str]:
    for container in found["containerDefinitions"]:
        group = container.get("logConfiguration", {}).get("options", {}).get("awslogs-group")
        if group:
            yield str(group)


def _shown(arn: str) -> str:
    return arn.rpartition(":secret:")[2] or arn[:200]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
