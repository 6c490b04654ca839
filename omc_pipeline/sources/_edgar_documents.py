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
from omc_pipeline.documents.reader import UnreadableDocumentError, media_of
from omc_pipeline.ledgers.catalyst import CatalystDocument

if TYPE_CHECKING:
    from omc_pipeline.sources.catalyst_sec_edgar import EdgarConfig

MOST_NEEDED_DAYS = 30
NEEDED: LiteralString = """
SELECT e.event_id, e.form, e.url, e.published_at FROM catalyst.event e
WHERE e.source = %(source)s AND e.event_type = 'filing' AND e.published_at > %(now)s - interval '30 days'
AND NOT EXISTS (
    SELECT FROM catalyst.event later WHERE (later.source, later.event_id) = (e.source, e.event_id) AND later.version > e.version
)
AND NOT EXISTS (
    SELECT FROM catalyst.document d WHERE (d.source, d.event_id) = (e.source, e.event_id)
    AND (d.state <> 'missing' OR d.version > 5 OR d.recorded_at > %(now)s - d.version * interval '10 minutes')
) ORDER BY e.published_at DESC LIMIT 1000
"""
"""Filings of the last days without a document, newest first; one that the archive lacked is asked for again, ever more rarely."""

_INDEX, _MAIN, _EXHIBIT = "index", "main", "exhibit"
_PATH = re.compile(r"https://www\.sec\.gov(/Archives/edgar/data/\d{1,10}/\d{18})/", re.ASCII)
_ROW = re.compile(rb"<tr\b[^>]{0,200}>(.{0,4000}?)</tr>", re.IGNORECASE | re.DOTALL)
_LINK = re.compile(rb"<a\b[^>]{0,200}?href=[\"\'](?:/ix\?doc=)?(/Archives/edgar/data/[^\"\'?#]{1,300})[\"\']", re.IGNORECASE)
_CELL = re.compile(rb"<td\b[^>]{0,200}>(.{0,1000}?)</td>", re.IGNORECASE | re.DOTALL)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,150}\.(?:htm|html|txt)", re.ASCII | re.IGNORECASE)
_TYPE = re.compile(r"[A-Z0-9/. -]{1,30}", re.ASCII)


@dataclass(frozen=True)
class Listed:
    """A document that the page of a filing lists."""

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
    for event_id, form, url, published_at in wanted[: config.document_filings]:
        about = {"event_id": event_id, "form": form, "published_at": published_at.isoformat()}
        try:
            yield from _filing(context, _PATH.match(url)[1], about, config)  # type: ignore[index]
        except UpstreamRefusedError:
            yield _absent(context, f"{_folder(url)}/{event_id}-index.htm", about)
        except OmcError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def listed_documents(page: bytes, folder: str, form: str, most_exhibits: int) -> list[Listed]:
    """Read the page of a filing: the document of the filing itself first, then its press releases (EX-99).

    Args:
        page: HTML.
        folder: Path of the filing; links that lead elsewhere are left out.
        form: Form of the filing, the type of its own document.
        most_exhibits: So many press releases at most.
    """
    main: list[Listed] = []
    exhibits: list[Listed] = []
    for row in _ROW.findall(page):
        link, cells = _LINK.search(row), [_text_of(cell) for cell in _CELL.findall(row)]
        path = link[1].decode("ascii", "replace") if link else ""
        if not path.startswith(f"{folder}/") or not _FILE.fullmatch(path.removeprefix(f"{folder}/")):
            continue
        if form in cells and not main:
            main.append(Listed(path, _MAIN))
        elif any(cell.startswith("EX-99") for cell in cells):
            exhibits.append(Listed(path, _EXHIBIT))
    return [*main, *exhibits[:most_exhibits]]


def parse_document(payload: Payload, config: EdgarConfig) -> Parsed:
    """Read one row of a document; of the page that lists them none. A document without its request is named by its digest."""
    context = payload.context
    if context.get("part") == _INDEX:
        return Parsed([])
    state, content = _content(payload, config.document_bytes)
    row = CatalystDocument(
        event_id=context.get("event_id") or payload.sha256[:20],
        name=payload.url.rsplit("/", 1)[-1][:200] or payload.sha256[:20],
        kind=_EXHIBIT if context.get("part") == _EXHIBIT else _MAIN,
        url=payload.url or "https://www.sec.gov/Archives/edgar/data/",
        state=state,
        content=content,
        size_bytes=len(payload.body),
        published_at=parse_utc(context["published_at"]) if "published_at" in context else payload.fetched_at,
    )
    return Parsed([row])


def is_document(payload: Payload) -> bool:
    """Return whether a payload was asked for as a document of a filing."""
    return "part" in payload.context or payload.context.get(ENDPOINT) == "documents"


def _filing(context: FetchContext, folder: str, about: Mapping[str, str], config: EdgarConfig) -> Iterator[Payload]:
    def asked(path: str, part: str) -> Payload:
        return context.http.get(path, host="www", conditional=False, context={**about, "part": part})

    page = asked(f"{folder}/{about['event_id']}-index.htm", _INDEX)
    yield page
    found = listed_documents(page.body, folder, about["form"], config.document_exhibits)
    if not found:
        yield _absent(context, f"https://www.sec.gov{folder}/{about['event_id']}-index.htm", about)
    for each in found:
        yield asked(each.path, each.kind)


def _absent(context: FetchContext, url: str, about: Mapping[str, str]) -> Payload:
    """Stand for a document that the archive doesn't have, so that this is known and asked again later."""
    return Payload("catalyst_sec_edgar", b"", context.now, url, status=404, context={**about, "part": _MAIN})


def _content(payload: Payload, most_bytes: int) -> tuple[str, str | None]:
    if payload.status == 404:
        return "missing", None
    if len(payload.body) > most_bytes:
        return "too_large", None
    try:
        media_of(payload.body)
    except UnreadableDocumentError:
        return "not_text", None
    return "fetched", _decoded(payload.body)


def _decoded(body: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return body.decode(encoding).replace("\x00", "")
        except UnicodeDecodeError:
            continue
    return body.decode("latin-1").replace("\x00", "")


def _folder(url: str) -> str:
    return url.rsplit("/", 1)[0]


def _text_of(cell: bytes) -> str:
    text = re.sub(rb"<[^>]{0,500}>", b" ", cell).decode("ascii", "replace").replace("&nbsp;", " ")
    return " ".join(text.split()) if _TYPE.fullmatch(" ".join(text.split())) else ""
