"""Filings of listed companies and funds that hold or trade crypto.

Source: SEC EDGAR, ``GET https://data.sec.gov/submissions/CIK##########.json``, no key; at most 10 requests a second over all SEC
    hosts, and a User-Agent with a contact. Asked conditionally (ETag, Last-Modified).
Shape: one filer a file; ``filings.recent`` holds about 1,000 filings as arrays, one a column, which must be of equal length.
    ``items`` is "" or "2.02,9.01"; ``tickers`` may be empty; ``cik`` comes with or without leading zeros. Older filings are in
    shards (``filings.files``) that are not collected.
Units: ``filingDate`` a date. ``acceptanceDateTime`` ends in Z and is read as UTC, but its zone is doubtful: some filers' times cluster
    as Eastern time would, others' as UTC (looked at 2026-11-23), so ``published_at`` may be 4 to 5 h early. Use ``recorded_at`` for
    point-in-time work; it can't be wrong.
Errors: an unknown CIK is a 404 with an S3 XML body under the .json address, a missing archive file a 403 with AccessDenied.
    Undeclared or too fast askers get an HTML page, normally with 403, once seen with 200.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial

from pydantic import Field

from omc_infra.errors import AccessDeniedError, PayloadChangedError, RateLimitedError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.collection.body import html_title, is_html, one_line
from omc_pipeline.collection.items import Item, sift
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.collection.options import SourceConfig, Symbol
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Source
from omc_pipeline.collection.sweep import sweep
from omc_pipeline.collection.values import described, instant, optional_text, text
from omc_pipeline.ledgers.catalyst import EVENT, CatalystEvent
from omc_pipeline.ledgers.edgar import ITEMS, has_items

_NAME = "catalyst_sec_edgar"
_BAN_S = 600.0
_ARCHIVE = "https://www.sec.gov/Archives/edgar/data"
_REQUIRED = ("accessionNumber", "filingDate", "acceptanceDateTime", "form", "items", "primaryDocument")
_ACCESSION = re.compile(r"\d{10}-\d{2}-\d{6}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DOCUMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}", re.ASCII)
_CIK = re.compile(r"\d{1,10}", re.ASCII)


class EdgarConfig(SourceConfig):
    """Whose filings are followed."""

    filers: dict[int, Symbol] = Field(
        default_factory=lambda: {
            1050446: "BTC",  # Strategy (MSTR)
            1679788: "",  # Coinbase (COIN): of the whole market
            1980994: "BTC",  # iShares Bitcoin Trust (IBIT)
            2000638: "ETH",  # iShares Ethereum Trust (ETHA)
            1507605: "BTC",  # MARA Holdings (MARA)
        },
        min_length=1,
        description='Followed filers by CIK, and the coin their filings are about; "" for none in particular.',
    )


@dataclass(frozen=True)
class _Filer:
    cik: int
    name: str
    ticker: str | None
    symbol: str | None


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Ask for each followed filer's recent filings, unless unchanged."""
    return sweep(partial(context.http.get, f"/submissions/CIK{cik:010d}.json") for cik in context.config.filers)


def parse(payload: Payload, config: EdgarConfig) -> Parsed:
    """Read one event a recent filing."""
    if is_html(payload.body):
        raise _block(payload.body)
    document = read_json(payload)
    filings = document.get("filings") if isinstance(document, dict) else None
    recent = filings.get("recent") if isinstance(filings, dict) else None
    if not isinstance(document, dict) or not isinstance(recent, dict):
        raise PayloadChangedError(f"{_NAME}: no object 'filings.recent': not a submissions file")
    filer = _filer(document, config)
    return sift(_filings(recent), lambda filing: _event(filing, filer))


def ban_of(_status: int, body: bytes) -> float | None:
    """Return the ten minutes for which EDGAR bans who asks too fast; the page that says so comes with 403, or with 200."""
    return _BAN_S if is_html(body) and b"request rate threshold" in body[:20_000].lower() else None


