"""``www.sec.gov``: the feed of the newest filings of everybody, each told once for every party of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.filings import ISSUERS, SILENCE, Filing, filings_of
from omc_pipeline.sandbox.noise import between, pick, unit
from omc_pipeline.sandbox.world import World, present

_MOST, _REACH = 100, timedelta(days=2)
_STRANGERS = ("ALPHA FOODS INC", "Bravo Renewables Ltd", "Société Générale Étoile")
_KEYWORD_STRANGER = "CHARLIE BITCOIN TREASURY CORP"
_CHANCE_OF_KEYWORD = 0.3
_EVERY = timedelta(hours=1)
_PAST_THE_END = "<!DOCTYPE html>\n<html><head><title>SEC.gov | Service Unavailable</title></head><body><h1>503</h1></body></html>"
_HEAD = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<feed xmlns="http://www.w3.org/2005/Atom">
<title>Latest Filings - {now:%a, %d %b %Y %H:%M:%S %Z}</title>
<link rel="alternate" href="/cgi-bin/browse-edgar?action=getcurrent"/>
<id>https://www.sec.gov/cgi-bin/browse-edgar?action=getcurrent</id>
<author><name>Webmaster</name><email>webmaster@sec.gov</email></author>
<updated>{updated}</updated>
"""
_ENTRY = """<entry>
<title>{form} - {name} ({cik}) ({role})</title>
<link rel="alternate" type="text/html" href="https://www.sec.gov/Archives/edgar/data/{number}/{folder}/{accession}-index.htm"/>
<summary type="html">
 {summary}
</summary>
<updated>{at}</updated>
<category scheme="https://www.sec.gov/" label="form type" term="{form}"/>
<id>urn:tag:sec.gov,2008:accession-number={accession}</id>
</entry>
"""


def routes(world: World, refusal: Callable[[Request], Response | None]) -> list[Route]:
    """Return the routes below ``/sec_edgar_www``; ``refusal`` turns away who doesn't say who he is, or asks too fast."""

    async def current(request: Request) -> Response:
        refused = refusal(request)
        if refused is not None:
            return refused
        start, count = (_number(request.query_params.get(name, "")) for name in ("start", "count"))
        now = present(request)
        entries = list(_entries(world, now))
        if start > len(entries):
            return HTMLResponse(_PAST_THE_END, 503)
        page = entries[start : start + min(count or 40, _MOST)]
        eastern = now.astimezone(_eastern())
        head = _HEAD.format(now=eastern, updated=eastern.isoformat(timespec="seconds"))
        return Response((head + "".join(page) + "</feed>\n").encode("iso-8859-1"), media_type="application/atom+xml")

    return [Route("/cgi-bin/browse-edgar", current)]


def _entries(world: World, now: datetime) -> Iterator[str]:
    followed = [filing for cik in ISSUERS for filing in filings_of(world, cik, now) if filing.accepted_at >= now - _REACH]
    for filing, issuer in sorted(_and_strangers(world, followed, now), key=lambda each: each[0].accepted_at, reverse=True):
        parties = [(issuer, filing.cik, "Filer")]
        if filing.form in ("4", "144"):
            parties = [(issuer, filing.cik, "Issuer"), ("DOE JANE", "0009999901", "Reporting")]
        yield from (_entry(filing, *party) for party in parties)


def _and_strangers(world: World, followed: Iterable[Filing], now: datetime) -> Iterator[tuple[Filing, str]]:
    for filing in followed:
        yield filing, ISSUERS[filing.cik].name
    yield from strangers(world, now)


def strangers(world: World, now: datetime) -> Iterator[tuple[Filing, str]]:
    """Yield what filers whom nobody follows filed lately, each with the filer's name."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    for age in range(int(_REACH / _EVERY)):
        at = hour - age * _EVERY
        if at.astimezone(_eastern()).hour not in range(6, 22):
            continue
        is_found = at < now - SILENCE and unit(world.seed, "stranger found", at) < _CHANCE_OF_KEYWORD
        name = _KEYWORD_STRANGER if is_found else pick(_STRANGERS, world.seed, "stranger", at)
        cik = f"{9_990_000 + [*_STRANGERS, _KEYWORD_STRANGER].index(name):010d}"
        accession = f"{cik}-{at:%y}-{int(between(1, 900_000, world.seed, 'feed', at)):06d}"
        form = pick(("4", "8-K", "424B2", "497"), world.seed, "feed form", at)
        yield Filing(cik, accession, at, form, "8.01" if form == "8-K" else "", form, "primary.htm", 13_000), name


def _entry(filing: Filing, name: str, cik: str, role: str) -> str:
    details = (
        f" <b>Filed:</b> {filing.accepted_at:%Y-%m-%d} <b>AccNo:</b> {filing.accession_number} <b>Size:</b> {filing.size_bytes // 1000} KB"
    )
    details += "".join(f"\n<br>Item {code}: Told" for code in filing.items.split(",") if code and filing.form.startswith("8-K"))
    return _ENTRY.format(
        form=filing.form,
        name=escape(name),
        cik=cik,
        number=int(cik),
        role=role,
        folder=filing.accession_number.replace("-", ""),
        accession=filing.accession_number,
        summary=escape(details),
        at=filing.accepted_at.astimezone(_eastern()).isoformat(timespec="seconds"),
    )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 7 else 0


def _eastern() -> ZoneInfo:
    return ZoneInfo("America/New_York")
