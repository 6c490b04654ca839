"""Look, before anything is changed, whether everything that a deployment uses exists and fits; all findings at once.

What can't be seen from outside: whether a log group takes lines, and what policies decide at the moment of a call. For entries of Secrets
Manager IAM is asked what it would decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from omc_infra.deploy.context import Context, Target
from omc_infra.deploy.ecs import ServiceState, service_states
from omc_infra.deploy.revisions import Definition, definition, family_of
from omc_infra.deploy.rollout import alarm_states
from omc_infra.deploy.verify_network import network_findings, quota_findings
from omc_infra.deploy.verify_tasks import definition_findings
from omc_infra.errors import OmcError


def findings(context: Context) -> list[str]:
    """Return what is wrong, one line each; empty where a deployment can begin."""
    states = service_states(context, [target.ecs_name for target in context.targets])
    present = [target for target in context.targets if target.ecs_name in states]
    found = [f"cluster {context.section.cluster} has no service {t.ecs_name}" for t in context.targets if t not in present]
    definitions: dict[str, Definition] = {}
    for family in dict.fromkeys(families(context, states)):
        found += _asked(f"task definition {family}", partial(_read, context, family, definitions))
    checks: list[tuple[str, Callable[[], Iterable[str]]]] = [
        ("services", lambda: [line for t in present for line in _service_findings(context, t, states[t.ecs_name])]),
        ("task definitions", lambda: definition_findings(context, definitions.values())),
        ("network", lambda: network_findings(context, present, states, definitions)),
        ("quota", lambda: quota_findings(context, present, states, definitions)),
        ("database", lambda: _database_findings(context)),
        ("alarms", lambda: _alarm_findings(context)),
        ("secrets", lambda: _entry_findings(context)),
    ]
    for name, check in checks:
        found += _asked(name, check)
    return found


def families(context: Context, states: dict[str, ServiceState]) -> Iterator[str]:
    """Yield the families of all task definitions that a deployment registers."""
    yield from (family_of(state.task_definition) for state in states.values())
    yield from context.section.run_families
    yield context.section.migration_family


def _read(context: Context, family: str, into: dict[str, Definition]) -> list[str]:
    into[family] = definition(context, family)
    return []


def _asked(what: str, check: Callable[[], Iterable[str]]) -> list[str]:
    """Return a check's findings; a check that can't be made is a finding."""
    try:
        return list(check())
    except OmcError as error:
        return [f"{what}: {error}"]


def _service_findings(context: Context, target: Target, state: ServiceState) -> Iterator[str]:
    configuration = state.raw.get("deploymentConfiguration", {})
    if target.spec.holds_platform and configuration.get("maximumPercent", 200) > 100:
        most = configuration.get("maximumPercent", 200)
        yield f"{target.ecs_name}: maximumPercent must be 100, since two of it must never run; it is {most}"
    if not configuration.get("deploymentCircuitBreaker", {}).get("enable"):
        yield f"{target.ecs_name}: its deployment circuit breaker is off; turn it on, so that ECS reports a rollout that fails"
    if target.health_path and target.spec.name not in context.section.health_urls:
        yield f"{target.spec.name}: health_urls has no address of it"


def _database_findings(context: Context) -> Iterator[str]:
    name = context.section.database_instance
    (found,) = context.aws.call("rds", "describe_db_instances", DBInstanceIdentifier=name)["DBInstances"]
    if found["DBInstanceStatus"] != "available":
        yield f"database {name} is {found['DBInstanceStatus']}; a snapshot needs it available"


def _alarm_findings(context: Context) -> Iterator[str]:
    states = alarm_states(context)
    yield from (f"alarm {name} doesn't exist" for name in context.section.alarms if name not in states)
    yield from (f"alarm {name} is off already" for name, state in states.items() if state == "ALARM")


def _entry_findings(context: Context) -> Iterator[str]:
    section = context.section
    for name in filter(None, (section.cache_entry, section.oidc_entry)):
        yield from _asked(f"entry {name}", partial(_found, context, "secretsmanager", "describe_secret", SecretId=name))
    if section.cache_group:
        asked = partial(_found, context, "elasticache", "describe_replication_groups", ReplicationGroupId=section.cache_group)
        yield from _asked(f"cache {section.cache_group}", asked)
    if section.oidc_listener:
        yield from _asked("login rules", lambda: _listener_findings(context))


def _found(context: Context, service: str, operation: str, **parameters: str) -> list[str]:
    """Ask for something; AWS refuses where it doesn't exist."""
    context.aws.call(service, operation, **parameters)
    return []


def _listener_findings(context: Context) -> Iterator[str]:
    found = context.aws.call("elbv2", "describe_listeners", ListenerArns=[context.section.oidc_listener])["Listeners"]
    if not found or found[0]["Protocol"] != "HTTPS":
        yield "oidc_listener is no HTTPS listener; a login needs one"
