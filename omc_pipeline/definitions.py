"""The code location ``omc_pipeline``: the only place where the pipeline is wired."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from omc_infra.settings import Settings
from omc_pipeline.collection.discovery import BrokenSource, broken_by, discover
from omc_pipeline.collection.readiness import not_configured_reason
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.table import LEDGERS, LedgerName
from omc_pipeline.orchestration import operations
from omc_pipeline.orchestration.broken import broken_assets, broken_job
from omc_pipeline.orchestration.buckets import Buckets
from omc_pipeline.orchestration.candles import candles_asset
from omc_pipeline.orchestration.checks import collection_checks
from omc_pipeline.orchestration.collection import collection_asset
from omc_pipeline.orchestration.history import history_assets
from omc_pipeline.orchestration.pnl import pnl_assets
from omc_pipeline.orchestration.resources import Platform, closed_resource
from omc_pipeline.orchestration.schedules import definitions_of, scheduled_jobs
from omc_pipeline.orchestration.scores import score_asset


def build_definitions(
    sources: Mapping[str, Source] | None = None, platform: Platform | None = None, broken: Sequence[BrokenSource] = ()
) -> dg.Definitions:
    """Assemble the location; tests and commands build the same one with other parts.

    Args:
        sources: Sources by name; by default every one that is found.
        platform: Database and settings; by default those of the process's environment.
        broken: Files that hold no working source, each shown as a red asset; by default those that are found.
    """
    if sources is None:
        discovered = discover()
        sources, broken = discovered.sources, [*broken, *discovered.broken.values()]
    platform = platform or Platform()
    settings = platform.settings_at_load
    built, unbuilt = _built(sources.values(), settings)
    found, broken = [source for source, *_ in built], [*broken, *unbuilt]
    buckets = Buckets(settings.user_buckets)
    planned = scheduled_jobs(found, buckets, settings.user)
    jobs, schedules = zip(*(definitions_of(job) for job in planned), strict=True)
    broken_jobs, broken_schedules = broken_job(broken)
    return dg.Definitions(
        assets=[
            *(asset for _, assets, _ in built for asset in assets),
            *broken_assets(broken),
            *(score_asset(ledger, *_of_ledger(ledger, found, broken)) for ledger in LEDGERS),
            candles_asset(found),
            *pnl_assets(buckets, found),
            operations.retention,
            operations.growth,
            operations.lake,
        ],
        asset_checks=[checks for _, _, checks in built],
        jobs=[*jobs, *broken_jobs],
        schedules=[*schedules, *broken_schedules],
        resources={"platform": closed_resource(platform)},
        executor=dg.in_process_executor,
    )


def _of_ledger(ledger: LedgerName, sources: Sequence[Source], broken: Sequence[BrokenSource]) -> tuple[list[Source], list[BrokenSource]]:
    return [source for source in sources if source.ledger == ledger], [each for each in broken if each.ledger == ledger]


_Built = tuple[Source, list[dg.AssetsDefinition], dg.AssetChecksDefinition]


def _built(sources: Iterable[Source], settings: Settings) -> tuple[list[_Built], list[BrokenSource]]:
    """Make the assets and checks of each source; one that Dagster refuses is broken, and stops no other."""
    built: list[_Built] = []
    broken: list[BrokenSource] = []
    for source in sources:
        try:
            asset = collection_asset(source, not_configured_reason(source, settings))
            built.append((source, [asset, *history_assets([source])], collection_checks(source)))
        except Exception as error:  # noqa: BLE001 Dagster's boundary: a declaration may be wrong in any way
            broken.append(broken_by(source.name, error))
    return built, broken


@dg.definitions
def defs() -> dg.Definitions:
    """Build the location when Dagster loads it."""
    return build_definitions()
