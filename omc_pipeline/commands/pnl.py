"""``omc pnl``: profit and loss of a file, without a database, and the report of what the ledger holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import parse_utc
from omc_infra.errors import BadInputError
from omc_infra.terminal import open_console, say, say_exactly
from omc_pipeline.commands.pnl_ledger import exceptions, positions, resolve
from omc_pipeline.commands.pnl_reporting import reporting
from omc_pipeline.pnl.kernel.choice import ENGINES, Engine, EngineName
from omc_pipeline.pnl.policy import FEE_POLICIES, METHOD_NAMES, OVERSELL_POLICIES, Method

if TYPE_CHECKING:
    from omc_pipeline.pnl.document import Document, Format
    from omc_pipeline.pnl.report.document import Question, Report

Answer = TypeVar("Answer")
_FORMATS: Mapping[str, Format] = {".json": "json", ".csv": "csv"}
_WIDTH = 1000
"""Columns of a table that goes to a file or a pipe: none is cut."""

FORMS = ("table", "csv", "parquet", "html")
_FORM_OF_SUFFIX = {".csv": "csv", ".parquet": "parquet", ".html": "html", ".htm": "html"}


@click.group()
def pnl() -> None:
    """Compute and report profit and loss, exact to the last digit."""


for command in (positions, exceptions, resolve, reporting):
    pnl.add_command(command)


@pnl.command()
@click.option("--fills", "fills", required=True, help="Trades: a JSON list, a case file, or CSV with the same columns.")
@click.option("--method", type=click.Choice(METHOD_NAMES), help="How sells find their lots; default: the case file's, else fifo.")
@click.option("--fee-policy", type=click.Choice(FEE_POLICIES), help="Fees in cost and proceeds, or taken from the total.")
@click.option("--oversell-policy", type=click.Choice(OVERSELL_POLICIES), help="What becomes of units sold that were not held.")
@click.option("--prices", help="Prices of what is held: a JSON object or CSV of symbol and price.")
@click.option("--as-of", help="Leave out trades after this time; ISO 8601 with zone.")
@click.option("--quote", help="Currency of the prices; default: the file's own.")
@click.option("--engine", type=click.Choice(ENGINES), default="auto", help="What matches: Python integers or the compiled kernel.")
@json_option
def compute(fills: str, as_json: bool, **options: str | None) -> None:
    """Compute realized gains, matches and open lots of a file; no database is touched."""
    path = Path(fills)
    until = _instant(options["as_of"])
    prices = _given_prices(options["prices"])
    document = _description(path, lambda: _document(path))
    answer = _description(path, lambda: _answer(document, options, until, prices))
    if options["engine"] not in ("auto", answer["engine"]["name"]):
        say(f"omc: the {answer['engine']['name']} engine computed this: {answer['engine']['reason']}", err=True)
    if as_json:
        emit(answer)
    else:
        _print_answer(answer)


def _document(path: Path) -> Document:
    from omc_pipeline.pnl.document import read_document

    return read_document(_text(path), _FORMATS.get(path.suffix.lower()))


def _answer(
    document: Document, options: Mapping[str, str | None], until: datetime | None, prices: Mapping[str, Decimal] | None
) -> dict[str, Any]:
    from omc_infra.settings import load_settings
    from omc_pipeline.pnl.answer import answer
    from omc_pipeline.pnl.compute import compute as compute_trades
    from omc_pipeline.pnl.mark import mark_positions
    from omc_pipeline.pnl.reading import read_trades

    method = _choice("method", METHOD_NAMES, document, options)
    reading = read_trades(document, _choice("fee_policy", FEE_POLICIES, document, options), options["quote"])
    trades = [trade for trade in reading.trades if until is None or trade.time <= until]
    engine = Engine(cast("EngineName", options["engine"]), load_settings().home / "numba")
    positions = compute_trades(trades, method, _choice("oversell_policy", OVERSELL_POLICIES, document, options), engine=engine)
    known = _stated_prices(document) if prices is None else prices
    mark = None if known is None else mark_positions(positions, known)
    found = answer(positions, method, [*reading.exceptions, *(mark.exceptions if mark else ())], mark)
    return {**found, "engine": engine.document()}


def _choice(name: str, allowed: tuple[Any, ...], document: Document, options: Mapping[str, str | None]) -> Any:
    """Return an option, else what the file says, else the first allowed."""
    value = options[name] or document.header.get(name) or allowed[0]
    if value not in allowed:
        raise BadInputError(f"field {name!r}: {value!r} is none of {', '.join(allowed)}")
    return value


def _given_prices(name: str | None) -> Mapping[str, Decimal] | None:
    from omc_pipeline.pnl.reading import read_prices

    return None if name is None else _description(Path(name), lambda: read_prices(_price_rows(Path(name))))


def _stated_prices(document: Document) -> Mapping[str, Decimal] | None:
    """Return the price that a case file marks its one coin with, or None where it states none."""
    from omc_pipeline.pnl.reading import read_prices

    mark = document.header.get("mark")
    if not isinstance(mark, dict):
        return None
    symbols = {str(row.fields["symbol"]) for row in document.rows}
    return read_prices(dict.fromkeys(symbols, mark.get("price")))


def _price_rows(path: Path) -> Mapping[str, object]:
    from omc_pipeline.pnl.document import parse_json, price_table

    text = _text(path)
    if text.lstrip().startswith("{"):
        return cast("Mapping[str, object]", parse_json(text))
    return price_table(text)


def _text(path: Path) -> str:
    """Read a file of bounded size; of a pipe or a device no more than that is taken."""
    from omc_pipeline.pnl.encoding import MOST_BYTES, decoded, too_large

    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes > MOST_BYTES:
                raise too_large(size_bytes)
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise BadInputError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > MOST_BYTES:
        raise too_large()
    return decoded(content)


def _description(path: Path, read: Callable[[], Answer]) -> Answer:
    """Call, and put the file's name before a complaint about it."""
    try:
        return read()
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


