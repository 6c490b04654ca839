"""``omc replay``: parse stored payloads again, after a parser was mended; see what would change, then write it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import click

from omc_infra.cli import emit, exit_code, json_option
from omc_infra.clock import parse_utc, utc_now
from omc_infra.configuration import load_configuration
from omc_infra.errors import BadInputError
from omc_infra.logs import redact
from omc_infra.settings import Settings, load_settings
from omc_infra.terminal import one_line, open_console, say

if TYPE_CHECKING:
    from omc_pipeline.collection.replay import Replayed


@click.command(
    help="Parse the stored bodies of SOURCE again, without network access, and report which rows would be new, changed or refused. "
    "With --apply, write the changes: changed facts become new versions, and rows that are now valid are released from quarantine."
)
@click.argument("source")
@click.option("--from", "since", required=True, help="First fetch time: 2026-11-23, or 2026-11-23T10:00:00Z.")
@click.option("--to", "until", help="Last fetch time, excluded; a day without a time is included. Default: now.")
@click.option("--apply", "is_applied", is_flag=True, help="Write the changes.")
@click.option(
    "--examples",
    default=3,
    show_default=True,
    type=click.IntRange(0, 1_000),
    help="Number of new and changed rows to show for each table.",
)
@click.option("--current-options", is_flag=True, help="Parse with the current options, not with those of the time of each fetch.")
@json_option
def replay(source: str, since: str, until: str | None, is_applied: bool, examples: int, current_options: bool, as_json: bool) -> None:
    """Replay a window of fetch times."""
    from omc_infra.postgres.database import open_database
    from omc_pipeline.collection.discovery import source_named
    from omc_pipeline.collection.replay import Stretch, apply_replay, preview_replay
    from omc_pipeline.collection.sections import configured_options
    from omc_pipeline.ledgers.bodies import bodies_of

    found, settings = source_named(source), load_settings()
    first = _moment("--from", since, time.min)
    last = _moment("--to", until, time.max) if until else utc_now()
    if first >= last:
        raise BadInputError(f"--from {since} is not before --to {until or 'now'}")
    stretch = Stretch(first, last, configured_options(found, load_configuration()), current_options, bodies_of(settings))
    with open_database(settings) as database:
        done = apply_replay(found, database, stretch) if is_applied else preview_replay(found, database, stretch, examples)
    if as_json:
        emit(_document(done, settings, examples))
    else:
        _show(done, settings, examples)
    if done.failure is not None:
        say(f"omc: {one_line(redact(str(done.failure)))}", err=True)
        raise click.exceptions.Exit(exit_code(type(done.failure)))


def _document(done: Replayed, settings: Settings, examples: int) -> dict[str, Any]:
    from omc_pipeline.commands.collect import collection_document

    return {
        **collection_document(done.collection, settings),
        "applied": done.is_applied,
        "unread": done.unread,
        "opened": len(done.opened),
        "examples": {table: [dataclasses.asdict(each) for each in found] for table, found in done.examples.items()},
        "refused": [{"reason": reason, "row": row} for reason, row in done.opened[:examples]],
        **(done.failure.as_document() if done.failure else {}),
    }


def _show(done: Replayed, settings: Settings, examples: int) -> None:
    from omc_pipeline.commands.collect import show_collection

    console = open_console()
    show_collection(done.collection, settings, as_json=False)
    if done.is_applied:
        return
    for table, found in done.examples.items():
        for each in found:
            change = f"version {each.version}: {_facts(each.before)} -> " if each.before else "new: "
            console.print(f"{table} {_facts(each.key)} {change}{_facts(each.after)}", soft_wrap=True, markup=False)
    for reason, row in done.opened[:examples]:
        console.print(f"refused: {reason}: {dict(row)}", soft_wrap=True, markup=False)
    counts = done.collection.tables.values()
    new, changed = sum(count.inserted for count in counts), sum(count.changed for count in counts)
    opened, resolved = len(done.opened), done.collection.resolved
    if not (new or changed or opened or resolved):
        console.print("nothing would change")
        return
    would = f"write {new:,} new and {changed:,} changed rows, put {opened:,} into quarantine and release {resolved:,} from it"
    console.print(f"nothing was written: --apply would {would}", soft_wrap=True)


def _facts(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_written(value)}" for name, value in facts.items())


def _written(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
    return "none" if value is None else one_line(str(value))


def _moment(option: str, written: str, of_day: time) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(written), of_day, UTC) if len(written) == len("2026-11-23") else parse_utc(written)
    except (ValueError, OverflowError) as error:
        raise BadInputError(f"{option} {written!r} is neither a day like 2026-11-23 nor a time like 2026-11-23T10:00:00Z") from error
