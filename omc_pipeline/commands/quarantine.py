"""``omc quarantine``: rows that a parser refused, and what a person does about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError
from omc_infra.person import by_option
from omc_infra.settings import Settings, load_settings
from omc_infra.terminal import one_line, open_console, say

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from omc_infra.postgres.database import Database
    from omc_infra.postgres.roles import Role
    from omc_pipeline.collection.replay import Replayed
    from omc_pipeline.ledgers.quarantine import Quarantined

_STATES = ("open", "released", "dismissed", "all")
_LONGEST_REASON = 500
_SHOWN_CHARACTERS = 120
_numbers = click.argument("numbers", nargs=-1, required=True, type=click.IntRange(1, 2**63 - 1), metavar="NUMBER...")


@click.group(help="Rows that were refused: list and show them, read their bodies again, dismiss them.")
def quarantine() -> None:
    """Group the commands of refused rows."""


@quarantine.command("list", help="List refused rows, newest first.", epilog="Exit code 0, also where rows are open.")
@click.option("--source", help="Only rows of this source.")
@click.option("--state", type=click.Choice(_STATES), default="open", show_default=True, help="Only rows in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Maximum number of rows.")
@json_option
def list_command(source: str | None, state: str, limit: int, as_json: bool) -> None:
    """Print one line for each row, and how many rows there are for each source and reason."""
    from omc_pipeline.collection.discovery import source_named
    from omc_pipeline.ledgers.quarantine import STATES, rows_in

    settings, name = load_settings(), source_named(source).name if source else None
    wanted = next((each for each in STATES if each == state), None)
    with _connected(settings, "reader") as (_, connection):
        rows = rows_in(connection, wanted, name, limit)
    if as_json:
        emit({"profile": settings.profile, "rows": [_document(row) for row in rows]})
        return
    from omc_infra.tables import print_rows

    print_rows(open_console(), [_line(row) for row in rows], f"quarantine · {settings.profile}")
    for (of, reason), count in Counter((row.source, row.reason) for row in rows).most_common():
        say(f"{of}: {count} refused because {one_line(reason)}")
    if not rows:
        say("no row is in quarantine" if state == "open" else f"no row is {state}" if state != "all" else "no row was ever refused")


@quarantine.command("show", help="Show refused rows whole: every field, the reason, and the body they came from.")
@_numbers
@json_option
def show_command(numbers: Sequence[int], as_json: bool) -> None:
    """Print the rows with these numbers."""
    from omc_pipeline.ledgers.quarantine import fetches_of, rows_numbered

    settings = load_settings()
    with _connected(settings, "reader") as (_, connection):
        rows = rows_numbered(connection, numbers)
        fetched = fetches_of(connection, rows)
    if as_json:
        emit({"profile": settings.profile, "rows": [_document(row, fetched) for row in rows]})
        return
    for row in rows:
        say(f"row {row.quarantine_id} of {row.source}: {row.state}")
        say(f"  reason: {one_line(row.reason)}")
        say(f"  refused: {row.refused_count} times, first {row.recorded_at:%F %T}Z, last {row.last_refused_at:%F %T}Z")
        say(f"  body: {_body(row, fetched)}")
        if row.dismissed_by is not None:
            say(f"  dismissed by {one_line(row.dismissed_by)}: {one_line(row.dismissed_because or '')}")
        for name, value in row.row.items():
            say(f"  {one_line(str(name))} = {one_line(str(value))}")


@quarantine.command(
    help="Read the bodies of refused rows again, after a parser or a rule was corrected, and write what is valid now. Give numbers, or "
    "--source for all open rows of a source.",
    epilog="Exit code 1: a row is still refused, or its body is no longer kept.",
)
@click.argument("numbers", nargs=-1, type=click.IntRange(1, 2**63 - 1), metavar="[NUMBER...]")
@click.option("--source", help="All open rows of this source.")
@click.option("--current-options", is_flag=True, help="Parse with the current options, not with those of the time of each fetch.")
@json_option
def retry(numbers: Sequence[int], source: str | None, current_options: bool, as_json: bool) -> None:
    """Read bodies again and print what became of each row."""
    from omc_pipeline.collection.discovery import source_named
    from omc_pipeline.ledgers.quarantine import fetches_of, rows_in, rows_numbered

    if bool(numbers) == bool(source):
        raise BadInputError("give the numbers of rows, or --source for all open rows of one source")
    settings = load_settings()
    with _connected(settings, "writer") as (database, connection):
        rows = rows_in(connection, "open", source_named(source).name, 10_000) if source else rows_numbered(connection, numbers)
        open_now = [row for row in rows if row.state == "open"]
        fetched = fetches_of(connection, open_now)
        failures = _read_again(database, settings, open_now, fetched, current_options)
        after = rows_numbered(connection, [row.quarantine_id for row in rows])
    still = [row for row in after if row.state == "open"]
    if as_json:
        emit({"profile": settings.profile, "released": len(open_now) - len(still), "rows": [_document(row, fetched) for row in after],
              "failures": failures})  # fmt: skip
    else:
        for row in still:
            gone = "" if row.payload_sha256 in fetched else "; its body is no longer kept, so it can't be read again: dismiss it"
            say(f"row {row.quarantine_id} of {row.source} is still refused: {one_line(row.reason)}{gone}")
        for failure in failures:
            say(f"omc: {one_line(failure)}", err=True)
        say(f"{len(open_now) - len(still)} of {len(open_now)} open rows were released")
    if still or failures:
        raise click.exceptions.Exit(1)


@quarantine.command("dismiss", help="Close refused rows that you don't want. They stay closed when another body holds them again.")
@_numbers
@click.option("--because", required=True, help="Your reason, for the record.")
@by_option
@json_option
def dismiss_command(numbers: Sequence[int], because: str, by: str, as_json: bool) -> None:
    """Dismiss all of the rows, or none where one can't be."""
    from omc_pipeline.ledgers.quarantine import dismiss

    if not because.strip() or len(because) > _LONGEST_REASON or "\0" in because:
        raise BadInputError(f"--because: must be a reason of up to {_LONGEST_REASON} characters")
    settings = load_settings()
    with _connected(settings, "writer") as (_, connection), connection.transaction():
        rows = dismiss(connection, sorted(set(numbers)), by, because)
    if as_json:
        emit({"profile": settings.profile, "rows": [_document(row) for row in rows]})
    else:
        for row in rows:
            say(f"row {row.quarantine_id} of {row.source} is dismissed by {one_line(by)}: {one_line(because)}")


