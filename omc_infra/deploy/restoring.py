"""Give services and families of run tasks the task definitions that they had, in reverse order, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from omc_infra.deploy.context import Context
from omc_infra.deploy.failures import GateRefusedError, LeaseLostError
from omc_infra.deploy.record import UNFINISHED, Deployment, Journal, ServiceChange, new_deployment, newest
from omc_infra.deploy.revisions import copied, definition, family_of, registrable
from omc_infra.deploy.rollout import roll_out
from omc_infra.errors import OmcError


def roll_back(context: Context, journal: Journal, reason: str, now: Callable[[], datetime]) -> None:
    """Restore every service of a deployment, and note the result in its record; asked again after a kill, it goes on.

    A service that can't be restored keeps no other from it. The database is not restored: migrations keep the old code working, and the
    snapshot's name is in the record.

    Raises:
        LeaseLostError: Another process has taken over.
    """
    context.report(f"rolling back: {reason}")
    journal.note(state="rolling back", reason=reason)
    deployment = journal.deployment
    back = [_to(each, each.before) for each in deployment.services if each.after]
    problems = _restored(context, back, [_to(each, each.before) for each in deployment.families if each.after])
    _conclude(context, journal, problems, now)


def roll_back_newest(context: Context, open_journal: Callable[[Deployment], Journal], now: Callable[[], datetime]) -> Deployment:
    """Restore what served before the newest deployment that changed something, and return the record.

    An unfinished deployment is given up. Asked twice, the second time changes nothing: it never goes further back.

    Args:
        context: Of the environment, locked.
        open_journal: Returns the journal of a record.
        now: Clock.

    Raises:
        GateRefusedError: Nothing was ever deployed.
    """
    table, environment = context.section.state_table, context.environment
    found = newest(context.aws, table, environment, lambda each: each.kind == "deployment" and (each.state in UNFINISHED or _changed(each)))
    if found is None:
        raise GateRefusedError(f"no deployment of {environment} is recorded that could be rolled back")
    if found.state in UNFINISHED:
        journal = open_journal(found)
        roll_back(context, journal, found.reason or "asked for by `omc rollback`", now)
        return journal.deployment
    record = new_deployment("rollback", environment, found.commit, "", now())
    journal = open_journal(record)
    journal.note(
        state="rolling back", reason=f"asked for by `omc rollback`; it undoes {found.id}",
        services=tuple(ServiceChange(each.name, each.ecs_name, each.after, each.before) for each in found.services if each.after),
        families=tuple(ServiceChange(each.name, "", each.after, each.before) for each in found.families if each.after),
        facts={name: value for name, value in found.facts.items() if name == "snapshot"},
    )  # fmt: skip
    changes = journal.deployment
    _conclude(context, journal, _restored(context, changes.services, changes.families), now)
    return journal.deployment


def _restored(context: Context, services: Sequence[ServiceChange], families: Sequence[ServiceChange]) -> list[str]:
    """Give each its task definition ``after``; return a line for each that can't be restored."""
    problems: list[str] = []
    for change in reversed(services):
        try:
            roll_out(context, change.ecs_name, change.after, with_alarms=False)
            context.report(f"{change.name}: {change.after.rpartition('/')[2]} serves again")
        except LeaseLostError:
            raise
        except OmcError as error:
            problems.append(f"{change.name}: {error}")
    for change in families:
        try:
            _restore_family(context, change)
        except LeaseLostError:
            raise
        except OmcError as error:
            problems.append(f"{change.name}: {error}")
    return problems


def _restore_family(context: Context, change: ServiceChange) -> None:
    """Make the newest revision of a family equal to an older one: runs start from the newest."""
    old, latest = definition(context, change.after), definition(context, family_of(change.after))
    if registrable(old) != registrable(latest):
        context.require_lock()
        copied(context, old)


def _conclude(context: Context, journal: Journal, problems: Sequence[str], now: Callable[[], datetime]) -> None:
    reason = journal.deployment.reason
    if problems:
        reason = f"{reason}; NOT ROLLED BACK: {'; '.join(problems)}"
        context.report(f"the rollback failed: {'; '.join(problems)}")
    journal.note(state="rollback failed" if problems else "rolled back", reason=reason, finished_at=now().isoformat())


def _to(change: ServiceChange, arn: str) -> ServiceChange:
    return ServiceChange(change.name, change.ecs_name, change.after, arn)


def _changed(deployment: Deployment) -> bool:
    return any(each.after and each.after != each.before for each in (*deployment.services, *deployment.families))
