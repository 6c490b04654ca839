"""A local AWS: moto over HTTP, and before it a server that plays ECS by a script and hands every other call on.

ECS here is a state machine of its own, because moto's services run at once and for ever: a rollout goes from PENDING over RUNNING to
COMPLETED, or to FAILED with the old revision back, with events, stopped tasks and their reasons. What moto lacks beside ECS (the quota of
Fargate, IAM's simulation, a change of the cache's token) is played here too.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

ACCOUNT, REGION = "123456789012", "us-east-1"
_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
_LOOKS = 2
"""Looks at a service or task until it goes on to its next state."""


@dataclass
class Script:
    """What goes wrong, and where.

    Attributes:
        never_starts: Services of which a new revision's tasks are never placed.
        unhealthy: Services of which a new revision fails its health checks, so that the circuit breaker goes back.
        migration_exit: Exit code of the migration; None: its task never leaves PROVISIONING.
        throttled: Calls that are still to be throttled, by action.
        on_update: Called with the service's name when one is updated.
        denied_secrets: Ends of ARNs that IAM would not let roles read.
        vcpus: The quota.
        stale_looks: How many looks after a change show the service as it was before, since ECS is eventually consistent.
    """

    never_starts: set[str] = field(default_factory=set)
    unhealthy: set[str] = field(default_factory=set)
    migration_exit: int | None = 0
    throttled: Counter[str] = field(default_factory=Counter)
    on_update: Callable[[str], None] = lambda _: None
    denied_secrets: set[str] = field(default_factory=set)
    vcpus: float = 100.0
    stale_looks: int = 0


class Ecs:
    """The state machine of ECS: task definitions, services and tasks of one cluster."""

    def __init__(self) -> None:
        self.script = Script()
        self.families: dict[str, list[dict[str, Any]]] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.stale: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.lock = threading.RLock()
        self._numbers = 0

    def answer(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.asked.append((action, given))
            if self.script.throttled[action] > 0:
                self.script.throttled[action] -= 1
                raise Refused("ThrottlingException", "Rate exceeded")
            result: dict[str, Any] = getattr(self, f"_{action}")(given)
        if action == "UpdateService":
            self.script.on_update(given["service"])
        return result

    def count(self, action: str) -> int:
        return sum(name == action for name, _ in self.asked)

    def _CreateCluster(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 named as the API does
        return {"cluster": {"clusterName": given["clusterName"]}}

    def _RegisterTaskDefinition(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        revisions = self.families.setdefault(given["family"], [])
        arn = f"{_ARN}:task-definition/{given['family']}:{len(revisions) + 1}"
        own = {key: value for key, value in given.items() if key != "tags"}
        revisions.append({**own, "taskDefinitionArn": arn, "revision": len(revisions) + 1, "status": "ACTIVE", "registeredBy": "someone"})
        return {"taskDefinition": revisions[-1]}

    def _DescribeTaskDefinition(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        family, _, revision = given["taskDefinition"].rpartition("/")[2].partition(":")
        if family not in self.families:
            raise Refused("ClientException", "Unable to describe task definition.")
        return {"taskDefinition": self.families[family][int(revision or 0) - 1], "tags": []}

    def _CreateService(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name, arn = given["serviceName"], self._full(given["taskDefinition"])
        self.services[name] = {**given, "serviceArn": f"{_ARN}:service/omc/{name}", "status": "ACTIVE", "taskDefinition": arn, "events": []}
        rollout = self._rollout(arn, given["desiredCount"])
        self.services[name]["deployments"] = [{**rollout, "rolloutState": "COMPLETED", "runningCount": given["desiredCount"]}]
        self._place(name, arn)
        return {"service": self._shown(name)}

    def _UpdateService(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name, arn = given["service"], self._full(given["taskDefinition"])
        service = self.services[name]
        if service["taskDefinition"] != arn:
            self.stale[name] = [copy.deepcopy(self._shown(name))] * self.script.stale_looks
            old = [{**each, "status": "ACTIVE"} for each in service["deployments"]]
            service["deployments"] = [self._rollout(arn, service["desiredCount"]), *old]
            service["taskDefinition"] = arn
            self._event(name, f"(service {name}) has started a rollout.")
        return {"service": self._shown(name)}

    def _DescribeServices(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if len(given["services"]) == 1 and self.stale.get(given["services"][0]):
            return {"services": [self.stale[given["services"][0]].pop()], "failures": []}
        for name in given["services"]:
            if name in self.services:
                self._go_on(name)
        missing = [{"arn": name, "reason": "MISSING"} for name in given["services"] if name not in self.services]
        return {"services": [self._shown(name) for name in given["services"] if name in self.services], "failures": missing}

    def _ListTasks(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        group, status = f"service:{given.get('serviceName')}", given.get("desiredStatus", "RUNNING")
        return {"taskArns": [arn for arn, task in self.tasks.items() if task["group"] == group and task["desiredStatus"] == status]}

    def _DescribeTasks(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [self.tasks[arn] for arn in given["tasks"] if arn in self.tasks]
        for task in found:
            if task["group"].startswith("family:") and task["desiredStatus"] == "RUNNING":
                self._migrate(task)
        return {"tasks": found, "failures": []}

    def _RunTask(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        token = given.get("clientToken")
        for task in self.tasks.values():
            if token and task.get("token") == token:
                return {"tasks": [task], "failures": []}
        arn = self._full(given["taskDefinition"])
        task = self._task(f"family:{arn.rpartition('/')[2]}", arn, "PROVISIONING") | {"token": token, "looks": 0}
        self.tasks[task["taskArn"]] = task
        return {"tasks": [task], "failures": []}

    def _StopTask(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        task = self.tasks[given["task"]]
        task |= {"desiredStatus": "STOPPED", "lastStatus": "STOPPED", "stoppedReason": given["reason"]}
        return {"task": task}

    def _migrate(self, task: dict[str, Any]) -> None:
        task["looks"] += 1
        if self.script.migration_exit is None:
            return
        task["lastStatus"] = "PENDING" if task["looks"] <= 1 else "RUNNING"
        if task["looks"] > _LOOKS:
            task |= {"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stoppedReason": "Essential container in task exited"}
            task["containers"][0]["exitCode"] = self.script.migration_exit

    def _go_on(self, name: str) -> None:
        """Bring a service's rollout one look further."""
        service, script = self.services[name], self.script
        rollout, older = service["deployments"][0], service["deployments"][1:]
        if rollout["rolloutState"] != "IN_PROGRESS":
            service["deployments"] = [rollout]
            return
        rollout["looks"] += 1
        arn, is_new = rollout["taskDefinition"], "returning" not in rollout and not rollout.get("known")
        if name in script.never_starts and is_new:
            if rollout["looks"] == 1:
                self._event(name, f"(service {name}) was unable to place a task.")
                self._stopped(name, arn, "CannotPullContainerError: pull image manifest has been retried 5 time(s)", None)
            return
        if name in script.unhealthy and is_new and rollout["looks"] > _LOOKS:
            self._event(name, f"(service {name}) (port 3000) is unhealthy in (target-group web) due to (reason Health checks failed).")
            self._stopped(name, arn, "Task failed ELB health checks", 143)
            rollout |= {
                "status": "ACTIVE",
                "rolloutState": "FAILED",
                "rolloutStateReason": "ECS deployment circuit breaker: tasks failed to start.",
            }
            back = self._rollout(older[0]["taskDefinition"], service["desiredCount"]) | {"returning": True}
            service |= {"deployments": [back, rollout], "taskDefinition": back["taskDefinition"]}
            self._event(name, f"(service {name}) rolling back to {back['taskDefinition'].rpartition('/')[2]}; ROLLED_BACK.")
        elif rollout["looks"] == _LOOKS:
            self._event(name, f"(service {name}) has started 1 tasks.")
            rollout["runningCount"] = service["desiredCount"]
        elif rollout["looks"] > _LOOKS + 1:
            rollout["rolloutState"] = "COMPLETED"
            self._place(name, arn)
            service["deployments"] = [rollout]
            self._event(name, f"(service {name}) has reached a steady state.")

    def _place(self, name: str, arn: str) -> None:
        for task in self.tasks.values():
            if task["group"] == f"service:{name}":
                task |= {"desiredStatus": "STOPPED", "lastStatus": "STOPPED", "stoppedReason": "Scaling activity"}
        for _ in range(self.services[name]["desiredCount"]):
            task = self._task(f"service:{name}", arn, "RUNNING")
            self.tasks[task["taskArn"]] = task

    def _stopped(self, name: str, arn: str, reason: str, code: int | None) -> None:
        task = self._task(f"service:{name}", arn, "STOPPED") | {"desiredStatus": "STOPPED", "stoppedReason": reason}
        if code is not None:
            task["containers"][0]["exitCode"] = code
        self.tasks[task["taskArn"]] = task

    def _task(self, group: str, arn: str, status: str) -> dict[str, Any]:
        definition = self._DescribeTaskDefinition({"taskDefinition": arn})["taskDefinition"]
        self._numbers += 1
        containers = [
            {"name": c["name"], "image": c["image"], "imageDigest": c["image"].partition("@")[2] or "sha256:0"}
            for c in definition["containerDefinitions"]
        ]
        place = f"{_ARN}:task/omc/{self._numbers:032x}"
        return {
            "taskArn": place, "taskDefinitionArn": arn, "group": group, "lastStatus": status, "desiredStatus": "RUNNING",
            "containers": containers,
        }  # fmt: skip

    def _rollout(self, arn: str, desired: int) -> dict[str, Any]:
        self._numbers += 1
        return {
            "id": f"ecs-svc/{self._numbers}", "status": "PRIMARY", "taskDefinition": arn, "desiredCount": desired, "runningCount": 0,
            "rolloutState": "IN_PROGRESS", "rolloutStateReason": "in progress", "looks": 0, "known": arn.endswith(":1"),
        }  # fmt: skip

    def _event(self, name: str, message: str) -> None:
        self._numbers += 1
        self.services[name]["events"].insert(0, {"id": str(self._numbers), "createdAt": time.time(), "message": message})

    def _full(self, definition: str) -> str:
        return str(self._DescribeTaskDefinition({"taskDefinition": definition})["taskDefinition"]["taskDefinitionArn"])

    def _shown(self, name: str) -> dict[str, Any]:
        service = self.services[name]
        running = service["deployments"][0]["runningCount"] if len(service["deployments"]) == 1 else service["desiredCount"]
        return {**service, "runningCount": running, "pendingCount": 0}


