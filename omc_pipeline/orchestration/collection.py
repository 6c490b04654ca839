"""One asset per source, created by a factory, so a new source file needs no change here."""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime

import dagster as dg

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database
from omc_pipeline.collection.options import SourceConfig, options_digest
from omc_pipeline.collection.sampling import each_sample
from omc_pipeline.collection.sections import configured_options
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.tally import Collection, together
from omc_pipeline.orchestration.accounts import account_of_run, partitions_of
from omc_pipeline.orchestration.failures import translate_failures
from omc_pipeline.orchestration.plots import line_plot
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.quality.volume import rows_by_day, rows_by_hour

_TICK_TAG = ".dagster/scheduled_execution_time"
_PLOTTED = 30
_MINUTELY_S = 60
_PART = re.compile(r"\n\s*(Source|Shape|Units|Errors):\s*")


def asset_key(source: Source) -> dg.AssetKey:
    """Return ``<ledger>/<name>``: ``glass_defillama`` is ``glass/defillama``."""
    return dg.AssetKey([source.ledger, source.name.removeprefix(f"{source.ledger}_")])


def input_keys(source: Source) -> list[dg.AssetKey]:
    """Return the assets of the sources that a derived source reads; empty for any other."""
    return [dg.AssetKey(name.split("_", 1)) for name in source.inputs]


class RunOptions(dg.PermissiveConfig):
    """Options of a source for one run: the options of its configuration section, except hosts, keys and limits."""


def options_of_run(source: Source, run_options: RunOptions, platform: Platform) -> SourceConfig:
    """Return a source's configured options, with those of the run."""
    return configured_options(source, platform.configuration, run_options.model_dump())


def source_tags(source: Source) -> dict[str, str]:
    """Return the tags of a source's asset and runs."""
    return {"ledger": source.ledger}


def tick_of(run_tags: Mapping[str, str]) -> datetime | None:
    """Return when a run was due, or None if no schedule started it."""
    due = run_tags.get(_TICK_TAG)
    return datetime.fromisoformat(due) if due else None


def collection_asset(source: Source, not_configured: str | None = None) -> dg.AssetsDefinition:
    """Create the asset that collects one source; ``not_configured`` says what is missing, or is None."""

    @dg.asset(
        key=asset_key(source),
        group_name=source.ledger,
        description=_description(source),
        kinds={"python", "postgres"},
        owners=list(source.owners),
        tags={**source_tags(source), **({"not_configured": ""} if not_configured else {})},
        deps=input_keys(source),
        pool=None if source.per_account else source.name,
        partitions_def=partitions_of(source),
        metadata={
            "source": dg.MetadataValue.text(source.name),
            "documentation": dg.MetadataValue.url(source.homepage),
            "cadence": dg.MetadataValue.text(", ".join(source.crons)),
            "endpoints": _endpoints(source),
            "dagster/table_name": ", ".join(table.qualified for table in source.tables),
            "configured": dg.MetadataValue.bool(not_configured is None),
            **({"not_configured": dg.MetadataValue.text(not_configured)} if not_configured else {}),
        },
        op_tags={"omc/source": source.name},
    )
    def collected(context: dg.AssetExecutionContext, config: RunOptions, platform: Platform) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        """Report the first sample at once: until then, the UI shows the asset as materializing, and all samples take a minute."""
        with translate_failures():
            options = options_of_run(source, config, platform)
            account = account_of_run(platform.database, context.run.tags) if source.per_account else None
            tick, run_id = tick_of(context.run.tags), context.run.run_id
            samples = each_sample(source, platform.database, platform.settings, tick, config=options, account=account, run_id=run_id)
            first = next(samples)
        yield dg.MaterializeResult(metadata={**collection_facts(first, options), **_plot(platform.database, source)})
        with translate_failures():
            others = list(samples)
        whole = together([first, *others])
        context.log.info("; ".join(f"{table}: {did.inserted} inserted, {did.changed} changed" for table, did in whole.tables.items()))
        if others:
            metadata = {**collection_facts(whole, options), "samples": dg.MetadataValue.int(len(others) + 1)}
            context.log_event(dg.AssetObservation(context.asset_key, metadata=metadata))

    return collected


def _description(source: Source) -> str:
    module = sys.modules.get(source.parse.__module__)
    text = inspect.getdoc(module) if module else None
    if not text:
        return source.title
    return f"{source.title}. {_PART.sub(lambda part: f'{chr(10)}{chr(10)}**{part[1]}.** ', text)}"


def collection_facts(collection: Collection, options: SourceConfig) -> dict[str, dg.MetadataValue]:
    """Return metadata of the results and the options of a collection."""
    facts: dict[str, dg.MetadataValue] = {
        "options_sha256": dg.MetadataValue.text(options_digest(options)),
        "rows": dg.MetadataValue.int(collection.rows),
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


def _endpoints(source: Source) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {"endpoint": endpoint.name, "cron": endpoint.cron, "tables": ", ".join(t.qualified for t in source.tables_of(endpoint))}
        )
        for endpoint in source.endpoints
    ]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in ("endpoint", "cron", "tables")]))


def _tables(collection: Collection) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord({"table": table, "inserted": did.inserted, "changed": did.changed, "unchanged": did.unchanged})
        for table, did in collection.tables.items()
    ]
    columns = [dg.TableColumn("table"), *(dg.TableColumn(name, "int") for name in ("inserted", "changed", "unchanged"))]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _plot(database: Database, source: Source) -> dict[str, dg.MarkdownMetadataValue]:
    """Plot the rows of the source's first table per hour, or per day if it is collected less than once a minute, to show gaps."""
    table, now = source.tables[0], utc_now()
    unit, count = ("hour", rows_by_hour) if source.every_s <= _MINUTELY_S else ("day", rows_by_day)
    counts = [float(rows) for rows in count(database, source.name, table, _PLOTTED, now)]
    return {f"rows_a_{unit}": line_plot(f"{table.qualified}, rows each {unit} over {_PLOTTED} {unit}s", counts)}
