"""Accounts as Dagster partitions: one for each, without a time; asked for by the schedules, judged and held one by one.

A run collects one account. When a blocking check of its rows fails, the account is held: the positions of its user wait, also in the
runs that compute everybody's, until a later run of the account passes. Other users go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database, open_database
from omc_infra.settings import Settings, load_settings
from omc_pipeline.collection.accounts import AccountRow, account_named, accounts, default_account, hold
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.keys import key_store
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.state import CollectorKey, states
from omc_pipeline.orchestration.buckets import tags_of_all_buckets
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.quality.report import CheckOutcome

_PARTITION = "dagster/partition"
_RUNS_AT_ONCE = 500


def partitions_of(source: Source) -> dg.DynamicPartitionsDefinition | None:
    """Return the partitions of a source's asset: its accounts, or None for a source that is not collected by account."""
    return dg.DynamicPartitionsDefinition(name=f"accounts_{source.name}") if source.per_account else None


def accounts_to_collect(database: Database, settings: Settings, source: Source) -> list[AccountRow]:
    """Return the accounts that a schedule collects: active ones whose keys are there, and which are neither paused nor banned.

    Where the configured user has no account, the first one is added.
    """
    store = key_store(settings)
    with database.connect("writer") as connection:
        every = accounts(connection, source=source.name, states=("active", "paused", "removed"))
        if settings.user not in {account.user_id for account in every}:
            every.append(default_account(connection, settings.user, source.name, source.venue))
        known, now = states(connection, source.name), utc_now()
    active = (account for account in every if account.state == "active")
    active = (account for account in active if known.may_launch(CollectorKey(source.name, "", account.account_id), now))
    return [account for account in active if all(store.key(name, account) is not None for name in source.keys)]


def register(instance: dg.DagsterInstance, source: Source, named: Iterable[str]) -> None:
    """Make accounts known to Dagster as partitions of their source's asset."""
    definition = partitions_of(source)
    if definition is not None:
        instance.add_dynamic_partitions(str(definition.name), sorted(set(named)))


def account_requests(context: dg.ScheduleEvaluationContext, source: Source) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for a run of every account of a source that can be collected, at the tick of its schedule."""
    platform: Platform = context.resources.platform
    found = accounts_to_collect(platform.database, platform.settings, source)
    if not found:
        yield dg.SkipReason(f"No account of {source.name} is active and has its keys; see `omc accounts list`.")
    register(context.instance, source, (account.account_id for account in found))
    for account in found:
        run_key = f"{context.scheduled_execution_time.isoformat()} {account.account_id}"
        yield dg.RunRequest(run_key=run_key, partition_key=account.account_id)


def tags_of_runs(job: dg.JobDefinition, instance: dg.DagsterInstance) -> list[dict[str, str]]:
    """Return the tags of the runs that together do the whole of a job now: one for each account, else one for every bucket."""
    for source in discover_sources().values():
        if source.per_account and job.partitions_def == partitions_of(source):
            settings = load_settings()
            with open_database(settings) as database:
                found = [account.account_id for account in accounts_to_collect(database, settings, source)]
            register(instance, source, found)
            return [{_PARTITION: account} for account in found]
    return [tags_of_all_buckets(job)]


def account_of_run(database: Database, run_tags: Mapping[str, str]) -> AccountRow | None:
    """Return the account that a run with partitions of accounts is for, or None for a run of no partition.

    Raises:
        BadInputError: There is no such account.
    """
    name = run_tags.get(_PARTITION)
    if name is None:
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
    definitions = (partitions_of(source) for source in discover_sources().values())
    return [str(definition.name) for definition in definitions if definition is not None]
