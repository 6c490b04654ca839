"""Filings of listed companies and funds that hold or trade crypto.

Source: SEC EDGAR, no key; at most 10 requests a second over all SEC hosts, and a User-Agent with a contact. Three endpoints:
    ``GET https://data.sec.gov/submissions/CIK##########.json`` for each followed filer, asked conditionally (ETag, Last-Modified), and
    ``GET https://www.sec.gov/cgi-bin/browse-edgar?action=getcurrent&output=atom``, the newest filings of everybody,
    and the documents of fresh filings (``_edgar_documents``), right after the filings were read.
Shape: submissions: one filer a file; ``filings.recent`` holds about 1,000 filings as arrays, one a column, which must be of equal length.
    ``items`` is "" or "2.02,9.01", of forms other than 8-K anything; ``tickers`` may be empty; ``cik`` comes with or without leading
    zeros. Older filings are in shards (``filings.files``) that are not collected.
    Feed: Atom in ISO-8859-1, at most 100 entries a page, one for each party of a filing, so a filing comes several times; it moves
    while one pages. Kept are filings of followed filers and those with a party whose name holds a configured word.
    A filing is one event by its accession number over both endpoints: what the submissions file says completes what the feed said.
Units: ``filingDate`` a date. ``acceptanceDateTime`` ends in Z, and is Eastern time or UTC by file (``_edgar_zone``); the feed's
    ``updated`` has a true offset. The time first recorded of a filing stays; only one of an undecided zone is corrected, by the feed.
    ``published_zone`` says which it was; an undecided time is read as UTC and may be 4 to 5 h early. Acceptance is not publication: after
    17:30 Eastern a filing may appear the next morning.
Errors: an unknown CIK is a 404 with an S3 XML body under the .json address, a missing archive file a 403 with AccessDenied.
    Undeclared or too fast askers get an HTML page, normally with 403, once seen with 200. Past its end the feed is a 503 HTML page,
    which is no ban; a page that isn't full is the last one and no further is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Annotated

from pydantic import Field

from omc_infra.errors import AccessDeniedError, OmcError, PayloadChangedError, RateLimitedError, UpstreamRefusedError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.collection.body import html_title, is_html, one_line
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.collection.options import SourceConfig, Symbol
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Source
from omc_pipeline.collection.sweep import sweep
from omc_pipeline.collection.values import described, optional_text, text
from omc_pipeline.ledgers.catalyst import DOCUMENT, EVENT, CatalystEvent
from omc_pipeline.ledgers.table import Row
from omc_pipeline.sources._catalyst_rules import impact_of_filing
from omc_pipeline.sources._edgar_documents import MOST_NEEDED_DAYS, NEEDED, fetch_documents, is_document, parse_document
from omc_pipeline.sources._edgar_feed import ARCHIVE, parse_feed, read_entries
from omc_pipeline.sources._edgar_titles import filing_title
from omc_pipeline.sources._edgar_zone import OFFSET, UNDECIDED, accepted_at, zone_of

_NAME = "catalyst_sec_edgar"
_BAN_S = 600.0
_HEAD_BYTES = 4096
_PAGE_ENTRIES = 100
"""Most entries that the feed gives in one answer."""
_REQUIRED = ("accessionNumber", "filingDate", "acceptanceDateTime", "form", "items", "primaryDocument")
_ACCESSION = re.compile(r"\d{10}-\d{2}-\d{6}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DOCUMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}", re.ASCII)
_CIK = re.compile(r"\d{1,10}", re.ASCII)


Form = Annotated[str, Field(pattern=r"^[0-9A-Z][0-9A-Z/ -]{0,19}$")]
Keyword = Annotated[str, Field(min_length=2, max_length=60, pattern=r"^\S(.*\S)?$")]


class EdgarConfig(SourceConfig):
    """Options: which filings are followed."""

    filers: dict[int, Symbol] = Field(
        default_factory=lambda: {
            1050446: "BTC",  # Strategy (MSTR)
            1679788: "",  # Coinbase (COIN): of the whole market
            1980994: "BTC",  # iShares Bitcoin Trust (IBIT)
            2000638: "ETH",  # iShares Ethereum Trust (ETHA)
            1507605: "BTC",  # MARA Holdings (MARA)
        },
        min_length=1,
        description='Filers to follow, by CIK, each with the coin that its filings are about; "" for no particular coin.',
    )
    keywords: dict[Keyword, Symbol] = Field(
        default_factory=lambda: {
            "bitcoin": "BTC",
            "ethereum": "ETH",
            "ether": "ETH",
            "solana": "SOL",
            "xrp": "XRP",
            "crypto": "",
            "cryptocurrency": "",
            "blockchain": "",
            "digital asset": "",
            "digital assets": "",
            "coinbase": "",
            "grayscale": "",
        },
        description=(
            "Other new filings are kept if the name of a party has one of these whole words, each with the coin that the filing is "
            "then about."
        ),
    )
    feed_overlap_min: int = Field(10, ge=1, le=1440, description="Number of past minutes for which the feed of new filings is read.")
    feed_pages: int = Field(5, ge=1, le=40, description="Maximum number of pages of the feed to read in one run.")
    document_forms: tuple[Form, ...] = Field(("8-K", "8-K/A", "6-K"), description="Forms of the filings of which documents are fetched.")
    document_days: int = Field(
        3, ge=0, le=MOST_NEEDED_DAYS, description="Fetch documents of filings from this many past days. 0: fetch none."
    )
    document_filings: int = Field(10, ge=1, le=1000, description="Maximum number of filings of which documents are fetched in one run.")
    document_exhibits: int = Field(2, ge=0, le=20, description="Maximum number of press releases (EX-99) to fetch for one filing.")
    document_bytes: int = Field(4_000_000, ge=1_000, le=20_000_000, description="Maximum size of a document; longer ones are not stored.")


@dataclass(frozen=True)
class _Filer:
    cik: int
    name: str
    ticker: str | None
    symbol: str | None


def fetch_feed(context: FetchContext) -> Iterator[Payload]:
    """Fetch the newest filings of all filers, page by page, until they are older than the overlap or the feed ends."""
    asked = {"action": "getcurrent", "owner": "include", "output": "atom", "count": str(_PAGE_ENTRIES)}
    oldest = context.now - timedelta(minutes=context.config.feed_overlap_min)
    for page in range(context.config.feed_pages):
        parameters = {**asked, "start": str(page * _PAGE_ENTRIES)}
        payload = context.http.get("/cgi-bin/browse-edgar", params=parameters, host="www", conditional=False)
        yield payload
        entries, unread = read_entries(payload)
        if len(entries) + len(unread) < _PAGE_ENTRIES or any(entry.updated_at < oldest for entry in entries):
            return


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch each followed filer's recent filings, unless unchanged."""
    return sweep(partial(context.http.get, f"/submissions/CIK{cik:010d}.json") for cik in context.config.filers)


