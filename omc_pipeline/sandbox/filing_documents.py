"""What the sandbox's filings say: the page that lists the documents, the filing itself, and the press release with results."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.edgar_feed import strangers
from omc_pipeline.sandbox.filings import ISSUERS, Filing, Issuer, filings_of
from omc_pipeline.sandbox.noise import between
from omc_pipeline.sandbox.world import World, present

_COINS = {"0002000638": ("ether", "ETH", 3_300.0)}
_BITCOIN = ("bitcoin", "BTC", 98_000.0)
_PRESS_RELEASE = "ex99-1.htm"
_NO_SUCH_FILE = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"""
_PAGE = """<!DOCTYPE html>
<html><head><title>EDGAR Filing Documents for {accession}</title></head><body>
<div id="formDiv"><p>Document Format Files</p>
<table class="tableFile" summary="Document Format Files">
<tr><th scope="col">Seq</th><th>Description</th><th>Document</th><th>Type</th><th>Size</th></tr>
{rows}
</table></div></body></html>
"""
_LISTED = (
    '<tr><td scope="row">{number}</td><td scope="row">{type}</td><td scope="row"><a href="{path}">{name}</a></td>'
    '<td scope="row">{type}</td><td scope="row">{size}</td></tr>'
)
_COVER = """<!DOCTYPE html>
<html><head><title>{form}</title></head><body>
<p>UNITED STATES SECURITIES AND EXCHANGE COMMISSION</p><p>Washington, D.C. 20549</p>
<p><b>FORM {form}</b></p><p>CURRENT REPORT Pursuant to Section 13 or 15(d) of the Securities Exchange Act of 1934</p>
<p>Date of Report (Date of earliest event reported): {day}</p>
<p><b>{name}</b></p><p>(Exact name of registrant as specified in its charter)</p>
{body}
<p><b>SIGNATURE</b></p><p>Pursuant to the requirements of the Securities Exchange Act of 1934, the registrant has duly caused this report
to be signed on its behalf by the undersigned hereunto duly authorized.</p><p>Date: {day}</p></body></html>
"""


def routes(world: World, refusal: Callable[[Request], Response | None]) -> list[Route]:
    """Return the routes of the archive below ``/sec_edgar_www``; a file that isn't there is refused as S3 does, with 403."""

    async def document(request: Request) -> Response:
        refused = refusal(request)
        if refused is not None:
            return refused
        cik, folder, name = (request.path_params[part] for part in ("cik", "folder", "name"))
        now, number = present(request), f"{cik:010d}"
        followed = ((each, ISSUERS[number]) for each in filings_of(world, number, now)) if number in ISSUERS else ()
        others = ((each, _stranger(each, filer)) for each, filer in strangers(world, now) if each.cik == number)
        known = (each for each in (*followed, *others) if each[0].accession_number.replace("-", "") == folder)
        filing, issuer = next(known, (None, None))
        page = None if filing is None or issuer is None else _served(world, filing, issuer, name)
        return Response(_NO_SUCH_FILE, 403, media_type="application/xml") if page is None else HTMLResponse(page)

    return [Route("/Archives/edgar/data/{cik:int}/{folder}/{name}", document)]


def _stranger(filing: Filing, name: str) -> Issuer:
    return Issuer(filing.cik, name, (), (), "", "", "")


def _served(world: World, filing: Filing, issuer: Issuer, name: str) -> str | None:
    if name == f"{filing.accession_number}-index.htm":
        return _listing(filing)
    if name == filing.document:
        return _main(world, filing, issuer)
    return _results(world, filing, issuer) if name == _PRESS_RELEASE and _has_results(filing) else None


