"""The code location ``omc_pipeline``: the only place where the pipeline is wired."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.readiness import not_configured_reason
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.table import LEDGERS
from omc_pipeline.orchestration import operations
from omc_pipeline.orchestration.buckets import Buckets
from omc_pipeline.orchestration.checks import collection_checks
from omc_pipeline.orchestration.collection import collection_asset
from omc_pipeline.orchestration.history import history_assets
from omc_pipeline.orchestration.pnl import pnl_assets
from omc_pipeline.orchestration.resources import Platform, closed_resource
from omc_pipeline.orchestration.schedules import definitions_of, scheduled_jobs
from omc_pipeline.orchestration.scores import score_asset


def build_definitions(sources: Mapping[str, Source] | None = None, platform: Platform | None = None) -> dg.Definitions:
    """Assemble the location; tests and commands build the same one with other parts.

    Args:
        sources: Sources by name; by default every one that is found.
        platform: Database and settings; by default those of the process's environment.
    """
    found = list((discover_sources() if sources is None else sources).values())
    platform = platform or Platform()
    settings = platform.settings_at_load
    buckets = Buckets(settings.user_buckets)
    planned = scheduled_jobs(found, buckets, settings.user)
    jobs, schedules = zip(*(definitions_of(job) for job in planned), strict=True)
    return dg.Definitions(
        assets=[
            *(collection_asset(source, not_configured_reason(source, settings)) for source in found),
            *history_assets(found),
            *(score_asset(ledger, [source for source in found if source.ledger == ledger]) for ledger in LEDGERS),
            *pnl_assets(buckets, found),
            operations.retention,
            operations.growth,
        ],
        asset_checks=[collection_checks(source) for source in found],
        jobs=jobs,
        schedules=schedules,
        resources={"platform": closed_resource(platform)},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Build the location when Dagster loads it."""
    return build_definitions()
