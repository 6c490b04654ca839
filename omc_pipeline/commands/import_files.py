"""``omc import``: exports of venues, wallets and tools into the exchange ledger, after a preview; what was imported, and one taken back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError
from omc_infra.person import by_option
from omc_infra.settings import load_settings
from omc_infra.terminal import open_console, say, say_exactly
from omc_pipeline.commands.accounts import user_option, writing
from omc_pipeline.commands.coin_names import coin_option, names_of, user_registry

if TYPE_CHECKING:
    from omc_pipeline.imports.reading import Asked, FileReading
    from omc_pipeline.imports.storing import Stored


class _FilesFirst(click.Group):
    """A group whose arguments are files, unless the first is one of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command ``files`` before arguments that name no command."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["files", *args]
        return super().parse_args(ctx, args)


@click.group(name="import", cls=_FilesFirst, help="Import exports of venues and tools: omc import FILE...; list imports, undo one.")
def import_files() -> None:
    """Group the commands of imports."""


@import_files.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--account", help="Account that the files are of; default: the user's only one at their venue, or a new one there.")
@user_option
@click.option("--yes", is_flag=True, help="Write the fills; without, only what would be written is shown.")
@click.option("--formats", is_flag=True, help="List the formats that are known.")
@click.option("--format", "form", help="Read by this format, whatever the header looks like.")
@click.option("--suggest", is_flag=True, help="Print a first mapping file for a table of an unknown format.")
@click.option("--map", "mapping", type=click.Path(path_type=Path), help="A TOML file that says what each column means.")
@click.option("--file-zone", help="Zone of times that a file states without one: UTC, Australia/Sydney, ...")
@click.option("--decimal", type=click.Choice(["point", "comma"]), help="What separates decimals, where a file can be read in two ways.")
@click.option("--ignore", "ignored", multiple=True, help="A column that has no part in any sum; may be given often.")
@click.option("--quote", default="", help="Currency of the prices, where no column says it.")
@coin_option
@by_option
@json_option
def files(paths: tuple[Path, ...], as_json: bool, formats: bool, suggest: bool, **options: Any) -> None:
    """Show what files hold, and with --yes write it into the exchange ledger; twice adds nothing."""
    from omc_pipeline.imports.reading import Asked

    if formats:
        _show_formats(as_json)
        return
    if not paths:
        raise BadInputError("name a file, or see --formats")
    if suggest:
        _suggest(paths[0], as_json)
        return
    asked = Asked(
        options["form"],
        options["file_zone"],
        options["decimal"],
        options["ignored"],
        names=names_of(options["coins"]),
        quote=options["quote"],
    )
    document = _imported(paths, asked, options)
    if as_json:
        emit(document)
    else:
        _show(document)


@import_files.command(name="list")
@user_option
@json_option
def list_imports(user: str | None, as_json: bool) -> None:
    """List the files that were imported, also those that were undone."""
    from omc_infra.postgres.database import open_database
    from omc_infra.tables import print_rows
    from omc_pipeline.imports.history import imports

    settings = load_settings()
    whose = user or settings.user
    with open_database(settings) as database, database.connect("reader") as connection:
        rows = [dataclasses.asdict(one) for one in imports(connection, whose)]
    if as_json:
        emit({"profile": settings.profile, "user": whose, "imports": rows})
        return
    shown = ("import_id", "name", "format", "fills_new", "fills_known", "imported_at", "imported_by", "undone_at")
    cells = [{name: str(row[name] if row[name] is not None else "") for name in shown} for row in rows]
    print_rows(open_console(), cells, f"imports of {whose} · {settings.profile}")


@import_files.command()
@click.argument("import_id", type=click.IntRange(1, 2**63 - 1))
@user_option
@click.option("--reason", default="", help="Why, for the record.")
@by_option
@json_option
def undo(import_id: int, user: str | None, reason: str, by: str, as_json: bool) -> None:
    """Take the fills of one import out of the ledger again; those that another import holds too stay."""
    from omc_pipeline.imports.history import undo_import

    settings = load_settings()
    with writing(settings, "owner") as (_, connection):
        counts = undo_import(connection, user or settings.user, import_id, by, reason, user_registry())
    if as_json:
        emit(
            {"import": import_id, "erased": {table: count for table, count in counts.items() if table != "again"}, "again": counts["again"]}
        )
    else:
        say(
            f"import {import_id} undone: {counts.get('exchange.fill', 0):,} fills left the ledger,"
            f" {counts['again']:,} came back from other files"
        )


