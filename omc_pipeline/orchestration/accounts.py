"""Accounts as Dagster partitions without a time; schedules launch a run for each account, and each is checked and held separately.

A run collects one account. If a blocking check of its rows fails, the account is held: its user's positions wait, also in the
runs for all users, until a later run of the account passes. Other users are not affected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database, open_database
from omc_infra.settings import Settings, load_settings
from omc_pipeline.collection.accounts import AccountRow, account_named, accounts, default_account, hold
from omc_pipeline.collection.discovery import discover, discover_sources
from omc_pipeline.collection.keys import key_store
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.state import CollectorKey, states
from omc_pipeline.orchestration.buckets import tags_of_all_buckets
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.quality.report import CheckOutcome

_PARTITION = "dagster/partition"
_RUNS_AT_ONCE = 500


def partitions_of(source: Source) -> dg.DynamicPartitionsDefinition | None:
    """Return the partitions of a source's asset: its accounts, or None for a source without accounts."""
    return dg.DynamicPartitionsDefinition(name=_partitions_named(source.name)) if source.per_account else None


def _partitions_named(source: str) -> str:
    return f"accounts_{source}"


def accounts_to_collect(database: Database, settings: Settings, source: Source) -> list[AccountRow]:
    """Return the accounts that a schedule collects: active, with keys, and neither paused nor banned.

    If the configured user has no account at the only venue of a source, add the first one.
    """
    store = key_store(settings)
    with database.connect("writer") as connection:
        every = accounts(connection, source=source.name, states=("active", "paused", "removed"))
        if source.venue and settings.user not in {account.user_id for account in every}:
            every.append(default_account(connection, settings.user, source.name, source.venue))
        known, now = states(connection, source.name), utc_now()
    active = (account for account in every if account.state == "active")
    active = (account for account in active if known.may_launch(CollectorKey(source.name, "", account.account_id), now))
    return [account for account in active if all(store.key(name, account) is not None for name in source.keys_of(account))]


def register(instance: dg.DagsterInstance, source: Source, named: Iterable[str]) -> None:
    """Register accounts in Dagster as partitions of their source's asset."""
    definition = partitions_of(source)
    if definition is not None:
        instance.add_dynamic_partitions(str(definition.name), sorted(set(named)))


def account_requests(context: dg.ScheduleEvaluationContext, source: Source) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request a run for every account of a source that can be collected, at the tick of its schedule."""
    platform: Platform = context.resources.platform
    found = accounts_to_collect(platform.database, platform.settings, source)
    if not found:
        yield dg.SkipReason(f"No account of {source.name} is active and has its keys; see `omc accounts list`.")
    register(context.instance, source, (account.account_id for account in found))
    for account in found:
        run_key = f"{context.scheduled_execution_time.isoformat()} {account.account_id}"
        yield dg.RunRequest(run_key=run_key, partition_key=account.account_id)


def tags_of_runs(job: dg.JobDefinition, instance: dg.DagsterInstance) -> list[dict[str, str]]:
    """Return the tags of the runs that together execute a whole job: one run for each account, else one for all buckets."""
    for source in discover_sources().values():
        if source.per_account and job.partitions_def == partitions_of(source):
            settings = load_settings()
            with open_database(settings) as database:
                found = [account.account_id for account in accounts_to_collect(database, settings, source)]
            register(instance, source, found)
            return [{_PARTITION: account} for account in found]
    return [tags_of_all_buckets(job)]


def account_of_run(database: Database, run_tags: Mapping[str, str]) -> AccountRow | None:
    """Return the account of a run, or None for a run without a partition.

    Raises:
        BadInputError: There is no such account.
    """
    name = run_tags.get(_PARTITION)
    if name is None:
        return None
    with database.connect("reader") as connection:
        return account_named(connection, name)


def judge_account(database: Database, account: AccountRow, outcomes: Iterable[CheckOutcome]) -> None:
    """Hold an account if its rows failed a blocking check; release it if they passed all."""
    failed = [outcome.name for outcome in outcomes if outcome.blocking and not outcome.passed]
    with database.connect("writer") as connection:
        hold(connection, account.account_id, f"blocking checks failed: {', '.join(failed)}" if failed else None)


def forget_accounts(instance: dg.DagsterInstance, named: Sequence[str]) -> int:
    """Delete the partitions and runs of accounts, with their events, check results and reports without a run.

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
            _forget_checks(instance, [run.run_id for run in runs])
            deleted += len(runs)
    _forget_reports(instance, named)
    return deleted


def _forget_checks(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    """Delete check results of deleted runs, because they contain rows; Dagster doesn't delete them."""
    from dagster._core.storage.event_log import SqlEventLogStorage
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Checks

    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage):
        with storage.index_connection() as connection:
            connection.execute(Checks.delete().where(Checks.c.run_id.in_(run_ids)))


def _forget_reports(instance: dg.DagsterInstance, named: Sequence[str]) -> None:
    """Delete materializations of accounts that were reported without a run, and their check results."""
    import sqlalchemy as sa
    from dagster._core.instance.utils import RUNLESS_RUN_ID
    from dagster._core.storage.event_log import SqlEventLogStorage
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Checks
    from dagster._core.storage.event_log.schema import AssetEventTagsTable as Tags
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events

    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return
    with storage.index_connection() as connection:
        reported = sa.select(Events.c.id).where(Events.c.run_id == RUNLESS_RUN_ID, Events.c.partition.in_(named))
        materialized = list(connection.execute(reported).scalars())
        of_these = Checks.c.materialization_event_storage_id.in_(materialized)
        judged = list(connection.execute(sa.select(Checks.c.evaluation_event_storage_id).where(of_these)).scalars())
        connection.execute(Checks.delete().where(of_these))
        connection.execute(Tags.delete().where(Tags.c.event_id.in_(materialized)))
        connection.execute(Events.delete().where(Events.c.id.in_([*materialized, *judged])))


def _definitions_of_all_sources() -> list[str]:
    """Return the partitions of every source, including sources with a broken file."""
    found = discover()
    definitions = (partitions_of(source) for source in found.sources.values())
    return [*(str(definition.name) for definition in definitions if definition is not None), *map(_partitions_named, found.broken)]