class Refused(Exception):  # noqa: N818 an answer of AWS
    """An error that AWS answers with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class LocalAws:
    """The running fake.

    Attributes:
        url: Where it listens.
        ecs: The state machine.
        cache: The calls that changed the cache's token.
        is_scripted: Whether ECS is the state machine; otherwise moto plays it too.
        configurations: How moto's services are deployed, by name.
    """

    url: str
    ecs: Ecs
    cache: list[dict[str, str]] = field(default_factory=list)
    is_scripted: bool = True
    configurations: dict[str, Any] = field(default_factory=dict)

    def forget(self) -> None:
        """Begin anew, with a script in which all goes well."""
        self.ecs.__init__()  # type: ignore[misc]
        self.cache.clear()
        self.is_scripted = True


class _Handler(BaseHTTPRequestHandler):
    """Plays what is scripted, and hands the rest on to moto."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        service, _, action = self.headers.get("X-Amz-Target", "").rpartition(".")
        form = parse_qs(body.decode("utf-8", "replace")) if "x-www-form" in self.headers.get("Content-Type", "") else {}
        try:
            if self.server.found.is_scripted and service.startswith("AmazonEC2ContainerService"):
                self._json(200, self.server.found.ecs.answer(action, json.loads(body)))
            elif not self._play(form.get("Action", [action])[0], form):
                self._hand_on(body)
        except Refused as refused:
            self._json(400, {"__type": refused.code, "message": str(refused)})

    do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 the names that http.server looks for

    def _play(self, action: str, form: dict[str, list[str]]) -> bool:
        """Answer what moto lacks; False for any other action."""
        found = self.server.found
        if action == "GetServiceQuota":
            self._json(200, {"Quota": {"Value": found.ecs.script.vcpus}})
        elif action == "SimulatePrincipalPolicy":
            self._send(200, _simulated(form, found.ecs.script.denied_secrets).encode(), "text/xml")
        elif action == "ModifyReplicationGroup":
            found.cache.append({name: values[0] for name, values in form.items()})
            answer = b"<ModifyReplicationGroupResponse><ModifyReplicationGroupResult/></ModifyReplicationGroupResponse>"
            self._send(200, answer, "text/xml")
        else:
            return False
        return True

    def _hand_on(self, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "content-length", "connection"}}
        try:
            with urlopen(Request(self.server.moto_url + self.path, body or None, headers, method=self.command), timeout=60) as answer:
                self._send(answer.status, self._completed(body, answer.read()), answer.headers.get("Content-Type", ""))
        except HTTPError as error:
            self._send(error.code, error.read(), error.headers.get("Content-Type", ""))

    def _completed(self, asked: bytes, answer: bytes) -> bytes:
        """Add what moto's ECS leaves out: how a service is deployed, what its rollout runs, the exit codes of a stopped task."""
        service, _, action = self.headers.get("X-Amz-Target", "").rpartition(".")
        if not service.startswith("AmazonEC2ContainerService"):
            return answer
        given, document, kept = json.loads(asked), json.loads(answer), self.server.found.configurations
        if action == "CreateService":
            kept[given["serviceName"]] = given["deploymentConfiguration"]
        for each in document.get("services", []):
            each["deploymentConfiguration"] = kept[each["serviceName"]]
            each["deployments"][0]["taskDefinition"] = each["taskDefinition"]
        for task in document.get("tasks", []):
            if task["lastStatus"] == "STOPPED":
                for container in task["containers"]:
                    container.setdefault("exitCode", 0)
        return json.dumps(document).encode()

    def _json(self, status: int, document: dict[str, Any]) -> None:
        self._send(status, json.dumps(document).encode(), "application/x-amz-json-1.1")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, moto_url: str, found: LocalAws) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.moto_url, self.found = moto_url, found
        found.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def local_aws(moto_url: str) -> Iterator[LocalAws]:
    """Serve the fake on loopback in front of a running moto."""
    found = LocalAws("", Ecs())
    server = _Server(moto_url, found)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def _simulated(form: dict[str, list[str]], denied: set[str]) -> str:
    arn = form["ResourceArns.member.1"][0]
    decision = "implicitDeny" if any(each in arn for each in denied) else "allowed"
    result = f"<member><EvalActionName>x</EvalActionName><EvalDecision>{decision}</EvalDecision></member>"
    return (
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>"
        f"{result}</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )
