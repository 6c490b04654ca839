"""``omc collect``: collect one source once, collect a range of its past, or show what its parser makes of a saved body."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from omc_infra.cli import emit, json_option, refuse
from omc_infra.clock import utc_now
from omc_infra.configuration import load_configuration
from omc_infra.errors import BadInputError, OmcError
from omc_infra.logs import redact
from omc_infra.payload import Payload
from omc_infra.settings import Settings, load_settings
from omc_infra.terminal import one_line, open_console, say

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database
    from omc_pipeline.collection.accounts import Account
    from omc_pipeline.collection.options import SourceConfig
    from omc_pipeline.collection.source import Parsed, Source
    from omc_pipeline.collection.tally import Collection
    from omc_pipeline.collection.window import Window

log = structlog.get_logger()
_SHOWN_ROWS = 40


@click.command(
    help="Collect SOURCE once into the ledgers. With --from, collect a range of past days in one run. With --payload, only parse a saved"
    " body and print its rows, without a database; exit code 2 if no row is valid.",
    epilog="Exit code 1: the upstream failed or refused, or its answer can't be read.",
)
@click.argument("source")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First past day to collect, UTC, such as 2026-10-01.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day, included. Default: today.")
@click.option("--user", help="User whose account is collected. Default: OMC_USER.")
@click.option("--account", help="Account to collect. Default: the user's first account of the source.")
@click.option("--payload", "file", type=click.Path(path_type=Path), help="A saved response body.")
@json_option
def collect(
    source: str,
    first: datetime | None,
    last: datetime | None,
    user: str | None,
    account: str | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Collect, or parse a file."""
    from omc_pipeline.collection.discovery import source_named

    found = source_named(source)
    if file is not None and (first or last):
        raise BadInputError("--payload parses a saved body; it can't be combined with --from or --to")
    if last and not first:
        raise BadInputError("--to needs --from, the first day")
    if file is not None:
        try:
            _parse_file(found, file, as_json)
        except OmcError as error:  # a saved body is input, whatever is wrong with it
            refuse(error)
    else:
        _collect(found, load_settings(), _window(first, last), (user, account), as_json)


def _window(first: datetime | None, last: datetime | None) -> Window | None:
    from omc_pipeline.collection.window import Window

    return Window.of_days(first.date(), (last or utc_now()).date()) if first else None


def _collect(source: Source, settings: Settings, window: Window | None, whose: tuple[str | None, str | None], as_json: bool) -> None:
    from contextlib import ExitStack

    from omc_infra.postgres.database import open_database
    from omc_pipeline.collection.collecting import collect as collect_source
    from omc_pipeline.collection.equipment import require_some_keys, source_account
    from omc_pipeline.collection.history import collect_history, readable_history
    from omc_pipeline.collection.sections import configured_options

    require_some_keys(source, settings)  # a missing key, or a past that can't be read, is told before a database is started
    if window is not None:
        readable_history(source, window)
    config = configured_options(source, load_configuration())
    with ExitStack() as stack:
        database = stack.enter_context(open_database(settings))
        account = source_account(source, database, settings, *whose)
        if settings.profile == "sandbox":
            from omc_pipeline.sandbox import serving

            settings = settings.model_copy(update={"sandbox_url": stack.enter_context(serving(settings))})
        if window is None:
            collection = collect_source(source, database, settings, config=config, account=account)
        else:
            collection = collect_history(source, database, settings, window, config=config, account=account)
        _report(source, database, collection, config, account if window is None else window)
    show_collection(collection, settings, as_json)


def _report(source: Source, database: Database, collection: Collection, config: SourceConfig, what: Account | Window | None) -> None:
    """Tell Dagster's catalog, where there is one; what is collected is collected, whatever becomes of that."""
    from omc_infra.runs.instance import open_catalog

    try:
        with open_catalog(database) as catalog:
            if catalog is not None:
                from omc_pipeline.collection.window import Window
                from omc_pipeline.orchestration.catalog import report_collection, report_history

                if isinstance(what, Window):
                    report_history(catalog, database, source, collection, config, what)
                else:
                    report_collection(catalog, database, source, collection, config, what)
    except Exception as error:  # noqa: BLE001 Dagster's boundary: what its storage raises has no common base; the rows are in
        log.warning("the collection is not in Dagster's catalog", source=source.name, reason=redact(f"{type(error).__name__}: {error}"))


