"""A whole deployment or rollback, under the environment's lock: begun, or gone on with after a kill, to one of the documented ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from omc_infra.clock import utc_now
from omc_infra.deploy.commits import require_tests
from omc_infra.deploy.context import Context
from omc_infra.deploy.failures import GateRefusedError, LeaseLostError
from omc_infra.deploy.images import digest_of, require_clean_scan, require_image, tagged_digest
from omc_infra.deploy.lease import Lease
from omc_infra.deploy.planning import PlannedChange, planned_changes
from omc_infra.deploy.record import UNFINISHED, Deployment, Journal, new_deployment, newest
from omc_infra.deploy.restoring import roll_back, roll_back_newest
from omc_infra.deploy.steps import Request, Steps
from omc_infra.deploy.verify import findings
from omc_infra.errors import ConfigurationError, OmcError

Clock = Callable[[], datetime]


def require_account(context: Context) -> None:
    """Check that the keys are of the section's account.

    Raises:
        ConfigurationError: They are of another.
    """
    found = str(context.aws.call("sts", "get_caller_identity")["Account"])
    if found != context.section.account:
        raise ConfigurationError(f"the keys are of account {found}, and {context.environment} is in {context.section.account}")


def deploy(context: Context, request: Request, now: Clock = utc_now) -> Deployment:
    """Deploy, and return the record: ``deployed``, ``refused``, ``rolled back`` or ``rollback failed``.

    Raises:
        DeploymentLockedError: Another deployment of the environment runs.
        LeaseLostError: Another process has taken over.
        OmcError: AWS can't be asked for the lock or the record; nothing was changed.
    """
    with _locked(context) as (inner, lease):
        journal = _begun(inner, lease, request, now)
        if journal.deployment.state == "rolling back":
            roll_back(inner, journal, journal.deployment.reason, now)
            return journal.deployment
        _run(inner, journal, request, now)
        return journal.deployment


def rollback(context: Context, approve: Callable[[], bool], now: Clock = utc_now) -> Deployment:
    """Restore what served before the newest deployment, and return the record: ``rolled back`` or ``rollback failed``.

    Raises:
        GateRefusedError: Nothing was deployed, or a needed approval is not given.
        DeploymentLockedError: Another deployment of the environment runs.
    """
    if context.section.approval and not approve():
        raise GateRefusedError(f"{context.environment} needs an approval: --yes, or its name at the prompt")
    with _locked(context) as (inner, lease):
        return roll_back_newest(inner, lambda found: Journal(inner.aws, inner.section.state_table, lease, found), now)


@dataclass(frozen=True)
class Preview:
    """What a deployment would do.

    Attributes:
        gates: Result of each gate, in words, by its name; those that refuse are in ``refused`` too.
        refused: Names of the gates that refuse.
        changes: What would change.
        findings: What verify found.
    """

    gates: dict[str, str]
    refused: tuple[str, ...]
    changes: tuple[PlannedChange, ...]
    findings: tuple[str, ...]


def preview(context: Context, request: Request) -> Preview:
    """Pass through the gates without a lock, a build or a record; nothing is changed."""
    section, gates, refused, changes = context.section, {}, [], []
    found: list[str] = []
    image = request.image or ""

    def gate(name: str, check: Callable[[], str]) -> None:
        try:
            gates[name] = check()
        except OmcError as error:
            gates[name] = str(error)
            refused.append(name)

    def image_gate() -> str:
        nonlocal image
        digest = digest_of(image, section) if image else tagged_digest(context, request.commit)
        if digest is None:
            if section.builder == "none":
                raise GateRefusedError(f"the registry has no image of {request.commit[:12]}, and builder is none; give --image")
            return f"would be built by {section.builder}"
        require_image(context, digest, request.commit)
        image = f"{section.repository}@{digest}"
        return f"{digest} is in the registry"

    def verified() -> str:
        found.extend(findings(context))
        if found:
            raise GateRefusedError(f"{len(found)} findings")
        return "everything that it uses exists and fits"

    def differences() -> str:
        changes.extend(planned_changes(context, image))
        return f"{sum(change.is_change for change in changes)} of {len(changes)} change"

    gate("tests", lambda: require_tests(request.commit, request.tests_passed_for, request.project / section.tests_record))
    gate("image", image_gate)
    gate("scan", lambda: require_clean_scan(context, digest_of(image, section), starts=False) if image else "after the build")
    gate("verify", verified)
    gate("differences", differences)
    return Preview(gates, tuple(refused), tuple(changes), tuple(found))


@contextmanager
def _locked(context: Context) -> Iterator[tuple[Context, Lease]]:
    """Hold the environment's lock; yield it with a context whose every look requires it."""
    section = context.section
    with Lease(context.aws, section.state_table, context.environment, section.lease_s, context.report) as lease:
        yield replace(context, require_lock=lease.require), lease


def _begun(context: Context, lease: Lease, request: Request, now: Clock) -> Journal:
    """Return the journal of the unfinished deployment of the same commit, or of a new one.

    Raises:
        GateRefusedError: What is unfinished is something else.
    """
    table, environment = context.section.state_table, context.environment
    found = newest(context.aws, table, environment)
    if found is None or found.state not in UNFINISHED:
        journal = Journal(context.aws, table, lease, new_deployment("deployment", environment, request.commit, "", now()))
        journal.note()
        return journal
    other_image = request.image and found.image and request.image != found.image
    if found.kind != "deployment" or found.commit != request.commit or other_image:
        raise GateRefusedError(
            f"{found.kind} {found.id} of commit {found.commit[:12]} "
            f"is unfinished: go on with it by the same command, or `omc rollback {environment}`"
        )
    context.report(f"going on with deployment {found.id}, which was interrupted after: {', '.join(found.done) or 'nothing'}")
    return Journal(context.aws, table, lease, found)


def _run(context: Context, journal: Journal, request: Request, now: Clock) -> None:
    steps = list(Steps(context, journal, request))
    for number, step in enumerate(steps, start=1):
        if journal.deployment.has_done(step.name):
            continue
        context.report(f"[{number}/{len(steps)}] {step.name}")
        began = time.monotonic()
        try:
            said = step.run()
            journal.finish(step.name)
        except LeaseLostError:
            raise
        except OmcError as error:
            if step.is_gate:
                context.report(f"refused: {error}")
                journal.note(state="refused", reason=f"{step.name}: {error}", finished_at=now().isoformat())
            else:
                roll_back(context, journal, f"{step.name}: {error}", now)
            return
        context.report(f"[{number}/{len(steps)}] {step.name}: {said} ({time.monotonic() - began:.1f} s)")
    journal.note(state="deployed", finished_at=now().isoformat())
