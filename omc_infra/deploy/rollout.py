"""Give a service its task definition and watch it until it is stable; watch alarms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from omc_infra.deploy.context import Context
from omc_infra.deploy.ecs import ServiceState, service_states, stop_reasons, tasks_of
from omc_infra.deploy.failures import RolloutError
from omc_infra.errors import RetryableError
from omc_infra.terminal import one_line

_SKEW = timedelta(minutes=1)
"""How far the clocks of this machine and of AWS may differ for old events to be left out."""
_ALARMS_AT_ONCE = 100


def roll_out(context: Context, service: str, arn: str, *, with_alarms: bool = True) -> None:
    """Let a service run a task definition, print its events, and return when it is stable; a service that is so already stays untouched.

    Args:
        context: Of the deployment.
        service: Name in ECS.
        arn: The task definition.
        with_alarms: Whether an alarm ends it.

    Raises:
        RolloutError: It failed, ECS went back by itself, an alarm went off, or it took too long; the message says why.
    """
    began = datetime.now(UTC)
    state = _state(context, service)
    if state.task_definition != arn:
        context.require_lock()
        context.aws.call("ecs", "update_service", cluster=context.section.cluster, service=service, taskDefinition=arn)
    watch = _Watch(context, service, arn, began)
    for passed in context.looks(context.section.rollout_timeout_s):
        try:
            if with_alarms:
                require_quiet_alarms(context)
            if watch.is_stable(passed):
                return
        except RetryableError as error:  # the next look asks again; the timeout ends it
            context.report(f"{service}: {error}")
    reasons = stop_reasons(context, service, arn)
    raise RolloutError(
        f"{service} is not stable after {context.section.rollout_timeout_s:.0f} s: {watch.last}" + (f"; {reasons}" if reasons else "")
    )


def require_quiet_alarms(context: Context) -> None:
    """Check that no alarm of the section is off.

    Raises:
        RolloutError: One is.
    """
    loud = [name for name, state in alarm_states(context).items() if state == "ALARM"]
    if loud:
        raise RolloutError(f"alarm {', '.join(loud)} went off")


def alarm_states(context: Context) -> dict[str, str]:
    """Return the state of each alarm of the section that exists: ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``."""
    names = list(context.section.alarms)
    if not names:
        return {}
    answer = context.aws.call(
        "cloudwatch", "describe_alarms", AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=_ALARMS_AT_ONCE
    )
    return {each["AlarmName"]: each["StateValue"] for kind in ("MetricAlarms", "CompositeAlarms") for each in answer.get(kind, [])}


def require_image_runs(context: Context, service: str, digest: str) -> None:
    """Check that every running task of a service runs the image with a digest.

    Raises:
        RolloutError: One doesn't.
    """
    for task in tasks_of(context, service, "RUNNING"):
        for container in task.get("containers", []):
            own = str(container.get("image", "")).startswith(f"{context.section.repository}@")
            if own and container.get("imageDigest", digest) != digest:
                raise RolloutError(f"{service}: a task runs {container['imageDigest'][:19]} and not {digest[:19]}")


class _Watch:
    """Looks at one service until it is stable."""

    def __init__(self, context: Context, service: str, arn: str, began: datetime) -> None:
        self._context, self._service, self._arn = context, service, arn
        self._since = began - _SKEW
        self._seen: set[str] = set()
        self._was_seen = False
        self.last = "nothing was seen"

    def is_stable(self, passed: float) -> bool:
        state = _state(self._context, self._service)
        self._print_events(state)
        self.last = state.counts
        if state.is_stable_on(self._arn):
            return True
        own = next((each for each in state.rollouts if each["taskDefinition"] == self._arn), None)
        longest = self._context.section.start_timeout_s
        failed = own is not None and own.get("rolloutState") == "FAILED"
        if own is None or (own["status"] != "PRIMARY" and not failed):
            if not self._was_seen and passed <= longest:
                return False  # a look soon after the change may still show the time before it
            raise self._failure("ECS went back to another task definition")
        if failed:
            raise self._failure(one_line(own.get("rolloutStateReason", "its rollout failed"))[:300])
        self._was_seen = True
        if not own.get("runningCount") and own.get("desiredCount") and passed > longest:
            raise self._failure(f"no task of it has started within {longest:.0f} s")
        return False

    def _failure(self, said: str) -> RolloutError:
        reasons = stop_reasons(self._context, self._service, self._arn)
        return RolloutError(f"{self._service}: {said}" + (f"; {reasons}" if reasons else ""))

    def _print_events(self, state: ServiceState) -> None:
        for event in reversed(state.raw.get("events", [])):
            if event["id"] not in self._seen and event["createdAt"] >= self._since:
                self._context.report(f"  {one_line(event['message'])[:300]}")
            self._seen.add(event["id"])


def _state(context: Context, service: str) -> ServiceState:
    found = service_states(context, [service])
    if service not in found:
        raise RolloutError(f"cluster {context.section.cluster} has no active service {service}")
    return found[service]