def _instant(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_utc(text)
    except (ValueError, OverflowError) as error:
        raise BadInputError(f"--as-of: {error}") from error


def _print_answer(answer: Mapping[str, Any]) -> None:

    from omc_pipeline.pnl.table import tables

    console = open_console()
    for table in tables(answer):
        console.print(table)


@pnl.command()
@click.option("--user", help="Whose profit and loss; default: OMC_USER.")
@click.option(
    "--by", default="coin", help="Cut: coin, account, period, algorithm (who bought, who sold) or match (the lots behind every gain)."
)
@click.option("--period", default="month", help="Periods of the cut by period: hour, day, week (from Monday) or month.")
@click.option("--from", "since", help="Only what happened from then on, included: a day, or ISO 8601 with zone.")
@click.option("--to", "until", help="... and up to then, excluded.")
@click.option("--zone", default="UTC", help="Whose days, weeks and months: UTC, Australia/Sydney, ...")
@click.option(
    "--tax-year",
    type=click.IntRange(1970, 2200),
    help="Tax year of the user's tax zone, by the year it ends in; Australian ones with the 12-month discount.",
)
@click.option("--method", type=click.Choice(METHOD_NAMES), default="fifo", help="Which of the user's runs.")
@click.option("--currency", help="One that the user reports in, see `omc pnl reporting`; default: the user's default.")
@click.option("--format", "form", type=click.Choice(FORMS), help="Default: as the suffix of --out says, else table.")
@click.option("--out", help="File to write; else the report goes to stdout.")
@json_option
def report(user: str | None, method: Method, currency: str | None, form: str | None, out: str | None, as_json: bool, **asked: Any) -> None:
    """Show what a user gained and holds, from the database: table, CSV, Parquet, or an HTML tear sheet."""
    from omc_infra.postgres.database import open_database
    from omc_infra.settings import load_settings
    from omc_pipeline.positions.report import read_report

    target = None if out is None else Path(out)
    form = form or _FORM_OF_SUFFIX.get("" if target is None else target.suffix.lower(), "table")
    if form == "parquet" and target is None:
        raise BadInputError("Parquet is no text; name a file with --out")
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
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from omc_pipeline.pnl.report.document import Question
    from omc_pipeline.pnl.report.periods import Window

    try:
        zone = UTC if asked["zone"].upper() == "UTC" else ZoneInfo(asked["zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInputError(f"--zone: there is no zone {asked['zone']!r}; such as UTC or Australia/Sydney") from error
    window = Window(_bound("--from", asked["since"], zone), _bound("--to", asked["until"], zone))
    return Question(asked["by"], asked["period"], window, zone, asked["tax_year"])


def _bound(option: str, text: str | None, zone: tzinfo) -> datetime | None:
    """Read a bound: a day begins at its midnight in the zone, an instant says its own zone."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-31"):
            return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
        return parse_utc(text)
    except (ValueError, OverflowError) as error:
        raise BadInputError(f"{option}: {error}") from error


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
