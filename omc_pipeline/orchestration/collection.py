"""One asset a source, with its ledger's checks; made by factory, so a new source file needs no line here."""

import inspect
import re
import sys
from collections.abc import Iterator

import dagster as dg
import sqlalchemy as sa

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.table import LedgerTable
from omc_pipeline.orchestration.failures import told_to_dagster
from omc_pipeline.orchestration.plots import line_plot
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.quality.report import CheckOutcome
from omc_pipeline.quality.run import run_source_checks
from omc_pipeline.quality.suite import check_specs
from omc_pipeline.sources.collect import Collection, collect
from omc_pipeline.sources.source import Source

POOL = "upstream"
_PLOT_DAYS = 30
_PART = re.compile(r"\n\s*(Source|Shape|Units|Errors):\s*")
_SEVERITIES = {"critical": dg.AssetCheckSeverity.ERROR, "warning": dg.AssetCheckSeverity.WARN, "info": dg.AssetCheckSeverity.WARN}


def asset_key(source: Source) -> dg.AssetKey:
    """Answer ``<ledger>/<name>``: ``glass_defillama`` is ``glass/defillama``."""
    return dg.AssetKey([source.ledger, source.name.removeprefix(f"{source.ledger}_")])


def source_tags(source: Source) -> dict[str, str]:
    """Answer the tags of a source's asset and runs."""
    return {"ledger": source.ledger}


def collection_asset(source: Source) -> dg.AssetsDefinition:
    """Make the asset that collects one source."""

    @dg.asset(
        key=asset_key(source),
        group_name=source.ledger,
        description=_description(source),
        kinds={"python", "postgres"},
        owners=list(source.owners),
        tags=source_tags(source),
        pool=POOL,
        metadata={
            "source": dg.MetadataValue.text(source.name),
            "documentation": dg.MetadataValue.url(source.homepage),
            "cadence": dg.MetadataValue.text(source.cron),
            "dagster/table_name": ", ".join(table.qualified for table in source.tables),
        },
        op_tags={"omc/source": source.name},
    )
    def collected(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with told_to_dagster():
            collection = collect(source, platform.database, platform.settings)
        context.log.info("; ".join(f"{table}: {did.inserted} inserted, {did.changed} changed" for table, did in collection.tables.items()))
        return dg.MaterializeResult(metadata={**_facts(collection), **_plot(platform.database, source)})

    return collected


def collection_checks(source: Source) -> dg.AssetChecksDefinition:
    """Make the checks of one source's asset: its ledger's suite, judged by Great Expectations over a facts row."""
    specs = check_specs(source)

    @dg.multi_asset_check(
        name=f"{source.name}_suite",
        specs=[
            dg.AssetCheckSpec(
                name=spec.name,
                asset=asset_key(source),
                description=spec.description,
                blocking=spec.blocking,
                metadata={"dimension": spec.dimension, "severity": spec.severity},
            )
            for spec in specs
        ],
        can_subset=True,
    )
    def judged(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.name for key in context.selected_asset_check_keys}
        with told_to_dagster():
            outcomes = run_source_checks(platform.database, source, utc_now())
        for outcome in outcomes:
            if outcome.name in wanted:
                yield _check_result(source, outcome)

    return judged


def _check_result(source: Source, outcome: CheckOutcome) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset_key(source),
        check_name=outcome.name,
        passed=outcome.passed,
        severity=_SEVERITIES[outcome.severity],
        metadata={
            "dimension": outcome.dimension,
            "score": float(outcome.score),
            "observed": str(outcome.observed),
            "expected": outcome.expected,
            "rows": outcome.rows,
        },
    )


def _description(source: Source) -> str:
    module = sys.modules.get(f"omc_pipeline.sources.{source.name}")
    text = inspect.getdoc(module) if module else None
    if not text:
        return source.title
    return f"{source.title}. {_PART.sub(lambda part: f'{chr(10)}{chr(10)}**{part[1]}.** ', text)}"


def _facts(collection: Collection) -> dict[str, dg.MetadataValue]:
    facts: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(collection.rows),
        "tables": _tables(collection),
        "quarantined": dg.MetadataValue.int(collection.quarantined),
        "payloads": dg.MetadataValue.int(collection.payloads),
    }
    if collection.observed_from and collection.observed_to:
        facts["from"] = dg.MetadataValue.timestamp(collection.observed_from)
        facts["to"] = dg.MetadataValue.timestamp(collection.observed_to)
    if collection.lateness_s is not None:
        facts["lateness_s"] = dg.MetadataValue.float(collection.lateness_s)
    return facts


def _tables(collection: Collection) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord({"table": table, "inserted": did.inserted, "changed": did.changed, "unchanged": did.unchanged})
        for table, did in collection.tables.items()
    ]
    columns = [dg.TableColumn("table"), *(dg.TableColumn(name, "int") for name in ("inserted", "changed", "unchanged"))]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _plot(database: Database, source: Source) -> dict[str, dg.MarkdownMetadataValue]:
    """Draw rows a day of the source's first table; what a person wants to see first is a day that is missing."""
    counts = _rows_a_day(database, source.tables[0], source.name)
    return {"rows_a_day": line_plot(f"{source.tables[0].qualified}, rows a day over {_PLOT_DAYS} days", counts)}


def _rows_a_day(database: Database, table: LedgerTable, source: str) -> list[float]:
    query = sa.text(
        f"SELECT count(facts.source) FROM generate_series(current_date - {_PLOT_DAYS - 1}, current_date, interval '1 day') AS day"
        f" LEFT JOIN {table.qualified} AS facts ON facts.source = :source AND facts.version = 1"
        f" AND facts.{table.clock} >= day AND facts.{table.clock} < day + interval '1 day' GROUP BY day ORDER BY day"
    )
    with database.engine("reader").connect() as connection:
        return [float(count) for (count,) in connection.execute(query, {"source": source})]
