"""Report collections outside Dagster to its catalog: a materialization of the source's asset, and its check results.

So a source is shown as successful after a manual collection, not only after its next tick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database
from omc_pipeline.collection.accounts import Account, account_named
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.tally import Collection
from omc_pipeline.collection.window import Window
from omc_pipeline.orchestration.accounts import judge_account, register
from omc_pipeline.orchestration.checks import check_result
from omc_pipeline.orchestration.collection import asset_key, collection_facts
from omc_pipeline.orchestration.history import history_key, partitions_within
from omc_pipeline.quality.fold import fold
from omc_pipeline.quality.run import run_source_checks
from omc_pipeline.quality.suite import suite_of

if TYPE_CHECKING:
    from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData


def report_collection(
    instance: dg.DagsterInstance,
    database: Database,
    source: Source,
    collection: Collection,
    options: SourceConfig,
    account: Account | None = None,
) -> None:
    """Report a successful collection, and check the source as a run of Dagster would.

    Args:
        instance: Whose catalog.
        database: Where the rows are.
        source: What was collected.
        collection: What it did.
        options: With which options.
        account: Whose data; None for a public source.
    """
    partition = account.account_id if account else None
    if partition is not None:
        register(instance, source, [partition])
    facts = collection_facts(collection, options)
    instance.report_runless_asset_event(dg.AssetMaterialization(asset_key(source), metadata=facts, partition=partition))
    _report_checks(instance, database, source, partition)


def report_history(
    instance: dg.DagsterInstance, database: Database, source: Source, collection: Collection, options: SourceConfig, window: Window
) -> None:
    """Report a successful collection of past days: a materialization of each partition that is completely in the range.

    Args:
        instance: Whose catalog.
        database: Where the rows are.
        source: What was collected.
        collection: What it did.
        options: With which options.
        window: The range.
    """
    facts = {**collection_facts(collection, options), "window": dg.MetadataValue.text(str(window))}
    for partition in partitions_within(source, window):
        instance.report_runless_asset_event(dg.AssetMaterialization(history_key(source), metadata=facts, partition=partition))
    _report_checks(instance, database, source, None)


def _report_checks(instance: dg.DagsterInstance, database: Database, source: Source, partition: str | None) -> None:
    outcomes = run_source_checks(database, source, utc_now(), account_id=partition)
    if partition is not None:
        with database.connect("reader") as connection:
            row = account_named(connection, partition)
        judge_account(database, row, outcomes)
    target = _newest(instance, source)
    for folded in fold(suite_of(source), outcomes):
        result = check_result(source, folded)
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=asset_key(source),
                check_name=folded.check.name,
                passed=result.passed,
                metadata=result.metadata,
                target_materialization_data=target,
                severity=result.severity,
                description=result.description,
                blocking=folded.check.blocking,
            )
        )


def _newest(instance: dg.DagsterInstance, source: Source) -> AssetCheckEvaluationTargetMaterializationData | None:
    """Return the materialization that the checks belong to, as in Dagster's own runs."""
    from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

    records = instance.fetch_materializations(asset_key(source), limit=1).records
    if not records:
        return None
    newest = records[0]
    return AssetCheckEvaluationTargetMaterializationData(storage_id=newest.storage_id, run_id=newest.run_id, timestamp=newest.timestamp)
