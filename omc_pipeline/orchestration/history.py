"""One asset per source that can collect past days, partitioned by time: a backfill of any range is one run.

The live collection has its own asset without partitions, so that a tick never waits for a backfill.
"""

import time
import warnings
from collections.abc import Sequence

import dagster as dg

from omc_pipeline.collection.collector import Progress
from omc_pipeline.collection.history import collect_history
from omc_pipeline.collection.source import History, Source
from omc_pipeline.collection.tally import Collection
from omc_pipeline.collection.window import Window
from omc_pipeline.orchestration.collection import RunOptions, asset_key, collection_facts, options_of_run, source_tags
from omc_pipeline.orchestration.failures import translate_failures
from omc_pipeline.orchestration.resources import Platform

_TELL_EVERY_S = 5.0


def history_key(source: Source) -> dg.AssetKey:
    """Return ``<ledger>/<name>_history``."""
    *ledger, name = asset_key(source).path
    return dg.AssetKey([*ledger, f"{name}_history"])


def history_assets(sources: Sequence[Source]) -> list[dg.AssetsDefinition]:
    """Create the history assets of the sources that can collect past days."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # of backfill policies; the version is pinned
        return [_history_asset(source, source.history) for source in sources if source.history is not None]


def _history_asset(source: Source, history: History) -> dg.AssetsDefinition:
    @dg.asset(
        key=history_key(source),
        group_name=source.ledger,
        description=f"{source.title}: past days, in the same tables. Backfill any range of partitions in one run.",
        kinds={"python", "postgres"},
        owners=list(source.owners),
        tags=source_tags(source),
        pool=source.name,
        partitions_def=_partitions(history),
        backfill_policy=dg.BackfillPolicy.single_run(),
        metadata={"source": dg.MetadataValue.text(source.name), "documentation": dg.MetadataValue.url(source.homepage)},
        op_tags={"omc/source": source.name},
    )
    def collected(context: dg.AssetExecutionContext, config: RunOptions, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
        window = Window(*context.partition_time_window)
        with translate_failures():
            options = options_of_run(source, config, platform)
            collection = collect_history(
                source,
                platform.database,
                platform.settings,
                window,
                config=options,
                run_id=context.run.run_id,
                progress=_logged(context, window),
            )
        return dg.MaterializeResult(metadata={**collection_facts(collection, options), "window": str(window)})

    return collected


def _logged(context: dg.AssetExecutionContext, window: Window) -> Progress:
    """Return a function that logs the progress of a backfill every few seconds."""
    logged_at = time.monotonic()

    def tell(collection: Collection) -> None:
        nonlocal logged_at
        if time.monotonic() - logged_at < _TELL_EVERY_S:
            return
        logged_at = time.monotonic()
        reached = f", the newest of {collection.observed_to:%Y-%m-%d}" if collection.observed_to else ""
        context.log.info(
            f"{window.first_day} to {window.last_day}: {collection.payloads:,} answers read, {collection.rows:,} rows{reached}"
        )

    return tell


def partitions_within(source: Source, window: Window) -> list[str]:
    """Return the partitions of a source's history that are completely in a range, in order; empty without a history."""
    if source.history is None:
        return []
    definition = _partitions(source.history)
    keys = definition.get_partition_keys_in_time_window(dg.TimeWindow(window.since, window.until))
    spans = {key: definition.time_window_for_partition_key(key) for key in keys}
    return [key for key, span in spans.items() if window.since <= span.start and span.end <= window.until]


def _partitions(history: History) -> dg.TimeWindowPartitionsDefinition:
    start = history.first_day.isoformat()
    if history.step == "month":
        return dg.MonthlyPartitionsDefinition(start_date=start)
    return dg.DailyPartitionsDefinition(start_date=start)