def _read_again(
    database: Database, settings: Settings, rows: Sequence[Quarantined], fetched: dict[str, datetime], current_options: bool
) -> list[str]:
    """Replay the newest fetch of each row's body; return what can still not be read, in words."""
    from omc_infra.configuration import load_configuration
    from omc_infra.logs import redact
    from omc_pipeline.collection.discovery import source_named
    from omc_pipeline.collection.replay import Stretch, apply_replay
    from omc_pipeline.collection.sections import configured_options
    from omc_pipeline.ledgers.bodies import bodies_of

    configuration, bodies, failures = load_configuration(), bodies_of(settings), list[str]()
    for name, at in sorted({(row.source, fetched[row.payload_sha256]) for row in rows if row.payload_sha256 in fetched}):
        source = source_named(name)
        stretch = Stretch(at, at + timedelta(microseconds=1), configured_options(source, configuration), current_options, bodies)
        done: Replayed = apply_replay(source, database, stretch)
        if done.unread and done.failure is not None:
            failures.append(f"{name}: the body of {at:%F %T}Z can't be read: {redact(str(done.failure))}")
    return failures


def _document(row: Quarantined, fetched: dict[str, datetime] | None = None) -> dict[str, Any]:
    document = {
        "quarantine_id": row.quarantine_id,
        "source": row.source,
        "state": row.state,
        "reason": row.reason,
        "row": row.row,
        "payload_sha256": row.payload_sha256,
        "first_refused_at": row.recorded_at,
        "last_refused_at": row.last_refused_at,
        "refused_count": row.refused_count,
        "resolved_at": row.resolved_at,
        "dismissed_by": row.dismissed_by,
        "dismissed_because": row.dismissed_because,
    }
    return document if fetched is None else {**document, "fetched_at": fetched.get(row.payload_sha256 or "")}


def _line(row: Quarantined) -> dict[str, str]:
    fields = ", ".join(f"{name} {value}" for name, value in row.row.items())
    return {
        "row": str(row.quarantine_id),
        "source": row.source,
        "state": row.state,
        "times": str(row.refused_count),
        "first": f"{row.recorded_at:%F %T}Z",
        "last": f"{row.last_refused_at:%F %T}Z",
        "reason": one_line(row.reason),
        "fields": one_line(fields if len(fields) <= _SHOWN_CHARACTERS else f"{fields[:_SHOWN_CHARACTERS]} ..."),
    }


def _body(row: Quarantined, fetched: dict[str, datetime]) -> str:
    if row.payload_sha256 is None:
        return "none: the row was computed"
    at = fetched.get(row.payload_sha256)
    return f"{row.payload_sha256}, " + (f"fetched {at:%F %T}Z" if at else "no longer kept")


@contextmanager
def _connected(settings: Settings, role: Role) -> Iterator[tuple[Database, psycopg.Connection[Any]]]:
    from omc_infra.postgres.database import open_database

    with open_database(settings) as database, database.connect(role) as connection:
        yield database, connection