def _listing(filing: Filing) -> str:
    documents = [(filing.form, filing.document)] + ([("EX-99.1", _PRESS_RELEASE)] if _has_results(filing) else [])
    folder = f"/Archives/edgar/data/{int(filing.cik)}/{filing.accession_number.replace('-', '')}"
    rows = [
        _LISTED.format(
            number=number,
            type=type_,
            path=f"/ix?doc={folder}/{name}" if number == 1 else f"{folder}/{name}",
            name=name,
            size=filing.size_bytes,
        )
        for number, (type_, name) in enumerate(documents, 1)
    ]
    return _PAGE.format(accession=filing.accession_number, rows="\n".join(rows))


def _main(world: World, filing: Filing, issuer: Issuer) -> str:
    items = [_ITEMS[item](world, filing, issuer) for item in filing.items.split(",") if item in _ITEMS]
    body = "\n".join(items) or "<p>Item 8.01 Other Events.</p><p>The registrant reports no figures with this filing.</p>"
    return _COVER.format(form=filing.form, name=escape(issuer.name), day=_day(filing), body=body)


def _purchase(world: World, filing: Filing, issuer: Issuer) -> str:
    """Tell of a week of purchases, as treasury companies do; funds tell what they hold."""
    coin, code, price = _COINS.get(filing.cik, _BITCOIN)
    bought = round(between(150, 6_000, world.seed, "bought", filing.accession_number))
    held = round(between(20_000, 600_000, world.seed, "held", filing.cik)) + bought
    name, plural = issuer.name, coin if code == "ETH" else f"{coin}s"
    if issuer.fund:
        return f"<p><b>Item 8.01 Other Events.</b></p><p>As of {_day(filing)}, {escape(name)} held {held:,} {plural}.</p>"
    average = price * between(0.94, 1.06, world.seed, "paid", filing.accession_number)
    begin, end = (f"{filing.accepted_at - timedelta(days=age):%B %-d, %Y}" for age in (7, 1))
    return f"""<p><b>Item 8.01 Other Events.</b></p><p><b>{code} Update</b></p>
<p>During the period between {begin} and {end}, {escape(name)} acquired {bought:,} {plural} for an aggregate purchase price of
${bought * average / 1e6:,.1f} million, at an average price of ${average:,.0f} per {coin}, inclusive of fees and expenses.</p>
<p>As of {end}, {escape(name)} held an aggregate of {held:,} {plural}.</p>"""


def _notes(world: World, filing: Filing, issuer: Issuer) -> str:
    principal = round(between(3, 20, world.seed, "principal", filing.accession_number)) * 50
    proceeds = principal * 0.985
    return f"""<p><b>Item 1.01 Entry into a Material Definitive Agreement.</b></p>
<p>On {_day(filing)}, {escape(issuer.name)} completed its previously announced offering of ${principal} million aggregate principal amount
of its 0% Convertible Senior Notes due 2031. The net proceeds from the sale of the notes were approximately ${proceeds:,.1f} million.</p>"""


def _results_item(_world: World, _filing: Filing, _issuer: Issuer) -> str:
    return """<p><b>Item 2.02 Results of Operations and Financial Condition.</b></p>
<p>The press release with the results of the quarter is furnished as Exhibit 99.1.</p>"""


def _results(world: World, filing: Filing, issuer: Issuer) -> str:
    revenue = between(90, 1_900, world.seed, "revenue", filing.accession_number)
    income = between(-200, 600, world.seed, "income", filing.accession_number)
    result = f"net income of ${income:,.1f} million" if income >= 0 else f"a net loss of ${-income:,.1f} million"
    name = escape(issuer.name)
    return f"""<!DOCTYPE html>
<html><head><title>EX-99.1</title></head><body><p><b>{name} Announces Results of the Quarter</b></p>
<p>{_day(filing)}. {name} reported total revenue of ${revenue:,.1f} million and {result} for the quarter.</p></body></html>
"""


_ITEMS: dict[str, Callable[[World, Filing, Issuer], str]] = {"8.01": _purchase, "1.01": _notes, "2.02": _results_item}


def _has_results(filing: Filing) -> bool:
    return "2.02" in filing.items.split(",")


def _day(filing: Filing) -> str:
    return f"{filing.accepted_at:%B %-d, %Y}"
