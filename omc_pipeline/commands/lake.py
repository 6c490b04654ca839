"""``omc lake``: the ledgers as Parquet files, for DuckDB, Spark, Athena and the like."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import utc_now
from omc_infra.configuration import load_configuration
from omc_infra.errors import BadInputError
from omc_infra.settings import load_settings
from omc_infra.terminal import say

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group(help="Export the ledgers as Parquet files, one file for each table and day of recording.")
def lake() -> None:
    """Group the commands of the lake."""


@lake.command()
@click.option("--from", "first", type=_DAY, help="First day of recording, UTC. Default: the day of the first row.")
@click.option("--to", "last", type=_DAY, help="Last day. Default: yesterday. A day that isn't over is written again later.")
@json_option
def export(first: datetime | None, last: datetime | None, as_json: bool) -> None:
    """Write days to the lake and compare each file with its rows. Correct files are not written again."""
    from datetime import timedelta

    from omc_infra.objects import SECTION, StorageConfig
    from omc_infra.postgres.database import open_database
    from omc_pipeline.lake.export import export_days, lake_objects

    settings, today = load_settings(), utc_now().astimezone(UTC).date()
    begin, end = first.date() if first else None, last.date() if last else today - timedelta(days=1)
    if end > today or (begin is not None and begin > end):
        raise BadInputError(
            f"--from {begin or 'the first row'} --to {end}: the first day must not be after the last one, and no day after today, {today}"
        )
    config = load_configuration().section(SECTION)
    assert isinstance(config, StorageConfig)  # noqa: S101 the section's own model
    objects = lake_objects(config, settings)
    with open_database(settings) as database:
        done = list(export_days(database, objects, begin, end))
    written = [each for each in done if each.what == "written"]
    document = {
        "profile": settings.profile,
        "place": objects.shown,
        "files": {what: sum(each.what == what for each in done) for what in ("written", "unchanged", "deleted")},
        "rows": sum(each.rows for each in written),
        "size_bytes": sum(each.size_bytes for each in written),
        "written": [{**dataclasses.asdict(each), "day": each.day.isoformat()} for each in written],
    }
    if as_json:
        emit(document)
        return
    say(f"{len(written):,} files with {document['rows']:,} rows written to {objects.shown}; {len(done) - len(written):,} as they were")