def _block(body: bytes) -> AccessDeniedError | RateLimitedError:
    """Name the HTML page that EDGAR serves instead of data, whatever its status."""
    ban_s = ban_of(200, body)
    if ban_s is not None:
        return RateLimitedError(f"{_NAME}: EDGAR's HTML page 'Request Rate Threshold Exceeded': asked too fast", retry_after_s=ban_s)
    told = f"{_NAME}: EDGAR served an HTML block page instead of data, {html_title(body)}"
    return AccessDeniedError(f"{told}; set OMC_CONTACT to your address and ask more slowly")


def _filer(document: Item, config: EdgarConfig) -> _Filer:
    cik, tickers = document.get("cik"), document.get("tickers")
    first = {"ticker": tickers[0]} if isinstance(tickers, list) and tickers else {}
    if not isinstance(cik, (str, int)) or not _CIK.fullmatch(str(cik)):
        raise PayloadChangedError(f"{_NAME}: cik of a submissions file is {described(cik)}, not a number")
    try:
        symbol = config.filers.get(int(cik)) or None
        return _Filer(int(cik), text(document, "name", 200), optional_text(first, "ticker", 20), symbol)
    except ValueError as error:
        raise PayloadChangedError(f"{_NAME}: submissions file without a usable head: {error}") from error


def _filings(recent: Item) -> list[Json]:
    """Turn the columns into rows, having made sure that none is longer or shorter than the others."""
    columns = {name: column for name, column in recent.items() if isinstance(column, list)}
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise PayloadChangedError(f"{_NAME}: no column {', '.join(missing)} in filings.recent")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        odd = min(lengths, key=lambda name: lengths[name])
        told = f"{one_line(odd, 40)} has {lengths[odd]}, the longest {max(lengths.values())}"
        raise PayloadChangedError(f"{_NAME}: columns of filings.recent differ in length: {told}")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _event(filing: Item, filer: _Filer) -> CatalystEvent:
    accession = text(filing, "accessionNumber", 30)
    if not _ACCESSION.fullmatch(accession):
        raise ValueError(f"accessionNumber is {described(accession)}, not like 0001050446-26-000001")
    form, items = text(filing, "form", 30), optional_text(filing, "items", 300)
    return CatalystEvent(
        event_id=accession,
        event_type="filing",
        symbol=filer.symbol,
        ticker=filer.ticker,
        issuer=filer.name,
        title=f"{form}{_named(items, form)} - {filer.name}",
        form=form,
        items=items,
        url=_url(filing, filer, accession),
        filed_on=_filed_on(filing),
        published_at=instant(filing, "acceptanceDateTime"),
    )


def _named(items: str | None, form: str) -> str:
    """Answer `` Results of Operations (2.02), Exhibits (9.01)``; items of forms other than 8-K have no names here."""
    codes = [code.strip() for code in (items or "").split(",") if code.strip()]
    names = ITEMS if has_items(form) else {}
    told = [f"{names[code]} ({code})" if code in names else f"({code})" for code in codes]
    return f" {', '.join(told)}" if told else ""


def _url(filing: Item, filer: _Filer, accession: str) -> str:
    document = filing.get("primaryDocument")
    is_plain = isinstance(document, str) and _DOCUMENT.fullmatch(document) and ".." not in document
    return f"{_ARCHIVE}/{filer.cik}/{accession.replace('-', '')}/{document if is_plain else f'{accession}-index.htm'}"


def _filed_on(filing: Item) -> date:
    written = text(filing, "filingDate", 20)
    if not _DATE.fullmatch(written):
        raise ValueError(f"filingDate is {described(written)}, not like 2026-01-31")
    return date.fromisoformat(written)


SOURCE = Source(
    name=_NAME,
    title="SEC EDGAR filings",
    tables=(EVENT,),
    endpoints=(Endpoint("submissions", cron="*/10 * * * *", every_s=600, fetch=fetch),),
    policy=HostPolicy(
        live_urls=("https://data.sec.gov",),
        sandbox_path="/sec_edgar",
        requests_per_s=5.0,
        group="sec.gov",
        needs_contact=True,
        ban_of=ban_of,
    ),
    parse=parse,
    config=EdgarConfig,
    homepage="https://www.sec.gov/search-filings/edgar-application-programming-interfaces",
)
