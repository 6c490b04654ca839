"""``www.ecb.europa.eu``: the euro's reference rates of working days, as the bank's XML files tell them."""

from __future__ import annotations

from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omc_pipeline.sandbox.market import aud_per_usd, usd_per_eur
from omc_pipeline.sandbox.world import HISTORY, World, day_start, present

_PER_USD = {"GBP": 0.78, "JPY": 149.5, "CHF": 0.88, "CAD": 1.37, "NZD": 1.66, "SGD": 1.34}
"""Levels of further currencies, in units for a dollar; they move with the dollar."""
_TAKEN, _PUBLISHED = timedelta(hours=13, minutes=15), timedelta(hours=15)
_BEFORE_HISTORY_DAYS = 7
"""Days before the history, so that a weekend at its beginning has a rate, too."""
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<gesmes:subject>Reference rates</gesmes:subject><gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
<Cube>"""


def routes(world: World) -> list[Route]:
    """Return the routes below ``/ecb``."""

    async def daily(request: Request) -> Response:
        return _answer(world.seed, _working_days(present(request))[:1])

    async def history(request: Request) -> Response:
        return _answer(world.seed, _working_days(present(request)))

    base = "/stats/eurofxref/eurofxref"
    return [Route(f"{base}-daily.xml", daily), Route(f"{base}-hist-90d.xml", history), Route(f"{base}-hist.xml", history)]


def _answer(seed: int, days: list[datetime]) -> Response:
    return Response(_HEAD + "".join(_cube(seed, day) for day in days) + "</Cube></gesmes:Envelope>", media_type="text/xml")


def _working_days(now: datetime) -> list[datetime]:
    """Return the days whose rates are published, newest first."""
    newest = day_start(now - _PUBLISHED)
    days = [newest - timedelta(days=age) for age in range(HISTORY.days + _BEFORE_HISTORY_DAYS)]
    return [day for day in days if day.weekday() < 5]


def _cube(seed: int, day: datetime) -> str:
    at_s = (day + _TAKEN).timestamp()
    dollar = usd_per_eur(seed, at_s)
    rates = {"USD": dollar, "AUD": dollar * aud_per_usd(seed, at_s), **{name: dollar * level for name, level in _PER_USD.items()}}
    cubes = "".join(f"<Cube currency='{name}' rate='{rate:.5g}'/>" for name, rate in rates.items())
    return f"<Cube time='{day.date().isoformat()}'>{cubes}</Cube>"
