"""``omc pnl``: profit and loss of a file, without a database, and the report of what the ledger holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import parse_utc
from omc_infra.errors import BadInputError
from omc_pipeline.pnl.policy import FEE_POLICIES, METHOD_NAMES, OVERSELL_POLICIES, Method

if TYPE_CHECKING:
    from omc_pipeline.pnl.document import Document, Format

Answer = TypeVar("Answer")
_FORMATS: Mapping[str, Format] = {".json": "json", ".csv": "csv"}


@click.group()
def pnl() -> None:
    """Compute and report profit and loss, exact to the last digit."""


@pnl.command()
@click.option("--fills", "fills", required=True, help="Trades: a JSON list, a case file, or CSV with the same columns.")
@click.option("--method", type=click.Choice(METHOD_NAMES), help="How sells find their lots; default: the case file's, else fifo.")
@click.option("--fee-policy", type=click.Choice(FEE_POLICIES), help="Fees in cost and proceeds, or taken from the total.")
@click.option("--oversell-policy", type=click.Choice(OVERSELL_POLICIES), help="What becomes of units sold that were not held.")
@click.option("--prices", help="Prices of what is held: a JSON object or CSV of symbol and price.")
@click.option("--as-of", help="Leave out trades after this time; ISO 8601 with zone.")
@click.option("--quote", help="Currency of the prices; default: the file's own.")
@json_option
def compute(fills: str, as_json: bool, **options: str | None) -> None:
    """Compute realized gains, matches and open lots of a file; no database is touched."""
    path = Path(fills)
    until = _instant(options["as_of"])
    prices = _given_prices(options["prices"])
    document = _told(path, lambda: _document(path))
    answer = _told(path, lambda: _answer(document, options, until, prices))
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
    from omc_pipeline.pnl.answer import answer
    from omc_pipeline.pnl.compute import compute as compute_trades
    from omc_pipeline.pnl.mark import mark_positions
    from omc_pipeline.pnl.reading import read_trades

    method = _choice("method", METHOD_NAMES, document, options)
    reading = read_trades(document, _choice("fee_policy", FEE_POLICIES, document, options), options["quote"])
    trades = [trade for trade in reading.trades if until is None or trade.time <= until]
    positions = compute_trades(trades, method, _choice("oversell_policy", OVERSELL_POLICIES, document, options))
    known = _stated_prices(document) if prices is None else prices
    mark = None if known is None else mark_positions(positions, known)
    return answer(positions, method, [*reading.exceptions, *(mark.exceptions if mark else ())], mark)


def _choice(name: str, allowed: tuple[Any, ...], document: Document, options: Mapping[str, str | None]) -> Any:
    """Answer an option, else what the file says, else the first allowed."""
    value = options[name] or document.header.get(name) or allowed[0]
    if value not in allowed:
        raise BadInputError(f"field {name!r}: {value!r} is none of {', '.join(allowed)}")
    return value


def _given_prices(name: str | None) -> Mapping[str, Decimal] | None:
    from omc_pipeline.pnl.reading import read_prices

    return None if name is None else _told(Path(name), lambda: read_prices(_price_rows(Path(name))))


def _stated_prices(document: Document) -> Mapping[str, Decimal] | None:
    """Answer the price that a case file marks its one coin with, or None where it states none."""
    from omc_pipeline.pnl.reading import read_prices

    mark = document.header.get("mark")
    if not isinstance(mark, dict):
        return None
    symbols = {str(row.fields["symbol"]) for row in document.rows}
    return read_prices(dict.fromkeys(symbols, mark.get("price")))


def _price_rows(path: Path) -> Mapping[str, object]:
    import csv

    from omc_pipeline.pnl.document import parse_json

    text = _text(path)
    if not text.lstrip().startswith("{"):
        rows = [row for row in csv.reader(text.splitlines()) if row]
        if not all(len(row) == 2 for row in rows):
            raise BadInputError("prices are a JSON object of symbol to price, or CSV of two columns: symbol, price")
        return {symbol.strip(): price for symbol, price in rows if symbol.strip().lower() != "symbol"}
    return cast("Mapping[str, object]", parse_json(text))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError("not text in UTF-8") from error
    except (OSError, ValueError) as error:
        raise BadInputError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _told(path: Path, read: Callable[[], Answer]) -> Answer:
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
    from rich.console import Console

    from omc_pipeline.pnl.table import tables

    console = Console()
    for table in tables(answer):
        console.print(table)


@pnl.command()
@click.option("--user", help="Whose profit and loss; default: OMC_USER.")
@click.option("--by", default="coin", help="Cut: coin or period (calendar month of the sale, UTC).")
@click.option("--method", type=click.Choice(METHOD_NAMES), default="fifo", help="Which of the user's runs.")
@click.option("--currency", help="Which positions, where they are in several currencies.")
@json_option
def report(user: str | None, by: str, method: Method, currency: str | None, as_json: bool) -> None:
    """Show what a user gained and holds, from the database."""
    from omc_infra.postgres.database import open_database
    from omc_infra.settings import load_settings
    from omc_pipeline.positions.report import report as read_report

    settings = load_settings()
    with open_database(settings) as database:
        answer = read_report(database, user or settings.user, by, method, currency)
    if as_json:
        emit(answer)
    else:
        _print_report(answer)


def _print_report(answer: Mapping[str, Any]) -> None:
    from rich.console import Console

    from omc_pipeline.pnl.table import table

    console = Console()
    title = f"{answer['user']}: profit and loss by {answer['by']}, {answer['method']}, {answer['currency']}"
    for name, rows in ((title, answer["rows"]), ("Totals", [answer["totals"]]), ("Exceptions", answer["exceptions"])):
        if rows:
            console.print(table(name, rows))
