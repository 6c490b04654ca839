"""Checks of subnets, target groups and the quota of Fargate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omc_infra.deploy.context import Context, Target
from omc_infra.deploy.ecs import ServiceState
from omc_infra.deploy.revisions import Definition, family_of

_FARGATE_VCPU_QUOTA = "L-3032A538"
"""Fargate On-Demand vCPU resource count, https://docs.aws.amazon.com/general/latest/gr/ecs-service.html#service-quotas-fargate."""
_CPU_UNITS = 1024


def network_findings(
    context: Context, targets: Sequence[Target], states: Mapping[str, ServiceState], definitions: Mapping[str, Definition]
) -> Iterator[str]:
    """Yield what is wrong with the subnets and target groups of services."""
    subnets: dict[str, int] = {}
    for target in targets:
        state = states[target.ecs_name]
        own = list(state.network.get("awsvpcConfiguration", {}).get("subnets", []))
        if not own:
            yield f"{target.ecs_name}: it has no subnets"
        for subnet in own:
            subnets[subnet] = subnets.get(subnet, 0) + math.ceil(_most_tasks(state) / len(own))
    vpcs = set()
    if subnets:
        for found in context.aws.call("ec2", "describe_subnets", SubnetIds=sorted(subnets))["Subnets"]:
            vpcs.add(found["VpcId"])
            name, free = found["SubnetId"], found["AvailableIpAddressCount"]
            if free < subnets[name]:
                yield f"subnet {name} has {free} free addresses, {subnets[name]} are needed"
    for target in targets:
        for balancer in states[target.ecs_name].raw.get("loadBalancers", []):
            yield from _group_findings(context, target, balancer, vpcs, definitions[family_of(states[target.ecs_name].task_definition)])


def quota_findings(
    context: Context, targets: Sequence[Target], states: Mapping[str, ServiceState], definitions: Mapping[str, Definition]
) -> Iterator[str]:
    """Yield a line where the account's quota of vCPUs is smaller than what all services and the migration may use at once."""
    units = sum(
        int(definitions[family_of(states[t.ecs_name].task_definition)].get("cpu") or 0) * _most_tasks(states[t.ecs_name]) for t in targets
    )
    units += int(definitions.get(context.section.migration_family, {}).get("cpu") or 0)
    answer = context.aws.call("service-quotas", "get_service_quota", ServiceCode="fargate", QuotaCode=_FARGATE_VCPU_QUOTA)
    allowed = float(answer["Quota"]["Value"])
    if units / _CPU_UNITS > allowed:
        yield f"the services may use {units / _CPU_UNITS:g} vCPUs at once, and the quota of Fargate is {allowed:g}"


def _most_tasks(state: ServiceState) -> int:
    percent: int = state.raw.get("deploymentConfiguration", {}).get("maximumPercent", 200)
    return math.ceil(int(state.raw.get("desiredCount", 0)) * percent / 100)


def _group_findings(context: Context, target: Target, balancer: Mapping[str, Any], vpcs: set[str], definition: Definition) -> Iterator[str]:
    arn = balancer.get("targetGroupArn")
    if not arn:
        return
    (group,) = context.aws.call("elbv2", "describe_target_groups", TargetGroupArns=[arn])["TargetGroups"]
    name = group["TargetGroupName"]
    if group["TargetType"] != "ip":
        yield f"target group {name} is of type {group['TargetType']}; tasks of Fargate need ip"
    if vpcs and group.get("VpcId") not in vpcs:
        yield f"target group {name} is in another network than the subnets"
    if target.health_path and group.get("HealthCheckPath") != target.health_path:
        yield f"target group {name} checks {group.get('HealthCheckPath')}; {target.spec.name} is checked by {target.health_path}"
    ports = {
        mapping["containerPort"]
        for container in definition["containerDefinitions"]
        if container["name"] == balancer.get("containerName")
        for mapping in container.get("portMappings", [])
    }
    if balancer.get("containerPort") not in ports:
        yield f"{target.ecs_name}: container {balancer.get('containerName')} does not listen on port {balancer.get('containerPort')}"
