"""Bid, ask and last of every market CoinSpot lists.

Source: CoinSpot, ``GET https://www.coinspot.com.au/pubapi/v2/latest`` (v1 ``/pubapi/latest`` reads the same), no key, 1,000
    requests a minute.
Shape: ``{"status": "ok", "prices": {"btc": {"bid", "ask", "last"}}}``; v2 adds ``"message": "ok"``. Numbers come as strings, the
    documentation shows numbers; keys are lower case, some of them CoinSpot's own tickers (ans, str, luna); a key ``btc_usdt`` is a market
    against another coin. A price that is no positive number (``"NaN"``, null, "", 0) is absent, and the others of its row are kept;
    a bid above its ask is kept and marked. ``last`` may lie outside bid..ask, as where the last trade was before the book moved.
Units: Australian dollars a coin, or the other coin of the key. No timestamp: a quote is observed in the second of its fetch.
Errors: ``status`` other than ok; an empty price set is one, too. A single market's quote doesn't name its coin and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Source
from omc_pipeline.collection.values import described, usable_amount
from omc_pipeline.ledgers.exchange import QUOTE, Quote
from omc_pipeline.sources._coinspot import HOMEPAGE, HOST, opened, symbol_of

_NAME = "exchange_coinspot_prices"
_PRICES = ("bid", "ask", "last")


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch the current quotes of all markets."""
    yield context.http.get("/pubapi/v2/latest", conditional=False)


def parse(payload: Payload, config: SourceConfig) -> Parsed:
    """Read one quote per market."""
    prices = opened(payload).get("prices")
    if not isinstance(prices, dict):
        raise PayloadChangedError(f"{_NAME}: no object 'prices' ({described(prices)}), so this is no answer of /latest")
    if not prices:
        raise PayloadChangedError(f"{_NAME}: 'prices' is empty: no market is quoted")
    if "last" in prices and not isinstance(prices["last"], dict):
        raise PayloadChangedError(f"{_NAME}: a single market's quote, which doesn't name its coin; ask for /latest")
    second = payload.fetched_at.replace(microsecond=0)
    tickers = {key.upper() for key in prices}
    named = partial(symbol_of, config.assets, at=second, beside=tickers)
    seen: set[tuple[str, str]] = set()

    def quote(item: Item) -> Quote:
        row = _quote(item, second, named)
        if (row.symbol, row.currency) in seen:
            raise ValueError(f"{row.symbol}/{row.currency} is quoted twice")
        seen.add((row.symbol, row.currency))
        return row

    items: Iterator[Json] = (
        {**price, "market": key} if isinstance(price, dict) else {"market": key, "quote": price} for key, price in prices.items()
    )
    return read_items(items, quote)


def _quote(item: Item, second: datetime, named: Callable[[str], str]) -> Quote:
    base, _, quoted_in = str(item["market"]).partition("_")
    bid, ask, last = (usable_amount(item, name, above=0) for name in _PRICES)
    if bid is None and ask is None and last is None:
        raise ValueError(f"no usable price: {', '.join(f'{name} is {described(item.get(name))}' for name in _PRICES)}")
    return Quote(
        symbol=named(base),
        currency=named(quoted_in) if quoted_in else "AUD",
        observed_at=second,
        bid=bid,
        ask=ask,
        last=last,
        is_crossed=bid is not None and ask is not None and bid > ask,
    )


SOURCE = Source(
    name=_NAME,
    title="CoinSpot quotes",
    tables=(QUOTE,),
    endpoints=(Endpoint("latest", cron="* * * * *", every_s=60, sample_every_s=10, fetch=fetch),),
    policy=HOST,
    parse=parse,
    homepage=HOMEPAGE,
)
