"""Fear & Greed index of the whole crypto market, one score a day.

Source: alternative.me, ``GET https://api.alternative.me/fng/?limit=N`` (0 = all, from February 2018), no key; attribution is asked for.
Shape: ``{"name": "Fear and Greed Index", "data": [{"value", "value_classification", "timestamp"}], "metadata": {"error"}}``, newest
    first. Numbers come as strings of digits. ``time_until_update`` stands on the first row only, and not always. Today's row may
    be revised: that is a new version. CoinMarketCap's index has the same words in another shape and is refused.
Units: score 0 (extreme fear) to 100 (extreme greed); ``timestamp`` seconds since 1970, midnight UTC of the day it speaks of.
Errors: ``metadata.error`` is null, or says what is wrong with status 200.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

from omc_infra.errors import PayloadChangedError, UpstreamRefusedError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import read_json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, FetchContext, History, Parsed, Source
from omc_pipeline.collection.values import described, instant_of_epoch, optional_text
from omc_pipeline.collection.window import Window, floor
from omc_pipeline.ledgers.human import SENTIMENT, WHOLE_MARKET, Sentiment

METRIC = "fear_greed"

_NAME = "human_fear_greed"
_WHOLE_HISTORY = 0
_REVISED_DAYS = 3
_SCORE = re.compile(r"\d{1,3}", re.ASCII)


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch the days since the ledger's newest, and a few before it for revisions; all days if the ledger has none."""
    days = _WHOLE_HISTORY if context.since is None else max(1, (context.now - context.since).days + _REVISED_DAYS)
    yield context.http.get("/fng/", params={"limit": str(days)})


def fetch_history(context: FetchContext, window: Window) -> Iterator[Payload]:
    """Fetch as many days as needed to reach the window, because the API has no ranges."""
    days = max(1, (context.now.date() - window.first_day).days + 1)
    yield context.http.get("/fng/", params={"limit": str(days)}, conditional=False)


def parse(payload: Payload, _config: SourceConfig) -> Parsed:
    """Read one row per day."""
    document = read_json(payload)
    if not isinstance(document, dict) or "status" in document or not isinstance(document.get("data"), list):
        raise PayloadChangedError(f"{_NAME}: not the index of alternative.me: expected 'name', a list 'data' and 'metadata'")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        raise PayloadChangedError(f"{_NAME}: no object 'metadata'; is this another vendor's index?")
    if metadata.get("error") is not None:
        raise UpstreamRefusedError(f"{_NAME}: the index reports an error: {one_line(str(metadata['error']))}")
    days = document["data"]
    if not isinstance(days, list) or not days:
        raise PayloadChangedError(f"{_NAME}: 'data' holds no day")
    return read_items(days, _sentiment)


def _sentiment(day: Item) -> Sentiment:
    return Sentiment(
        symbol=WHOLE_MARKET,
        metric=METRIC,
        observed_at=_midnight(day),
        score=_score(day),
        label=optional_text(day, "value_classification", 60),
    )


def _midnight(day: Item) -> datetime:
    """Return the day of a row; a time other than midnight would be a second score of a day."""
    moment = instant_of_epoch(day, "timestamp")
    if moment != floor(moment, "day"):
        raise ValueError(f"timestamp {moment:%Y-%m-%dT%H:%M:%SZ} is no midnight UTC")
    return moment


def _score(day: Item) -> Decimal:
    written = day.get("value")
    if not isinstance(written, str) or not _SCORE.fullmatch(written) or int(written) > 100:
        raise ValueError(f"value is {described(written)}, not digits from 0 to 100 as text")
    return Decimal(int(written))


SOURCE = Source(
    name=_NAME,
    title="Fear & Greed index",
    tables=(SENTIMENT,),
    endpoints=(Endpoint("index", cron="15 * * * *", every_s=3_600, fetch=fetch),),
    policy=HostPolicy(live_urls=("https://api.alternative.me",), sandbox_path="/fng", requests_per_s=0.5, burst=2),
    parse=parse,
    history=History(first_day=date(2018, 2, 1), fetch=fetch_history),
    homepage="https://alternative.me/crypto/fear-and-greed-index/#api",
)