def _imported(paths: Sequence[Path], asked: Asked, options: Mapping[str, Any]) -> dict[str, Any]:
    from omc_infra.clock import utc_now
    from omc_pipeline.imports.files import content_of, read_files, with_mapping
    from omc_pipeline.imports.settling import describe
    from omc_pipeline.imports.storing import kept_body, store, without_history

    settings = load_settings()
    whose = options["user"] or settings.user
    readings = [without_history(reading) for reading in read_files(paths, with_mapping(asked, options["mapping"]))]
    said = {
        "format": asked.format, "zone": asked.zone, "mark": asked.mark, "ignored": list(asked.ignored), "account": options["account"],
        "coins": dict(asked.names.chosen), "quote": asked.quote,
        "mapping": None if options["mapping"] is None else content_of(options["mapping"]).decode("utf-8-sig"),
    }  # fmt: skip
    shown = []
    with writing(settings) as (_, connection):
        for path, reading in zip(paths, readings, strict=True):
            payload = kept_body(connection, reading, whose, content_of(path), path.name, utc_now()) if options["yes"] else None
            with connection.transaction(force_rollback=not options["yes"]):
                done = store(connection, reading, whose, options["account"], payload, name=path.name, options=said, by=options["by"])
            shown.append({"file": str(path), **describe(reading), **_outcome(done, reading)})
    return {"profile": settings.profile, "user": whose, "written": options["yes"], "files": shown}


def _outcome(done: Stored, reading: FileReading) -> dict[str, Any]:
    from omc_pipeline.pnl.answer import exception_row

    return {
        "import": done.import_id, "accounts": list(done.accounts), "new": done.new, "known": done.known, "paired": done.paired,
        "to_decide": done.proposed, "unpaired": done.unpaired, "transfers": done.transfers,
        "exceptions": [exception_row(row) for row in reading.notes.exceptions],
    }  # fmt: skip


def _show(document: Mapping[str, Any]) -> None:
    for file in document["files"]:
        say(f"{file['file']}: {file['title']} ({file['format']}), {file['rows']:,} rows, account {', '.join(file['accounts']) or '-'}")
        say(f"  {file['from'] or '-'} to {file['to'] or '-'}" + (f"; zone {file['zone']}" if file["zone"] else ""))
        say("  " + (", ".join(f"{count:,} {kind}" for kind, count in file["kinds"].items()) or "no fills"))
        for reason, count in file["passed"].items():
            say(f"  passed over: {count:,} × {reason}")
        for line in file["assumed"]:
            say(f"  taken to be so: {line}")
        for row in file["exceptions"]:
            say(f"  not clear: {row['message']}")
        verb = "written" if document["written"] else "would be written"
        say(f"  {file['new']:,} fills {verb}, {file['known']:,} known already, {file['paired']:,} of them told by another source, too")
        if file["to_decide"]:
            say(f"  {file['to_decide']:,} may be another source's; decide with `omc accounts pairs`")
        if file["transfers"]:
            say(f"  {file['transfers']:,} transfers between own accounts: what left one came to another")
        if file["unpaired"]:
            say(
                f"  {file['unpaired']:,} trades lie within the time of another source of the account, which does not have them; they count."
                " If that source tells them otherwise, such as several as one, they count twice: undo one of the imports"
            )
    if document["written"]:
        say("profit and loss follows with its next run: `omc pnl positions`")
    else:
        say("nothing is written; add --yes to write it")


def _show_formats(as_json: bool) -> None:
    from omc_infra.tables import print_rows
    from omc_pipeline.imports.discovery import discover_formats

    rows = [
        {"name": one.name, "title": one.title, "zone": one.zone or "--file-zone", "shape": one.shape, "link": one.link}
        for one in discover_formats().values()
    ]
    if as_json:
        emit({"formats": rows})
    else:
        print_rows(open_console(), rows, "formats of omc import; any other table by --map")


def _suggest(path: Path, as_json: bool) -> None:
    from omc_pipeline.imports.files import content_of
    from omc_pipeline.imports.mapping import suggested
    from omc_pipeline.imports.text import text_of, widest_header

    titles = widest_header(text_of(content_of(path))[0])
    text = suggested(titles)
    if as_json:
        emit({"file": str(path), "titles": list(titles), "mapping": text})
    else:
        say_exactly(text)
