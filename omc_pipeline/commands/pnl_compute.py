"""``omc pnl compute``: profit and loss of files, without a database."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import parse_utc
from omc_infra.errors import BadInputError
from omc_infra.terminal import open_console, say
from omc_pipeline.commands.coin_names import coin_option, names_of
from omc_pipeline.commands.pnl_zone import bound_of, zone_of
from omc_pipeline.pnl.kernel.choice import ENGINES, Engine, EngineName
from omc_pipeline.pnl.policy import FEE_POLICIES, METHOD_NAMES, OVERSELL_POLICIES, FeePolicy

if TYPE_CHECKING:
    from omc_pipeline.pnl.document import Document, Format
    from omc_pipeline.pnl.report.periods import Window
    from omc_pipeline.pnl.result import PnlException
    from omc_pipeline.pnl.trade import Trade

Answer = TypeVar("Answer")
_FORMATS: Mapping[str, Format] = {".json": "json", ".csv": "csv"}
_ZONES = {"uk": "Europe/London", "ca": "America/Toronto"}
"""Whose days count where a method is that of a country and ``--zone`` names no other."""
_MOST_ROWS = 200
"""Matches that a terminal is given; of more it is given sums, unless ``--matches`` asks for all."""


class _Input(NamedTuple):
    """What the files hold: trades, their currency, findings, what was taken to be so, and what a case file says of all of them."""

    trades: Sequence[Trade]
    currency: str
    exceptions: Sequence[PnlException]
    assumed: Sequence[str]
    files: Sequence[Mapping[str, Any]]
    document: Document | None


@click.command()
@click.option(
    "--fills", "fills", required=True, multiple=True, help="Trades: a JSON list, a case file, CSV, or a venue's export; may be given often."
)
@click.option("--method", type=click.Choice(METHOD_NAMES), help="How sells find their lots; default: the case file's, else fifo.")
@click.option("--fee-policy", type=click.Choice(FEE_POLICIES), help="Fees in cost and proceeds, or taken from the total.")
@click.option("--oversell-policy", type=click.Choice(OVERSELL_POLICIES), help="What becomes of units sold that were not held.")
@click.option("--prices", help="Prices of what is held: a JSON object or CSV of symbol and price.")
@click.option("--as-of", help="Leave out trades after this time; ISO 8601 with zone.")
@click.option("--from", "since", help="Only gains from then on, included: a day, or ISO 8601 with zone. The matching looks at all trades.")
@click.option("--to", "until", help="... and up to then, excluded.")
@click.option("--tax-year", type=click.IntRange(1970, 2200), help="Only gains of the tax year of the zone, by the year it ends in.")
@click.option("--zone", help="Whose days count; default: Europe/London for uk, America/Toronto for ca, else UTC.")
@click.option("--quote", help="Currency of the prices; default: the file's own.")
@click.option("--file-zone", help="Zone of times that a file states without one: UTC, Australia/Sydney, ...")
@click.option("--decimal", type=click.Choice(["point", "comma"]), help="What separates decimals, where a file can be read in two ways.")
@click.option("--ignore", "ignored", multiple=True, help="A column that has no part in any sum; may be given often.")
@coin_option
@click.option("--map", "mapping", type=click.Path(path_type=Path), help="A TOML file that says what each column means.")
@click.option("--matches", is_flag=True, help="Print every match, however many.")
@click.option("--out", type=click.Path(path_type=Path), help="File for the matches as CSV.")
@click.option("--engine", type=click.Choice(ENGINES), default="auto", help="What matches: Python integers or the compiled kernel.")
@json_option
def compute(fills: tuple[str, ...], as_json: bool, matches: bool, out: Path | None, **options: Any) -> None:
    """Compute realized gains, matches and open lots of files; no database is touched."""
    until = _instant(options["as_of"])
    prices = _given_prices(options["prices"])
    found = _read([Path(name) for name in fills], options)
    is_whole = as_json or matches or out is not None
    answer = _description(Path(fills[0]), lambda: _answer(found, options, until, prices, is_whole=is_whole))
    if options["engine"] not in ("auto", answer["engine"]["name"]):
        say(f"omc: the {answer['engine']['name']} engine computed this: {answer['engine']['reason']}", err=True)
    if out is not None:
        _write_matches(out, answer)
    if as_json:
        emit(answer)
    else:
        _print_answer(answer, every=matches)


def _read(paths: Sequence[Path], options: Mapping[str, Any]) -> _Input:
    """Read one file of trades, or one or more exports."""
    from omc_pipeline.imports.reading import is_foreign

    policy = cast("FeePolicy", options["fee_policy"] or FEE_POLICIES[0])
    if options["mapping"] is not None or len(paths) > 1:
        return _exports(paths, policy, options)
    path = paths[0]
    content = _description(path, lambda: _content(path))
    if _description(path, lambda: is_foreign(content)):
        return _exports(paths, policy, options)
    if options["coins"]:
        raise BadInputError(f"--coin: {path} states symbols of its own; --coin is for exports of venues and tools, and with --map")
    return _description(path, lambda: _own(path, content, options))


def _exports(paths: Sequence[Path], policy: FeePolicy, options: Mapping[str, Any]) -> _Input:
    from omc_pipeline.imports.files import read_files, with_mapping
    from omc_pipeline.imports.reading import Asked
    from omc_pipeline.imports.settling import describe, settled

    said = options["file_zone"], options["decimal"], options["ignored"]
    asked = Asked(None, *said, names=names_of(options["coins"]), quote=options["quote"] or "")
    readings = read_files(paths, with_mapping(asked, options["mapping"]))
    done = settled(readings, policy, options["quote"])
    files = [{"file": str(path), **describe(reading)} for path, reading in zip(paths, readings, strict=True)]
    return _Input(done.trades, done.currency, done.exceptions, done.assumed, files, None)


def _own(path: Path, content: bytes, options: Mapping[str, Any]) -> _Input:
    from omc_pipeline.pnl.document import read_document
    from omc_pipeline.pnl.encoding import decoded
    from omc_pipeline.pnl.reading import read_trades

    document = read_document(decoded(content), _FORMATS.get(path.suffix.lower()))
    policy = _choice("fee_policy", FEE_POLICIES, document, options)
    reading = read_trades(document, policy, options["quote"], options["ignored"])
    return _Input(reading.trades, reading.currency, reading.exceptions, reading.assumed, (), document)


def _answer(
    found: _Input, options: Mapping[str, Any], until: datetime | None, prices: Mapping[str, Decimal] | None, *, is_whole: bool
) -> dict[str, Any]:
    from omc_infra.settings import load_settings
    from omc_pipeline.pnl.answer import answer
    from omc_pipeline.pnl.by_year import gains_by_year, holdings
    from omc_pipeline.pnl.compute import compute as compute_trades
    from omc_pipeline.pnl.mark import mark_positions
    from omc_pipeline.pnl.mends import mends_of
    from omc_pipeline.pnl.period import within
    from omc_pipeline.pnl.sequence import as_holdings_allow

    method = _choice("method", METHOD_NAMES, found.document, options)
    policy = _choice("oversell_policy", OVERSELL_POLICIES, found.document, options)
    zone_name = options["zone"] or _ZONES.get(method, "UTC")
    window = _window(options, zone_name)
    trades = [trade for trade in found.trades if until is None or trade.time <= until]
    ties: Sequence[str] = ()
    if policy != "short":
        trades, ties = as_holdings_allow(trades)
    engine = Engine(cast("EngineName", options["engine"]), load_settings().home / "numba")
    beside: list[PnlException] = []
    positions = compute_trades(trades, method, policy, engine=engine, zone=zone_of("--zone", zone_name), exceptions=beside)
    if window is not None:
        positions = within(positions, trades, window)
    known = _stated_prices(found.document) if prices is None else prices
    mark = None if known is None else mark_positions(positions, known)
    rows = sum(len(position.matching.matches) for position in positions)
    is_long = rows > _MOST_ROWS
    findings = [*found.exceptions, *beside, *(mark.exceptions if mark else ())]
    given = answer(positions, method, findings, mark, is_short=is_long and not is_whole)
    document = {**given, "engine": engine.document()}
    if document["exceptions"]:
        document["mends"] = mends_of(row["kind"] for row in document["exceptions"])
    if is_long:
        by_year, held = gains_by_year(positions, zone_of("--zone", zone_name)), holdings(positions)
        document |= {"match_count": rows, "by_year": by_year, "held": held}
    if found.assumed or ties:
        document["assumed"] = [*found.assumed, *ties]
    if found.files:
        document |= {"currency": found.currency, "files": list(found.files)}
    if window is not None:
        bounds = {"from": window.start and window.start.isoformat(), "to": window.end and window.end.isoformat()}
        document["period"] = {**bounds, "zone": zone_name, "open_lots": "at the end of all trades"}
    return document


def _choice(name: str, allowed: tuple[Any, ...], document: Document | None, options: Mapping[str, Any]) -> Any:
    """Return an option, else what the file says, else the first allowed."""
    value = options[name] or (document.header.get(name) if document else None) or allowed[0]
    if value not in allowed:
        raise BadInputError(f"field {name!r}: {value!r} is none of {', '.join(allowed)}")
    return value


def _window(options: Mapping[str, Any], zone_name: str) -> Window | None:
    from omc_pipeline.pnl.report.periods import Window
    from omc_pipeline.pnl.report.tax_calendar import TaxCalendar

    if options["tax_year"] is not None:
        if options["since"] or options["until"]:
            raise BadInputError("--tax-year has its own bounds; leave out --from and --to")
        return TaxCalendar(zone_name).window(options["tax_year"])
    if not (options["since"] or options["until"]):
        return None
    zone = zone_of("--zone", zone_name)
    return Window(bound_of("--from", options["since"], zone), bound_of("--to", options["until"], zone))


def _given_prices(name: str | None) -> Mapping[str, Decimal] | None:
    from omc_pipeline.pnl.reading import read_prices

    return None if name is None else _description(Path(name), lambda: read_prices(_price_rows(Path(name))))


def _stated_prices(document: Document | None) -> Mapping[str, Decimal] | None:
    """Return the price that a case file marks its one coin with, or None where it states none."""
    from omc_pipeline.pnl.reading import read_prices

    mark = document.header.get("mark") if document else None
    if document is None or not isinstance(mark, dict):
        return None
    symbols = {str(row.fields["symbol"]) for row in document.rows}
    return read_prices(dict.fromkeys(symbols, mark.get("price")))


def _price_rows(path: Path) -> Mapping[str, object]:
    from omc_pipeline.pnl.document import parse_json, price_table
    from omc_pipeline.pnl.encoding import decoded

    text = decoded(_content(path))
    if text.lstrip().startswith("{"):
        return cast("Mapping[str, object]", parse_json(text))
    return price_table(text)


def _content(path: Path) -> bytes:
    """Read a file of bounded size; of a pipe or a device no more than that is taken."""
    from omc_pipeline.pnl.encoding import MOST_BYTES, too_large

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
    return content


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


def _print_answer(answer: Mapping[str, Any], *, every: bool) -> None:
    from omc_pipeline.pnl.table import tables

    is_long = "by_year" in answer and not every
    shown = {**answer, "matches": [], "realized": [], "open_lots": []} if is_long else {**answer, "by_year": (), "held": ()}
    console = open_console()
    for table in tables(shown):
        console.print(table)
    for kind, steps in answer.get("mends", {}).items():
        for step in steps:
            say(f"to mend {kind.replace('_', ' ')}: {step}")
    for file in answer.get("files", ()):
        for reason, count in file["passed"].items():
            say(f"passed over: {count:,} × {reason}")
    for line in answer.get("assumed", ()):
        say(f"taken to be so: {line}")
    if is_long:
        say(f"{answer['match_count']:,} matches; --matches prints them, --out FILE.csv writes them")


def _write_matches(out: Path, answer: Mapping[str, Any]) -> None:
    import csv

    rows = answer["matches"] or answer["realized"]
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), restval="")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise BadInputError(f"--out {out}: cannot be written: {error.strerror}") from error
    say(f"{out}: {len(rows):,} rows", err=True)
