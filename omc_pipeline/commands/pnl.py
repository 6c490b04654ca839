"""``omc pnl``: profit and loss of a file, without a database, and the report of what the ledger holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError
from omc_infra.terminal import open_console, say, say_exactly
from omc_pipeline.commands.pnl_compute import compute
from omc_pipeline.commands.pnl_ledger import exceptions, positions, resolve
from omc_pipeline.commands.pnl_reporting import reporting
from omc_pipeline.commands.pnl_zone import bound_of, zone_of
from omc_pipeline.pnl.policy import LEDGER_METHODS, Method

if TYPE_CHECKING:
    from omc_pipeline.pnl.report.document import Question, Report

_WIDTH = 1000
"""Columns of a table that goes to a file or a pipe: none is cut."""

FORMS = ("table", "csv", "parquet", "html")
_FORM_OF_SUFFIX = {".csv": "csv", ".parquet": "parquet", ".html": "html", ".htm": "html"}


@click.group()
def pnl() -> None:
    """Compute and report profit and loss, exact to the last digit."""


for command in (compute, positions, exceptions, resolve, reporting):
    pnl.add_command(command)


@pnl.command()
@click.option("--user", help="User. Default: OMC_USER.")
@click.option(
    "--by",
    default="coin",
    help="Group the result by coin, account, period, algorithm (that bought and that sold) or match (the lots of each gain).",
)
@click.option("--period", default="month", help="Length of a period with --by period: hour, day, week (from Monday) or month.")
@click.option("--from", "since", help="Start of the range, included: a day, or an ISO 8601 time with zone.")
@click.option("--to", "until", help="End of the range, excluded.")
@click.option("--zone", default="UTC", help="Time zone of days, weeks and months: UTC, Australia/Sydney, ...")
@click.option(
    "--tax-year",
    type=click.IntRange(1970, 2200),
    help="Tax year of the user's tax zone, by the year in which it ends. Australian tax years include the 12-month discount.",
)
@click.option("--method", type=click.Choice(LEDGER_METHODS), default="fifo", help="Method of the positions to report.")
@click.option("--currency", help="Reporting currency of the user, see `omc pnl reporting`. Default: the user's default.")
@click.option("--format", "form", type=click.Choice(FORMS), help="Format. Default: the format of the suffix of --out, else table.")
@click.option("--out", help="File to write. Default: stdout.")
@json_option
def report(user: str | None, method: Method, currency: str | None, form: str | None, out: str | None, as_json: bool, **asked: Any) -> None:
    """Show a user's gains and holdings as a table, CSV, Parquet or an HTML report."""
    from omc_infra.postgres.database import open_database
    from omc_infra.settings import load_settings
    from omc_pipeline.positions.report import read_report

    target = None if out is None else Path(out)
    form = form or _FORM_OF_SUFFIX.get("" if target is None else target.suffix.lower(), "table")
    if form == "parquet" and target is None:
        raise BadInputError("Parquet is a binary format; choose a file with --out")
    question = _question(asked)
    settings = load_settings()
    with open_database(settings) as database:
        found = read_report(database, user or settings.user, question, method, currency)
    if target is not None:
        written = _written(target, _content(found, form))
        rows = len(found.document["rows"])
        if as_json:
            emit({"file": str(target), "format": form, "rows": rows, "size_bytes": written})
        else:
            say(f"{target}: {form}, {rows} rows, {written:,} bytes", err=True)
    elif as_json:
        emit(found.document)
    else:
        say_exactly(_content(found, form).decode())


def _question(asked: Mapping[str, Any]) -> Question:
    from omc_pipeline.pnl.report.document import Question
    from omc_pipeline.pnl.report.periods import Window

    zone = zone_of("--zone", asked["zone"])
    window = Window(bound_of("--from", asked["since"], zone), bound_of("--to", asked["until"], zone))
    return Question(asked["by"], asked["period"], window, zone, asked["tax_year"])


def _content(found: Report, form: str) -> bytes:
    from omc_pipeline.pnl.report.export import as_csv, as_parquet
    from omc_pipeline.pnl.report.sheet import tear_sheet

    if form == "csv":
        return as_csv(found.document).encode()
    if form == "parquet":
        return as_parquet(found.document)
    if form == "html":
        return tear_sheet(found).encode()
    return _report_tables(found.document).encode()


def _written(target: Path, content: bytes) -> int:
    """Write a file whole or not at all, and answer its size."""
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(target)
    except OSError as error:
        with suppress(OSError):  # below what is no folder, there is nothing to take away either
            beside.unlink(missing_ok=True)
        raise BadInputError(f"--out {target}: cannot be written: {error.strerror}") from error
    return len(content)


def _report_tables(document: Mapping[str, Any]) -> str:

    from omc_pipeline.pnl.table import report_tables

    console = open_console()
    if not console.is_terminal:
        console = open_console(width=_WIDTH)
    with console.capture() as captured:
        for table in report_tables(document):
            console.print(table)
    return captured.get()