def parse(payload: Payload, config: EdgarConfig) -> Parsed:
    """Read one event a recent filing of a submissions file, or a kept filing of the feed; or one document of a filing."""
    if is_document(payload):
        return parse_document(payload, config)
    if is_html(payload.body):
        raise _block(payload.body)
    if _is_xml(payload.body):
        return parse_feed(payload, config.filers, config.keywords)
    document = read_json(payload)
    filings = document.get("filings") if isinstance(document, dict) else None
    recent = filings.get("recent") if isinstance(filings, dict) else None
    if not isinstance(document, dict) or not isinstance(recent, dict):
        raise PayloadChangedError(f"{_NAME}: no object 'filings.recent': not a submissions file")
    filer = _filer(document, config)
    rows = _filings(recent)
    zone = zone_of(rows, payload.fetched_at)
    return read_items(rows, lambda filing: _event(filing, filer, zone))


def settle(known: Row, details: Row) -> Row:
    """Merge a known filing with a new answer: its time stays, the file completes the values of the feed.

    The feed adds nothing to a known filing but the time of one whose zone was undecided. A filing in the files of two followed filers is
    told as by the one with the lower CIK, whichever came last.
    """
    if not isinstance(known, CatalystEvent) or not isinstance(details, CatalystEvent):
        return details
    if details.published_zone == OFFSET:
        is_corrected = known.published_zone == UNDECIDED
        return replace(known, published_at=details.published_at, published_zone=OFFSET) if is_corrected else known
    if _cik_of(known) < _cik_of(details):
        return known
    impact = details.impact if known.impact is not None else None  # filings of before there was any are not restated for it
    return replace(details, published_at=known.published_at, published_zone=known.published_zone, impact=impact)


def _cik_of(event: CatalystEvent) -> int:
    return int(event.url.removeprefix(f"{ARCHIVE}/").partition("/")[0])


