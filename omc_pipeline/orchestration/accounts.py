"""Accounts as Dagster partitions: one for each, without a time; asked for by the schedules, judged and held one by one.

A run collects one account. When a blocking check of its rows fails, the account is held: the positions of its user wait, also in the
runs that compute everybody's, until a later run of the account passes. Other users go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import dagster as dg

from omc_infra.postgres.database import Database
from omc_pipeline.collection.accounts import AccountRow, account_named, accounts, default_account, hold
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.quality.report import CheckOutcome
from omc_pipeline.sources.source import Source

_PARTITION = "dagster/partition"
_RUNS_AT_ONCE = 500


def partitions_of(source: Source) -> dg.DynamicPartitionsDefinition | None:
    """Return the partitions of a source's asset: its accounts, or None for a source that is not collected by account."""
    return dg.DynamicPartitionsDefinition(name=f"accounts_{source.name}") if source.per_account else None


def active_accounts(platform: Platform, source: Source) -> list[AccountRow]:
    """Return the accounts that a schedule collects; the configured user's first one is added where nobody has any."""
    with platform.database.connect("writer") as connection:
        every = accounts(connection, source=source.name, states=("active", "paused", "removed"))
        if not every:
            return [default_account(connection, platform.settings.user, source.name, source.venue)]
    return [account for account in every if account.state == "active"]


def register(instance: dg.DagsterInstance, source: Source, named: Iterable[str]) -> None:
    """Make accounts known to Dagster as partitions of their source's asset."""
    definition = partitions_of(source)
    if definition is not None:
        instance.add_dynamic_partitions(str(definition.name), sorted(set(named)))


def account_requests(context: dg.ScheduleEvaluationContext, platform: Platform, sources: Sequence[Source]) -> Iterator[dg.RunRequest]:
    """Ask for a run of every active account of some sources, at the tick of their schedule."""
    for source in sources:
        of_source = active_accounts(platform, source)
        register(context.instance, source, (account.account_id for account in of_source))
        for account in of_source:
            yield dg.RunRequest(
                run_key=f"{context.scheduled_execution_time.isoformat()} {account.account_id}",
                partition_key=account.account_id,
                tags={"account": account.account_id},
            )


def account_of_run(database: Database, run: dg.DagsterRun, source: Source | None = None) -> AccountRow | None:
    """Return the account that a run is for, or None for a run of no account."""
    name = run.tags.get(_PARTITION)
    if name is None or (source is not None and not source.per_account):
        return None
    with database.connect("reader") as connection:
        return account_named(connection, name)


def judge_account(database: Database, account: AccountRow, outcomes: Iterable[CheckOutcome]) -> None:
    """Hold an account whose rows failed a blocking check, and let go of one whose rows passed them all."""
    failed = [outcome.name for outcome in outcomes if outcome.blocking and not outcome.passed]
    with database.connect("writer") as connection:
        hold(connection, account.account_id, f"blocking checks failed: {', '.join(failed)}" if failed else None)


def forget_accounts(instance: dg.DagsterInstance, named: Sequence[str]) -> int:
    """Delete the partitions and runs of accounts, with their events and logs' records.

    Returns:
        How many runs were deleted.
    """
    deleted = 0
    for account in named:
        for definition in _definitions_of_all_sources():
            if instance.has_dynamic_partition(definition, account):
                instance.delete_dynamic_partition(definition, account)
        while runs := instance.get_runs(dg.RunsFilter(tags={_PARTITION: account}), limit=_RUNS_AT_ONCE):
            for run in runs:
                instance.delete_run(run.run_id)
            deleted += len(runs)
    return deleted


def _definitions_of_all_sources() -> list[str]:
    from omc_pipeline.sources.discovery import discover_sources

    definitions = (partitions_of(source) for source in discover_sources().values())
    return [str(definition.name) for definition in definitions if definition is not None]