def collection_document(collection: Collection, settings: Settings) -> dict[str, Any]:
    """Return what a collection or a replay did, as ``--json`` prints it."""
    tables = {name: dataclasses.asdict(appended) for name, appended in collection.tables.items()}
    return {"profile": settings.profile, **dataclasses.asdict(collection), "tables": tables, "rows": collection.rows}


def show_collection(collection: Collection, settings: Settings, as_json: bool) -> None:
    """Print what a collection or a replay did."""
    if as_json:
        emit(collection_document(collection, settings))
        return
    from rich.table import Table

    table = Table("table", "inserted", "changed", "unchanged", title=f"{collection.source} · {settings.profile}", title_justify="left")
    for name, appended in collection.tables.items():
        table.add_row(name, str(appended.inserted), str(appended.changed), str(appended.unchanged))
    console = open_console()
    console.print(table)
    console.print(
        f"{_counted(collection.payloads, 'payload')}, {_counted(collection.quarantined, 'row')} in quarantine, "
        f"{_counted(collection.resolved, 'row')} released from quarantine"
    )
    if collection.observed_from and collection.observed_to:
        console.print(f"from {collection.observed_from:%Y-%m-%d %H:%M:%S} to {collection.observed_to:%Y-%m-%d %H:%M:%S} UTC")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _parse_file(source: Source, file: Path, as_json: bool) -> None:
    from omc_pipeline.collection.parsing import parse_payload
    from omc_pipeline.collection.sections import configured_options
    from omc_pipeline.collection.tally import all_refused

    payload = _saved(source, file)
    parsed = parse_payload(source, payload, configured_options(source, load_configuration()))
    reasons = [rejected.reason for rejected in parsed.rejected]
    failure = all_refused(source, reasons, _refused(parsed)) if reasons and not parsed.rows else None
    if as_json:
        emit(
            {
                "source": source.name,
                "rows": [_document(row) for row in parsed.rows],
                "quarantined": [{"reason": rejected.reason, "row": rejected.row} for rejected in parsed.rejected],
                "payload_sha256": payload.sha256,
                **(failure.as_document() if failure else {}),
            }
        )
    else:
        _show_parsed(source, parsed)
    if failure is not None:
        say(f"omc: {one_line(redact(str(failure)))}", err=True)
        raise click.exceptions.Exit(2)


def _refused(parsed: Parsed) -> int:
    """Return how many rows were refused, those that are only counted included."""
    return sum(rejected.count for rejected in parsed.rejected)


def _saved(source: Source, file: Path) -> Payload:
    """Read a saved body; the time the file was written stands for the time it was fetched, so that the same file gives the same rows."""
    from omc_pipeline.collection.body import MAX_BODY_BYTES

    try:
        with file.open("rb") as saved:
            body = saved.read(MAX_BODY_BYTES + 1)
        written = file.stat().st_mtime
    except OSError as error:
        raise BadInputError(f"--payload {file}: {error.strerror or error}") from error
    body = source.scrub(body) if source.scrub else body
    return Payload(source.name, body, datetime.fromtimestamp(int(written), UTC), f"file:{file.name}")


def _document(row: Any) -> Mapping[str, Any]:
    return {name: getattr(row, name) for name in row.table.fields}


def _show_parsed(source: Source, parsed: Parsed) -> None:
    from omc_infra.tables import print_rows

    console = open_console()
    for ledger_table in source.tables:
        rows = [row for row in parsed.rows if row.table is ledger_table]
        if not rows:
            continue
        shown = [{name: "" if value is None else str(value) for name, value in _document(row).items()} for row in rows[:_SHOWN_ROWS]]
        print_rows(console, shown, f"{ledger_table.qualified} · {len(rows)} rows")
        if len(rows) > _SHOWN_ROWS:
            console.print(f"and {len(rows) - _SHOWN_ROWS} more; --json prints all")
    console.print(f"{source.name}: {len(parsed.rows)} rows, {_refused(parsed):,} refused")
    for rejected in parsed.rejected[:_SHOWN_ROWS]:
        console.print(f"  refused: {rejected.reason}: {dict(rejected.row)}")