def _is_xml(body: bytes) -> bool:
    return body[:_HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def ban_of(_status: int, body: bytes) -> float | None:
    """Return EDGAR's ban of ten minutes for too many requests; its page has status 403 or 200."""
    return _BAN_S if is_html(body) and b"request rate threshold" in body[:20_000].lower() else None


def error_of(status: int, body: bytes) -> OmcError | None:
    """Name the answers that are no document: S3's XML for a file that isn't there, and a page of the SEC's own, even with 200."""
    if status in (200, 403) and is_html(body) and re.search(rb"<title>\s*SEC\.gov \|", body[:_HEAD_BYTES]):
        return AccessDeniedError(f"an HTML block page, {html_title(body)}; set OMC_CONTACT to your email address and send fewer requests")
    if status in (403, 404) and _is_xml(body) and (b"<Code>AccessDenied</Code>" in body or b"<Code>NoSuchKey</Code>" in body):
        return UpstreamRefusedError("the archive has no such file")
    return None


def _block(body: bytes) -> AccessDeniedError | RateLimitedError:
    """Return the error for an HTML page that EDGAR serves instead of data, with any status."""
    ban_s = ban_of(200, body)
    if ban_s is not None:
        return RateLimitedError(f"{_NAME}: EDGAR's HTML page 'Request Rate Threshold Exceeded': too many requests", retry_after_s=ban_s)
    details = f"{_NAME}: EDGAR served an HTML block page instead of data, {html_title(body)}"
    return AccessDeniedError(f"{details}; set OMC_CONTACT to your email address and send fewer requests")


def _filer(document: Item, config: EdgarConfig) -> _Filer:
    cik = document.get("cik")
    if not isinstance(cik, (str, int)) or not _CIK.fullmatch(str(cik)):
        raise PayloadChangedError(f"{_NAME}: cik of a submissions file is {described(cik)}, not a number")
    try:
        symbol = config.filers.get(int(cik)) or None
        return _Filer(int(cik), text(document, "name", 200), _ticker(document.get("tickers")), symbol)
    except ValueError as error:
        raise PayloadChangedError(f"{_NAME}: submissions file without a usable head: {error}") from error


def _ticker(tickers: Json) -> str | None:
    """Return the first ticker; None where there is none that can be used, for which no filing is lost."""
    first: Item = {"ticker": tickers[0]} if isinstance(tickers, list) and tickers else {}
    try:
        return optional_text(first, "ticker", 20)
    except ValueError:
        return None


def _filings(recent: Item) -> list[dict[str, Json]]:
    """Convert the columns to rows, after checking that all have the same length."""
    columns = {name: column for name, column in recent.items() if isinstance(column, list)}
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise PayloadChangedError(f"{_NAME}: no column {', '.join(missing)} in filings.recent")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        odd = min(lengths, key=lambda name: lengths[name])
        details = f"{one_line(odd, 40)} has {lengths[odd]}, the longest {max(lengths.values())}"
        raise PayloadChangedError(f"{_NAME}: columns of filings.recent differ in length: {details}")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _event(filing: Item, filer: _Filer, zone: str) -> CatalystEvent:
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
        title=filing_title(form, items, filer.name),
        form=form,
        items=items,
        url=_url(filing, filer, accession),
        filed_on=_filed_on(filing),
        published_at=accepted_at(filing, zone),
        published_zone=zone,
        impact=impact_of_filing(form, items),
    )


def _url(filing: Item, filer: _Filer, accession: str) -> str:
    document = filing.get("primaryDocument")
    is_simple = isinstance(document, str) and _DOCUMENT.fullmatch(document) and ".." not in document
    return f"{ARCHIVE}/{filer.cik}/{accession.replace('-', '')}/{document if is_simple else f'{accession}-index.htm'}"


def _filed_on(filing: Item) -> date:
    written = text(filing, "filingDate", 20)
    if not _DATE.fullmatch(written):
        raise ValueError(f"filingDate is {described(written)}, not like 2026-01-31")
    return date.fromisoformat(written)


_HOST = HostPolicy(
    live_urls=("https://data.sec.gov",),
    sandbox_path="/sec_edgar",
    requests_per_s=5.0,
    group="sec.gov",
    needs_contact=True,
    ban_of=ban_of,
)
SOURCE = Source(
    name=_NAME,
    title="SEC EDGAR filings",
    tables=(EVENT, DOCUMENT),
    endpoints=(
        Endpoint("feed", cron="* * * * *", every_s=60, fetch=fetch_feed, tables=(EVENT,)),
        Endpoint("submissions", cron="*/10 * * * *", every_s=600, fetch=fetch, tables=(EVENT,)),
        Endpoint("documents", cron="* * * * *", every_s=60, fetch=fetch_documents, tables=(DOCUMENT,), needs=NEEDED, only_on_need=True),
    ),
    policy=replace(
        _HOST, others={"www": replace(_HOST, live_urls=("https://www.sec.gov",), sandbox_path="/sec_edgar_www", error_of=error_of)}
    ),
    parse=parse,
    settle=settle,
    config=EdgarConfig,
    homepage="https://www.sec.gov/search-filings/edgar-application-programming-interfaces",
)
