"""Secrets that AWS's own services need in clear: the cache's token and the login rule of the load balancer.

Terraform would keep both in its state. So they are read from Secrets Manager here, and given to AWS without being printed or recorded; what
is recorded is the version of the entry that was applied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from omc_infra.deploy.aws import AwsRefusedError
from omc_infra.deploy.context import Context, Target
from omc_infra.deploy.ecs import service_states
from omc_infra.deploy.failures import RolloutError
from omc_infra.deploy.record import Journal

OIDC_FIELDS = ("issuer", "authorization_endpoint", "token_endpoint", "user_info_endpoint", "client_id", "client_secret")
_AWS_NAMES = ("Issuer", "AuthorizationEndpoint", "TokenEndpoint", "UserInfoEndpoint", "ClientId", "ClientSecret")


def add_cache_token(context: Context, journal: Journal) -> str:
    """Let the cache take the entry's token beside the one it has; services with either are served.

    Returns:
        What was done, in words.

    Raises:
        RolloutError: The entry holds no token, or the cache does not take it in time.
    """
    return _set_token(context, journal, "ROTATE", "cache beside the old one")


def keep_only_cache_token(context: Context, journal: Journal) -> str:
    """Let the cache take nothing but the entry's token, after every service uses it; arguments and errors as of ``add_cache_token``."""
    return _set_token(context, journal, "SET", "cache alone")


def set_login_rules(context: Context, journal: Journal) -> str:
    """Create or change the rule of each host that logs a person in before it forwards; one that is right stays untouched.

    Raises:
        RolloutError: The entry is not complete, or a service has no target group.
    """
    section = context.section
    if not section.oidc_listener:
        return "none configured"
    text, entry_version = _read(context, section.oidc_entry)
    login = _login(section.oidc_entry, text)
    rules = context.aws.call("elbv2", "describe_rules", ListenerArn=section.oidc_listener)["Rules"]
    behind = [target for target in context.targets if target.spec.name in section.oidc_hosts]
    groups = _target_groups(context, behind)
    done = []
    for place, target in enumerate(behind):
        host = section.oidc_hosts[target.spec.name]
        rule = _Rule(host, section.oidc_priority + place, groups[target.spec.name], login)
        mark, existing = rule.fingerprint(entry_version), _rule_of(rules, host)
        if existing and journal.applied(f"login#{host}") == mark:
            continue
        context.require_lock()
        if existing:
            context.aws.call(
                "elbv2", "modify_rule", hidden=rule.hidden, RuleArn=existing["RuleArn"], Conditions=rule.conditions, Actions=rule.actions
            )
        else:
            context.aws.call(
                "elbv2", "create_rule", hidden=rule.hidden, ListenerArn=section.oidc_listener, Priority=rule.priority,
                Conditions=rule.conditions, Actions=rule.actions,
            )  # fmt: skip
        journal.apply(f"login#{host}", mark)
        done.append(host)
    return f"set for {', '.join(done)}" if done else "as they should be"


class _Rule:
    """A rule that logs in and forwards."""

    def __init__(self, host: str, priority: int, group: str, login: Mapping[str, str]) -> None:
        oidc = {aws: login[own] for aws, own in zip(_AWS_NAMES, OIDC_FIELDS, strict=True)}
        self.priority, self.hidden = priority, (login["client_secret"],)
        self.conditions = [{"Field": "host-header", "HostHeaderConfig": {"Values": [host]}}]
        self.actions: list[dict[str, Any]] = [
            {"Type": "authenticate-oidc", "Order": 1, "AuthenticateOidcConfig": {**oidc, "OnUnauthenticatedRequest": "authenticate"}},
            {"Type": "forward", "Order": 2, "TargetGroupArn": group},
        ]

    def fingerprint(self, entry_version: str) -> str:
        """Return a digest of the rule, of the entry's version in place of the secret itself."""
        shown = json.dumps([self.conditions, self.actions], sort_keys=True).replace(json.dumps(self.hidden[0]), json.dumps(entry_version))
        return hashlib.sha256(shown.encode()).hexdigest()


def _set_token(context: Context, journal: Journal, strategy: str, what: str) -> str:
    section = context.section
    if not section.cache_group:
        return "none configured"
    text, version = _read(context, section.cache_entry)
    token = unquote(urlsplit(text).password or "") if "://" in text else text
    if not token:
        raise RolloutError(f"entry {section.cache_entry} holds no token: it is neither one, nor a URL with a password")
    if journal.applied(what) == version:
        return "as it should be"
    context.require_lock()
    context.aws.call(
        "elasticache", "modify_replication_group", hidden=(token,), ReplicationGroupId=section.cache_group, AuthToken=token,
        AuthTokenUpdateStrategy=strategy, ApplyImmediately=True,
    )  # fmt: skip
    for _ in context.looks(section.cache_timeout_s):
        answer = context.aws.call("elasticache", "describe_replication_groups", ReplicationGroupId=section.cache_group)
        if answer["ReplicationGroups"][0]["Status"] == "available":
            journal.apply(what, version)
            return "set"
    raise RolloutError(f"cache {section.cache_group} has not taken its token within {section.cache_timeout_s:.0f} s")


def _read(context: Context, name: str) -> tuple[str, str]:
    try:
        entry = context.aws.call("secretsmanager", "get_secret_value", SecretId=name)
    except AwsRefusedError as error:
        raise RolloutError(f"entry {name} of Secrets Manager can't be read: {error}") from error
    return str(entry.get("SecretString", "")).strip(), str(entry["VersionId"])


def _login(name: str, text: str) -> dict[str, str]:
    try:
        held = json.loads(text)
    except ValueError:
        raise RolloutError(f"entry {name} is not JSON") from None  # the cause would hold the secret
    missing = [each for each in OIDC_FIELDS if not isinstance(held, dict) or not isinstance(held.get(each), str) or not held[each]]
    if missing:
        raise RolloutError(f"entry {name} lacks {', '.join(missing)}")
    return {each: held[each] for each in OIDC_FIELDS}


def _target_groups(context: Context, targets: Sequence[Target]) -> dict[str, str]:
    states, found = service_states(context, [target.ecs_name for target in targets]), {}
    for target in targets:
        balancers = states[target.ecs_name].raw.get("loadBalancers", []) if target.ecs_name in states else []
        groups = [each["targetGroupArn"] for each in balancers if each.get("targetGroupArn")]
        if not groups:
            raise RolloutError(f"{target.ecs_name} has no target group, so no login rule can forward to it")
        found[target.spec.name] = groups[0]
    return found


def _rule_of(rules: Sequence[Mapping[str, Any]], host: str) -> Mapping[str, Any] | None:
    """Return the rule that logs in for a host, or None."""
    for rule in rules:
        hosts = [value for c in rule["Conditions"] for value in c.get("HostHeaderConfig", {}).get("Values", c.get("Values", []))]
        if host in hosts and any(action["Type"] == "authenticate-oidc" for action in rule["Actions"]):
            return rule
    return None
