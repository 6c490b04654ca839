"""Reference exchange rates of the euro since 1999, published by the European Central Bank.

Source: European Central Bank, ``GET https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.xml`` (every day since 4 January 1999) and
    ``eurofxref-hist-90d.xml`` (the last 90 days); no key, to be named as the source. Contract from the bank's page and public clients;
    not verified against a live answer: validators for conditional requests, the size of the whole history (some 8 MB), limits.
Shape: ``<gesmes:Envelope><Cube><Cube time='2026-09-21'><Cube currency='USD' rate='1.1328'/>..``, newest day first, numbers as text. Days
    are working days of the bank (TARGET calendar): weekends and its holidays have no rate. Currencies come and go over the years.
Units: units of the currency for one euro. The rates are taken at about 14:15 Frankfurt time, which is ``observed_at``, and published
    at about 16:00. They are for information, not for transactions.
Errors: none of its own are known; an HTML page is refused as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from omc_infra.errors import PayloadChangedError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, FetchContext, History, Parsed, Source
from omc_pipeline.collection.values import amount, text
from omc_pipeline.collection.window import Window
from omc_pipeline.collection.xml_body import local_name, read_xml
from omc_pipeline.ledgers.glass import FX_RATE, FxRate

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_NAME = "glass_fx"
_BASE = "EUR"
_FIRST_DAY = date(1999, 1, 4)
_MONEY = (
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "JPY", "KRW", "MXN", "MYR", "NOK", "NZD",
    "PHP", "PLN", "SEK", "SGD", "THB", "TRY", "USD", "ZAR",
)  # fmt: skip
_TAKEN, _FRANKFURT = time(14, 15), "Europe/Berlin"
_LATELY = timedelta(days=80)
"""Days that the file of the last 90 days surely has."""


def _currency_text(written: str) -> str:
    if not (len(written) == 3 and written.isascii() and written.isalpha() and written.isupper()) or written == _BASE:
        raise ValueError('must be a currency like "AUD", other than EUR')
    return written


class FxConfig(SourceConfig):
    """Options: which currencies are followed."""

    currencies: tuple[Annotated[str, AfterValidator(_currency_text)], ...] = Field(
        _MONEY,
        min_length=1,
        description="Currencies to collect euro exchange rates of. Other currencies in the bank's files are ignored.",
    )


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch the last 90 days, or the whole history if the ledger's newest rate is older."""
    is_recent = context.since is not None and context.now - context.since < _LATELY
    yield context.http.get(_path("hist-90d" if is_recent else "hist"))


def fetch_history(context: FetchContext, window: Window) -> Iterator[Payload]:
    """Ask for the file that reaches back to the window."""
    yield context.http.get(_path("hist-90d" if context.now - window.since < _LATELY else "hist"), conditional=False)


def _path(span: str) -> str:
    return f"/stats/eurofxref/eurofxref-{span}.xml"


def parse(payload: Payload, config: FxConfig) -> Parsed:
    """Read one row per day and currency."""
    root = read_xml(payload)
    if local_name(root.tag) != "Envelope":
        raise PayloadChangedError(f"{_NAME}: the document is no Envelope as the bank's rates are")
    days = [element for element in root.iter() if local_name(element.tag) == "Cube" and "time" in element.attrib]
    if not days:
        raise PayloadChangedError(f"{_NAME}: an Envelope without a day: no Cube has a time")
    return read_items(
        (rate for day in days for rate in _rates(day, frozenset(config.currencies))), partial(_rate, zone=ZoneInfo(_FRANKFURT))
    )


def _rates(day: Element, wanted: frozenset[str]) -> Iterator[dict[str, Json]]:
    """Yield what one day says of the wanted currencies; what can't be told from them is left to be refused."""
    for cube in day:
        currency = cube.attrib.get("currency")
        if currency is None or currency in wanted or _is_odd(currency):
            yield {"day": day.attrib["time"], **cube.attrib}


def _is_odd(currency: str) -> bool:
    return not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper())


def _rate(rate: Item, zone: ZoneInfo) -> FxRate:
    day = date.fromisoformat(text(rate, "day", 10))
    if day < _FIRST_DAY:
        raise ValueError(f"day {day} is before the first of the euro")
    return FxRate(
        base=_BASE,
        currency=_currency_text(text(rate, "currency", 3)),
        day=day,
        observed_at=datetime.combine(day, _TAKEN, zone).astimezone(UTC),
        rate=amount(rate, "rate", above=0),
    )


SOURCE = Source(
    name=_NAME,
    title="ECB exchange rates",
    tables=(FX_RATE,),
    endpoints=(Endpoint("rates", cron="30 15 * * *", every_s=86_400, fetch=fetch),),
    policy=HostPolicy(live_urls=("https://www.ecb.europa.eu",), sandbox_path="/ecb", requests_per_s=0.5, burst=2, timeout_s=30.0),
    parse=parse,
    config=FxConfig,
    history=History(first_day=_FIRST_DAY, fetch=fetch_history),
    homepage="https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/html/index.en.html",
)
