"""``data.sec.gov``: submissions as columns, for whoever says who he is and asks no more than ten times a second."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.filings import ISSUERS, Filing, Issuer, filings_of
from omc_pipeline.sandbox.world import World, iso_ms, present

REQUESTS_PER_S = 10
_CONTACT = re.compile(r"[^\s@()]+@[^\s@()]+\.[^\s@()]+")
_UNDECLARED = """<!DOCTYPE html>
<html lang="en"><head><title>SEC.gov | Your Request Originates from an Undeclared Automated Tool</title></head>
<body><h1>Your Request Originates from an Undeclared Automated Tool</h1>
<p>Please declare your traffic by updating your user agent to include company specific information.</p></body></html>"""
_TOO_FAST = """<!DOCTYPE html>
<html lang="en"><head><title>SEC.gov | Request Rate Threshold Exceeded</title></head>
<body><h1>Request Rate Threshold Exceeded</h1>
<p>Please try again in ten minutes.</p></body></html>"""
_NO_SUCH_KEY = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>{key}</Key>\
<RequestId>SANDBOX000000000</RequestId><HostId>sandbox</HostId></Error>"""


Refusal = Callable[[Request], Response | None]


def gate() -> Refusal:
    """Return what turns away who doesn't say who he is, or asks too fast; None for who may pass."""
    recent: deque[float] = deque(maxlen=REQUESTS_PER_S)

    def refusal(request: Request) -> Response | None:
        if not _CONTACT.search(request.headers.get("user-agent", "")):
            return HTMLResponse(_UNDECLARED, 403)
        return HTMLResponse(_TOO_FAST, 403) if _is_too_fast(recent) else None

    return refusal


def routes(world: World, refusal: Refusal) -> list[Route]:
    """Return the routes below ``/sec_edgar``; ``refusal`` is counted over all hosts of the SEC."""

    async def submissions(request: Request) -> Response:
        refused = refusal(request)
        if refused is not None:
            return refused
        name = request.path_params["name"]
        found = re.fullmatch(r"CIK(\d{10})\.json", name)
        issuer = ISSUERS.get(found[1]) if found else None
        if issuer is None:
            return Response(_NO_SUCH_KEY.format(key=f"submissions/{name}"), 404, media_type="application/xml")
        body = json.dumps(_submissions(issuer, filings_of(world, issuer.cik, present(request)))).encode()
        return _validated(request, body)

    return [Route("/submissions/{name}", submissions)]


def _is_too_fast(recent: deque[float]) -> bool:
    now = time.monotonic()
    if len(recent) == REQUESTS_PER_S and now - recent[0] < 1:
        return True
    recent.append(now)
    return False


def _validated(request: Request, body: bytes) -> Response:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    return Response(body, media_type="application/json", headers={"ETag": etag})


def _submissions(issuer: Issuer, filings: Sequence[Filing]) -> dict[str, Any]:
    return {
        "cik": issuer.cik,
        "entityType": "other" if issuer.fund else "operating",
        "sic": issuer.sic,
        "sicDescription": issuer.sic_description,
        "ownerOrg": "" if issuer.fund else "08 Industrial Applications and Services",
        "insiderTransactionForOwnerExists": 0,
        "insiderTransactionForIssuerExists": 0 if issuer.fund else 1,
        "name": issuer.name,
        "tickers": list(issuer.tickers),
        "exchanges": list(issuer.exchanges),
        "ein": "000000000",
        "lei": None,
        "description": "",
        "website": "",
        "investorWebsite": "",
        "category": issuer.category,
        "fiscalYearEnd": "1231",
        "stateOfIncorporation": "DE",
        "stateOfIncorporationDescription": "DE",
        "addresses": {"mailing": _ADDRESS, "business": _ADDRESS},
        "phone": "000-555-0100",
        "flags": "",
        "formerNames": [],
        "filings": {"recent": _columns(filings), "files": []},
    }


def _columns(filings: Sequence[Filing]) -> dict[str, list[Any]]:
    return {
        "accessionNumber": [filing.accession_number for filing in filings],
        "filingDate": [_filing_date(filing) for filing in filings],
        "reportDate": ["" if filing.form in ("424B3", "424B5", "S-3", "144") else f"{filing.accepted_at:%Y-%m-%d}" for filing in filings],
        "acceptanceDateTime": [iso_ms(filing.accepted_at) for filing in filings],
        "act": ["34" if filing.form.startswith("8") else "" for filing in filings],
        "form": [filing.form for filing in filings],
        "fileNumber": ["001-00000" if filing.form.startswith("8") else "" for filing in filings],
        "filmNumber": [filing.accession_number[-6:] if filing.form.startswith("8") else "" for filing in filings],
        "items": [filing.items for filing in filings],
        "core_type": [filing.form for filing in filings],
        "size": [filing.size_bytes for filing in filings],
        "isXBRL": [int(filing.form.startswith("8-K")) for filing in filings],
        "isInlineXBRL": [int(filing.form.startswith("8-K")) for filing in filings],
        "primaryDocument": [filing.document for filing in filings],
        "primaryDocDescription": [filing.description for filing in filings],
    }


def _filing_date(filing: Filing) -> str:
    """Return the day a filing counts for: after 22:30 UTC, New York's 17:30 in winter, the next one, and never a weekend's."""
    late = (filing.accepted_at.hour, filing.accepted_at.minute) >= (22, 30)
    day = filing.accepted_at + timedelta(days=int(late))
    return f"{day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0):%Y-%m-%d}"


_ADDRESS = {
    "street1": "1 SANDBOX WAY",
    "street2": None,
    "city": "WILMINGTON",
    "stateOrCountry": "DE",
    "zipCode": "19801",
    "stateOrCountryDescription": "DE",
    "isForeignLocation": None,
    "foreignStateTerritory": None,
    "country": None,
    "countryCode": None,
}
