"""EDGAR's feed of the newest filings; filings of followed filers and configured names are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.items import Item, refusal
from omc_pipeline.collection.source import Parsed, Rejected
from omc_pipeline.collection.values import described, instant, optional_text, text
from omc_pipeline.collection.xml_body import local_name, read_xml
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.sources._catalyst_rules import impact_of_filing
from omc_pipeline.sources._edgar_titles import filing_title
from omc_pipeline.sources._edgar_zone import OFFSET

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ARCHIVE = "https://www.sec.gov/Archives/edgar/data"
_LONGEST_TEXT = 5_000
_ID = re.compile(r"urn:tag:sec\.gov,2008:accession-number=(\d{10}-\d{2}-\d{6})", re.ASCII)
_TITLE = re.compile(r"(?P<form>\S.{0,29}?) - (?P<name>\S.{0,199}?) \((?P<cik>\d{10})\) \([^()]{1,30}\)", re.ASCII)
_FILED = re.compile(r"Filed:\s*(?:</b>)?\s*(\d{4}-\d{2}-\d{2})", re.ASCII)
_FILED_ITEM = re.compile(r"\bItem (\d{1,2}\.\d{2})\b", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """One filing as one of its parties: filer, issuer, reporting owner, subject; ``items`` those of an 8-K."""

    accession: str
    form: str
    cik: int
    name: str
    items: str | None
    filed_on: date | None
    updated_at: datetime


def parse_feed(payload: Payload, filers: Mapping[int, str], keywords: Mapping[str, str]) -> Parsed:
    """Read one event for each filing of a followed filer, or with a party that has a keyword as a whole word in its name.

    The feed has a filing once for each of its parties, and on two pages if the feed moves in between. It is one event, of the
    followed party with the lowest CIK, else of the matching one.

    Raises:
        PayloadChangedError: The document is no Atom feed.
    """
    entries, rejected = read_entries(payload)
    names = {re.compile(rf"\b{re.escape(keyword)}\b", re.IGNORECASE): symbol for keyword, symbol in keywords.items()}
    chosen: dict[str, tuple[tuple[bool, int], CatalystEvent]] = {}
    for entry in entries:
        by_name = [symbol for name, symbol in names.items() if name.search(entry.name)]
        if entry.cik not in filers and not by_name:
            continue
        symbol = filers[entry.cik] if entry.cik in filers else next(filter(None, by_name), "")
        rank = (entry.cik not in filers, entry.cik)
        if entry.accession not in chosen or rank < chosen[entry.accession][0]:
            chosen[entry.accession] = rank, _event(entry, symbol or None)
    return Parsed([event for _, event in chosen.values()], rejected)


def read_entries(payload: Payload) -> tuple[list[Entry], list[Rejected]]:
    """Return the entries of a feed in its order, newest first, and those that can't be read.

    Raises:
        PayloadChangedError: The document is no Atom feed.
    """
    root = read_xml(payload)
    if local_name(root.tag) != "feed" or all(local_name(child.tag) != "title" for child in root):
        raise PayloadChangedError(f"{payload.source}: an XML document instead of EDGAR's Atom feed of filings")
    entries, rejected = list[Entry](), list[Rejected]()
    for element in (child for child in root if local_name(child.tag) == "entry"):
        item = _item(element)
        try:
            entries.append(_entry(item))
        except ValueError as error:
            rejected.append(refusal(str(error), item))
    return entries, rejected


def _item(element: Element) -> Item:
    item: dict[str, str] = {}
    for child in element:
        name = local_name(child.tag)
        written = child.attrib.get("term", "") if name == "category" else "".join(child.itertext())
        item.setdefault(name, " ".join(written.split())[:_LONGEST_TEXT])
    return dict(item)


def _entry(item: Item) -> Entry:
    details, title = _ID.fullmatch(text(item, "id", 100)), _TITLE.fullmatch(text(item, "title", 300))
    if details is None:
        raise ValueError(f"id is {described(item.get('id'))}, not one that ends in an accession number")
    if title is None:
        raise ValueError(f"title is {described(item.get('title'))}, not like '8-K - Name (0001050446) (Filer)'")
    form, summary = optional_text(item, "category", 30) or title["form"], optional_text(item, "summary", _LONGEST_TEXT) or ""
    filed, items = _FILED.search(summary), _FILED_ITEM.findall(summary) if form.startswith("8-K") else []
    return Entry(
        accession=details[1],
        form=form,
        cik=int(title["cik"]),
        name=title["name"],
        items=",".join(items) or None,
        filed_on=date.fromisoformat(filed[1]) if filed else None,
        updated_at=instant(item, "updated"),
    )


def _event(entry: Entry, symbol: str | None) -> CatalystEvent:
    return CatalystEvent(
        event_id=entry.accession,
        event_type="filing",
        symbol=symbol,
        ticker=None,
        issuer=entry.name,
        title=filing_title(entry.form, entry.items, entry.name),
        form=entry.form,
        items=entry.items,
        url=f"{ARCHIVE}/{entry.cik}/{entry.accession.replace('-', '')}/{entry.accession}-index.htm",
        filed_on=entry.filed_on,
        published_at=entry.updated_at,
        published_zone=OFFSET,
        impact=impact_of_filing(entry.form, entry.items),
    )
