"""Maintenance: remove data past its retention, measure the growth of the database, export the lake."""

import time

import dagster as dg

from omc_infra.clock import utc_now
from omc_infra.objects import SECTION, StorageConfig
from omc_infra.postgres.batches import Purged, kept_since
from omc_infra.postgres.growth import PROJECTED_DAYS, Growth, TableGrowth, measure_growth
from omc_infra.runs.retention import purge_dagster
from omc_pipeline.lake.export import export_daily, lake_objects
from omc_pipeline.ledgers.bodies import bodies_of, delete_unwanted
from omc_pipeline.ledgers.partitions import make_months_ahead
from omc_pipeline.ledgers.retention import purge_bodies
from omc_pipeline.orchestration.failures import translate_failures
from omc_pipeline.orchestration.plots import line_plot
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.quality.retention import purge_check_results

RETENTION = dg.AssetKey(["operations", "retention"])
GROWTH = dg.AssetKey(["operations", "growth"])
LAKE = dg.AssetKey(["operations", "lake"])
GROWTH_CHECK = "growth_within_limit"
LONGEST_PURGE_S = 900.0
"""A purge that has more to do goes on the next day; the first one after a retention was shortened may."""
_MB, _GB = 1_000_000, 1_000_000_000


@dg.asset(key=RETENTION, group_name="operations", kinds={"postgres"}, owners=["team:data-platform"])
def retention(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Remove Dagster's records, raw bodies and check results past their retention; ledger rows are never removed.

    Also create the coming monthly partitions of the large tables.
    """
    deadline = time.monotonic() + LONGEST_PURGE_S
    with translate_failures():
        settings = platform.settings
        kept_days = (settings.keep_runs_days, settings.keep_payloads_days, settings.keep_check_results_days)
        runs_before, bodies_before, results_before = (kept_since(utc_now(), days) for days in kept_days)
        with platform.database.connect("writer") as connection:
            made = make_months_ahead(connection)
        purged = [purge_bodies(platform.database, bodies_before, deadline)] if bodies_before else []
        if results_before:
            purged.append(purge_check_results(platform.database, results_before, deadline))
        if runs_before:
            purged += purge_dagster(platform.database, context.instance, runs_before, deadline)
        bodies = bodies_of(settings)
        deleted = delete_unwanted(platform.database, bodies) if bodies else 0
    counts = {"months_made": dg.MetadataValue.int(made), "bodies_deleted_in_s3": dg.MetadataValue.int(deleted)}
    return dg.MaterializeResult(metadata={**purged_metadata(purged), **counts})


@dg.asset(
    key=GROWTH,
    group_name="operations",
    deps=[RETENTION],
    kinds={"postgres"},
    owners=["team:data-platform"],
    check_specs=[
        dg.AssetCheckSpec(
            GROWTH_CHECK, asset=GROWTH, description=f"The database grows by less than OMC_GROWTH_WARNING_GB in {PROJECTED_DAYS} days."
        )
    ],
)
def growth(platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Measure every table: size with indexes, rows, growth since yesterday, and a projection for thirty days from a week's growth."""
    with translate_failures():
        found = measure_growth(platform.database, utc_now())
    limit_gb = platform.settings.growth_warning_gb
    projected_gb = (found.projected_bytes or 0) / _GB
    details = {"projected_gb": projected_gb, "limit_gb": limit_gb, "measured": found.projected_bytes is not None}
    return dg.MaterializeResult(
        metadata=_metadata(found),
        check_results=[
            dg.AssetCheckResult(
                check_name=GROWTH_CHECK, passed=projected_gb <= limit_gb, severity=dg.AssetCheckSeverity.WARN, metadata=details
            )
        ],
    )


@dg.asset(key=LAKE, group_name="operations", kinds={"parquet"}, owners=["team:data-platform"])
def lake(platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Export rows recorded until yesterday to the lake: Parquet files by table and day, each compared with its rows."""
    with translate_failures():
        config = platform.configuration.section(SECTION)
        if not isinstance(config, StorageConfig) or config.lake == "off":
            return dg.MaterializeResult(metadata={"place": "off"})
        objects = lake_objects(config, platform.settings)
        done = list(export_daily(platform.database, objects, utc_now().date(), config.lake_days_again))
    files = {what: dg.MetadataValue.int(sum(each.what == what for each in done)) for what in ("written", "unchanged", "deleted")}
    rows, size_mb = sum(each.rows for each in done if each.what == "written"), sum(each.size_bytes for each in done) / _MB
    return dg.MaterializeResult(metadata={"place": objects.shown, **files, "rows": rows, "size_mb": size_mb})


def purged_metadata(purged: list[Purged]) -> dict[str, dg.MetadataValue]:
    """Return the results of a purge as one number for each kind, so that the UI plots them over time."""
    counts: dict[str, dg.MetadataValue] = {each.what.replace(" ", "_"): dg.MetadataValue.int(each.count) for each in purged}
    return {**counts, "is_complete": dg.MetadataValue.bool(all(each.is_complete for each in purged))}


def _metadata(found: Growth) -> dict[str, dg.MetadataValue]:
    facts: dict[str, dg.MetadataValue] = {
        "size_mb": dg.MetadataValue.float(found.size_bytes / _MB),
        "schemas": _table({schema: _of_schema(found, schema) for schema in sorted({table.now.schema for table in found.tables})}),
        "tables": _table({f"{table.now.schema}.{table.now.table}": [table] for table in _largest_first(found)}),
        "history": line_plot("Size of the database in MB", [size / _MB for _, size in found.history]),
    }
    if found.since and found.grown_bytes is not None:
        facts |= {"grown_mb": dg.MetadataValue.float(found.grown_bytes / _MB), "since": dg.MetadataValue.timestamp(found.since)}
    if found.projected_bytes is not None:
        facts["projected_mb"] = dg.MetadataValue.float(found.projected_bytes / _MB)
    return facts


def _largest_first(found: Growth) -> list[TableGrowth]:
    return sorted(found.tables, key=lambda table: -table.now.size_bytes)


def _of_schema(found: Growth, schema: str) -> list[TableGrowth]:
    return [table for table in found.tables if table.now.schema == schema]


def _table(groups: dict[str, list[TableGrowth]]) -> dg.TableMetadataValue:
    """Sum groups of tables into one row each; unknown growth stays empty."""
    columns = [
        dg.TableColumn("name"),
        *(dg.TableColumn(name, "float") for name in ("size_mb", "grown_mb", f"projected_{PROJECTED_DAYS}d_mb")),
    ]
    columns += [dg.TableColumn("rows", "int"), dg.TableColumn("grown_rows", "int"), dg.TableColumn("counted", "bool")]
    records = [
        dg.TableRecord(
            {
                "name": name,
                "size_mb": _mb([table.now.size_bytes for table in tables]),
                "grown_mb": _mb([table.grown_bytes for table in tables]),
                f"projected_{PROJECTED_DAYS}d_mb": _mb([table.projected_bytes for table in tables]),
                "rows": sum(table.now.rows for table in tables),
                "grown_rows": None if tables[0].grown_rows is None else sum(table.grown_rows or 0 for table in tables),
                "counted": all(table.now.is_exact for table in tables),
            }
        )
        for name, tables in groups.items()
    ]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _mb(sizes: list[int] | list[int | None]) -> float | None:
    known = [size for size in sizes if size is not None]
    return round(sum(known) / _MB, 3) if known else None
