"""``omc replay``: parse stored payloads again, after a parser was mended."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import click

from omc_infra.cli import json_option
from omc_infra.clock import parse_utc, utc_now
from omc_infra.configuration import load_configuration
from omc_infra.errors import BadInputError
from omc_infra.settings import load_settings


@click.command(help="Parse the stored payloads of SOURCE again; rows that are now accepted leave the quarantine.")
@click.argument("source")
@click.option("--from", "since", required=True, help="First fetch time: 2026-11-23, or 2026-11-23T10:00:00Z.")
@click.option("--to", "until", help="Fetch time before which to stop; a plain day is included. Default: now.")
@click.option("--current-options", is_flag=True, help="Parse with the options of today, not with those that were in force at each fetch.")
@json_option
def replay(source: str, since: str, until: str | None, current_options: bool, as_json: bool) -> None:
    """Replay a window of fetch times."""
    from omc_infra.postgres.database import open_database
    from omc_pipeline.collection.discovery import source_named
    from omc_pipeline.collection.replay import replay as replay_source
    from omc_pipeline.collection.sections import configured_options
    from omc_pipeline.commands.collect import show_collection
    from omc_pipeline.ledgers.bodies import bodies_of

    found, settings = source_named(source), load_settings()
    first = _moment("--from", since, time.min)
    last = _moment("--to", until, time.max) if until else utc_now()
    if first >= last:
        raise BadInputError(f"--from {since} is not before --to {until or 'now'}")
    with open_database(settings) as database:
        options = configured_options(found, load_configuration())
        collection = replay_source(
            found, database, first, last, config=options, with_current_options=current_options, bodies=bodies_of(settings)
        )
    show_collection(collection, settings, as_json)


def _moment(option: str, written: str, of_day: time) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(written), of_day, UTC) if len(written) == len("2026-11-23") else parse_utc(written)
    except (ValueError, OverflowError) as error:
        raise BadInputError(f"{option} {written!r} is neither a day like 2026-11-23 nor a time like 2026-11-23T10:00:00Z") from error
