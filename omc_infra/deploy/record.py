"""What is known of a deployment, written after each step, so that a process that was killed is followed by one that goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from omc_infra.deploy.aws import Aws, AwsRefusedError
from omc_infra.deploy.failures import LeaseLostError
from omc_infra.deploy.lease import Lease, key_of

State = Literal["running", "rolling back", "deployed", "rolled back", "refused", "rollback failed"]
Kind = Literal["deployment", "rollback"]
UNFINISHED: tuple[State, ...] = ("running", "rolling back")
_PREFIX = "deployment#"
_APPLIED = "applied#"


@dataclass(frozen=True)
class ServiceChange:
    """One service, or one family of run tasks, in a deployment.

    Attributes:
        name: In the table of services; for a family, the family's.
        ecs_name: Service in ECS; empty for a family.
        before: ARN of the task definition that served before.
        after: ARN of the new one; empty until it is registered.
    """

    name: str
    ecs_name: str
    before: str
    after: str = ""


@dataclass(frozen=True)
class Deployment:
    """A deployment or rollback, unfinished or finished.

    Attributes:
        id: Begins with the time of its start, so ids sort by time.
        kind: What it is.
        environment: Where.
        commit: What is deployed; for a rollback, the commit that is left.
        image: By digest; empty until it is known.
        state: How it stands.
        reason: Why it was refused or rolled back; empty otherwise.
        started_at: ISO 8601, UTC.
        finished_at: ISO 8601, UTC; empty while it is unfinished.
        done: Names of the steps that are done.
        services: In the order in which they are changed.
        families: Families of run tasks.
        facts: Other things known: names of the snapshot and of the migration's task.
    """

    id: str
    kind: Kind
    environment: str
    commit: str
    image: str
    state: State
    started_at: str
    reason: str = ""
    finished_at: str = ""
    done: tuple[str, ...] = ()
    services: tuple[ServiceChange, ...] = ()
    families: tuple[ServiceChange, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)

    def has_done(self, step: str) -> bool:
        """Say whether a step is done."""
        return step in self.done


class Journal:
    """The record of the deployment that this process works on; every change is written at once, on condition of the lock.

    Args:
        aws: Where the table is.
        table: Its name.
        lease: The environment's lock, held.
        deployment: What is known so far.
    """

    def __init__(self, aws: Aws, table: str, lease: Lease, deployment: Deployment) -> None:
        self._aws, self._table, self._lease, self.deployment = aws, table, lease, deployment

    def note(self, **changes: Any) -> None:
        """Change fields and write the record.

        Raises:
            LeaseLostError: The lock was lost; nothing was written.
        """
        self._lease.require()
        changed = replace(self.deployment, **changes)
        item = {**key_of(changed.environment, _PREFIX + changed.id), "record": {"S": json.dumps(asdict(changed))}}
        try:
            self._aws.call(
                "dynamodb",
                "transact_write_items",
                TransactItems=[self._lease.condition(), {"Put": {"TableName": self._table, "Item": item}}],
            )
        except AwsRefusedError as error:
            if error.code == "TransactionCanceledException":
                raise LeaseLostError(f"another process has taken over the deployment of {changed.environment}") from error
            raise
        self.deployment = changed

    def finish(self, step: str) -> None:
        """Note that a step is done."""
        self.note(done=(*self.deployment.done, step))

    def fact(self, name: str, value: str) -> None:
        """Note a fact."""
        self.note(facts={**self.deployment.facts, name: value})

    def change(self, name: str, after: str) -> None:
        """Note the new task definition of a service or family."""
        old = self.deployment
        self.note(
            services=tuple(replace(each, after=after) if each.name == name else each for each in old.services),
            families=tuple(replace(each, after=after) if each.name == name else each for each in old.families),
        )

    def applied(self, what: str) -> str:
        """Return which version of a secret was applied last; empty where none was."""
        key = key_of(self.deployment.environment, _APPLIED + what)
        found = self._aws.call("dynamodb", "get_item", TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return str(found["version"]["S"]) if found else ""

    def apply(self, what: str, version: str) -> None:
        """Note which version of a secret is applied."""
        item = {**key_of(self.deployment.environment, _APPLIED + what), "version": {"S": version}}
        self._lease.require()
        self._aws.call("dynamodb", "put_item", TableName=self._table, Item=item)


def new_deployment(kind: Kind, environment: str, commit: str, image: str, now: datetime) -> Deployment:
    """Return a deployment that begins now; its id can be part of names in AWS."""
    identifier = f"{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
    return Deployment(identifier, kind, environment, commit, image, "running", now.isoformat())


def deployments(aws: Aws, table: str, environment: str) -> Iterator[Deployment]:
    """Yield the deployments of an environment, newest first."""
    start: dict[str, Any] = {}
    while True:
        answer = aws.call(
            "dynamodb", "query", TableName=table, ConsistentRead=True, ScanIndexForward=False,
            KeyConditionExpression="#e = :e AND begins_with(#i, :p)", ExpressionAttributeNames={"#e": "environment", "#i": "item"},
            ExpressionAttributeValues={":e": {"S": environment}, ":p": {"S": _PREFIX}}, Limit=20, **start,
        )  # fmt: skip
        yield from (_read(item["record"]["S"]) for item in answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def newest(aws: Aws, table: str, environment: str, asked: Callable[[Deployment], bool] = lambda _: True) -> Deployment | None:
    """Return the newest deployment that is as asked, or None."""
    return next((each for each in deployments(aws, table, environment) if asked(each)), None)


def _read(text: str) -> Deployment:
    held = json.loads(text)
    held["done"] = tuple(held["done"])
    for name in ("services", "families"):
        held[name] = tuple(ServiceChange(**each) for each in held[name])
    return Deployment(**held)
