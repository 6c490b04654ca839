"""The documents of filings: the page that lists them, the filing itself, and the press releases filed with it.

Source: ``GET https://www.sec.gov/Archives/edgar/data/<cik>/<accession without hyphens>/<accession>-index.htm`` and the files it links to.
Shape: the page has a table ``Document Format Files`` with a row a document: sequence, description, link, type (``8-K``, ``EX-99.1``), size.
    The link of an inline XBRL document leads through a viewer, ``/ix?doc=/Archives/...``. The files are HTML or text in any encoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, LiteralString

from omc_infra.clock import parse_utc
from omc_infra.errors import OmcError, UpstreamRefusedError
from omc_infra.payload import Payload
from omc_pipeline.collection.parsing import ENDPOINT
from omc_pipeline.collection.source import FetchContext, Parsed
from omc_pipeline.documents.reader import UnreadableDocumentError, decoded, media_of
from omc_pipeline.ledgers.catalyst import CatalystDocument

if TYPE_CHECKING:
    from omc_pipeline.sources.catalyst_sec_edgar import EdgarConfig

MOST_NEEDED_DAYS = 30
MAIN = "main"
"""Name and kind of the filing's own document; it is stored last, so where it is there, the others were asked for."""
NEEDED: LiteralString = """
SELECT e.event_id, e.form, e.url, e.published_at, coalesce(asked.version, 0) + 1 FROM catalyst.event e
LEFT JOIN LATERAL (
    SELECT d.version, d.state, d.recorded_at FROM catalyst.document d
    WHERE (d.source, d.event_id, d.name) = (e.source, e.event_id, 'main') ORDER BY d.version DESC LIMIT 1
) AS asked ON true
WHERE e.source = %(source)s AND e.event_type = 'filing' AND e.published_at > %(now)s - interval '30 days'
AND NOT EXISTS (
    SELECT FROM catalyst.event later WHERE (later.source, later.event_id) = (e.source, e.event_id) AND later.version > e.version
)
AND (asked.version IS NULL OR (
    asked.state = 'missing' AND asked.version <= 5 AND asked.recorded_at <= %(now)s - asked.version * interval '10 minutes'
)) ORDER BY e.published_at DESC LIMIT 1000
"""
"""Filings of the last days without a document, newest first, with the number of the attempt.

What the archive lacked is asked for six times in all, after ever longer waits.
"""

_INDEX, _EXHIBIT = "index", "exhibit"
_PATH = re.compile(r"https://www\.sec\.gov(/Archives/edgar/data/\d{1,10}/\d{18})/", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,150}\.(?:htm|html|txt)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Listed:
    """A document in the list on the page of a filing."""

    path: str
    kind: str


def fetch_documents(context: FetchContext) -> Iterator[Payload]:
    """Ask for the documents of fresh filings, newest first; one that can't be had is passed over and named at the end.

    Raises:
        OmcError: The first failure but for what the archive doesn't have, after the others were asked.
    """
    config: EdgarConfig = context.config
    oldest = context.now - timedelta(days=config.document_days)
    wanted = [need for need in context.needs if need[1] in config.document_forms and need[3] >= oldest and _PATH.match(need[2])]
    failure: OmcError | None = None
    for event_id, form, url, published_at, attempt in wanted[: config.document_filings]:
        about = {"event_id": event_id, "form": form, "published_at": published_at.isoformat(), "attempt": str(attempt)}
        try:
            yield from _filing(context, _PATH.match(url)[1], about, config)  # type: ignore[index]
        except OmcError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def listed_documents(page: bytes, folder: str, form: str, most_exhibits: int) -> list[Listed]:
    """Read the page of a filing: its press releases (EX-99), then the document of the filing itself.

    Args:
        page: HTML.
        folder: Path of the filing; links that lead elsewhere are left out.
        form: Form of the filing, the type of its own document.
        most_exhibits: So many press releases at most.
    """
    from lxml import etree

    root = etree.fromstring(page, etree.HTMLParser(no_network=True, encoding="utf-8"))
    own: list[Listed] = []
    exhibits: list[Listed] = []
    for row in () if root is None else root.iter("tr"):
        cells = [" ".join("".join(cell.itertext()).split()) for cell in row.iter("td")]
        path = next((link.get("href") or "" for link in row.iter("a")), "").removeprefix("/ix?doc=")
        if not path.startswith(f"{folder}/") or not _FILE.fullmatch(path.removeprefix(f"{folder}/")):
            continue
        if form in cells and not own:
            own.append(Listed(path, MAIN))
        elif any(cell.startswith("EX-99") for cell in cells):
            exhibits.append(Listed(path, _EXHIBIT))
    return [*exhibits[:most_exhibits], *own]


def parse_document(payload: Payload, config: EdgarConfig) -> Parsed:
    """Read one row of a document; of the page that lists them none. A document without its request is named by its digest."""
    context = payload.context
    if context.get("part") == _INDEX:
        return Parsed([])
    state, content = _content(payload, config.document_bytes)
    kind = _EXHIBIT if context.get("part") == _EXHIBIT else MAIN
    row = CatalystDocument(
        event_id=context.get("event_id") or payload.sha256[:20],
        name=MAIN if kind == MAIN else payload.url.rsplit("/", 1)[-1][:200],
        kind=kind,
        url=payload.url or "https://www.sec.gov/Archives/edgar/data/",
        state=state,
        content=content,
        size_bytes=len(payload.body),
        attempt=int(context.get("attempt", "1")) if kind == MAIN else 1,
        published_at=parse_utc(context["published_at"]) if "published_at" in context else payload.fetched_at,
    )
    return Parsed([row])


def is_document(payload: Payload) -> bool:
    """Return whether a payload was asked for as a document of a filing."""
    return "part" in payload.context or payload.context.get(ENDPOINT) == "documents"


def _filing(context: FetchContext, folder: str, about: Mapping[str, str], config: EdgarConfig) -> Iterator[Payload]:
    """Ask for the page of a filing and what it lists; what the archive lacks is told as missing."""
    index = f"{folder}/{about['event_id']}-index.htm"
    try:
        page = context.http.get(index, host="www", conditional=False, context={**about, "part": _INDEX})
    except UpstreamRefusedError:
        yield _absent(context, index, {**about, "part": MAIN})
        return
    yield page
    found = listed_documents(page.body, folder, about["form"], config.document_exhibits)
    for each in found:
        asked = {**about, "part": each.kind}
        try:
            yield context.http.get(each.path, host="www", conditional=False, context=asked)
        except UpstreamRefusedError:
            yield _absent(context, each.path, asked)
    if not any(each.kind == MAIN for each in found):
        yield _absent(context, index, {**about, "part": MAIN})


def _absent(context: FetchContext, path: str, asked: Mapping[str, str]) -> Payload:
    """Return a placeholder for a document that the archive doesn't have, so that it is requested again later."""
    return Payload("catalyst_sec_edgar", b"", context.now, f"https://www.sec.gov{path}", status=404, context=asked)


def _content(payload: Payload, most_bytes: int) -> tuple[str, str | None]:
    if payload.status == 404:
        return "missing", None
    if len(payload.body) > most_bytes:
        return "too_large", None
    try:
        media_of(payload.body)
    except UnreadableDocumentError:
        return "not_text", None
    return "fetched", decoded(payload.body).replace("\x00", "")
