"""Trend of the Fear & Greed index: its mean over some days, and whether the mean rises or falls.

Source: derived from the rows of ``human_fear_greed`` in ``human.sentiment``; asks no upstream.
Shape: the body is what the platform wrote down of those rows: ``{"table", "window", "rows": [{"metric", "observed_at", "score", ..}]}``.
Units: score 0 to 100 as the index, metric ``fear_greed_mean_<days>d``; label *rising*, *falling* or *flat* against the mean of the day
    before; *flat* also where that mean is not known. A day has a mean only if the index is known for each of its days.
Errors: none of its own; it has rows from the first collection of the index on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import read_json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, History, LedgerInput, Parsed, Source
from omc_pipeline.collection.values import amount, instant, text
from omc_pipeline.ledgers.human import SENTIMENT, WHOLE_MARKET, Sentiment

LONGEST_DAYS = 90
"""Most days of a mean: so far the computation looks back."""

_NAME = "human_fear_greed_trend"
_INDEX = "human_fear_greed"
_METRIC = "fear_greed"
_DAY = timedelta(days=1)
_CENT = Decimal("0.01")


def _spans(days: tuple[int, ...]) -> tuple[int, ...]:
    if not days or len(set(days)) != len(days):
        raise ValueError(f"must be different numbers of days, each from 2 to {LONGEST_DAYS}")
    return days


class TrendConfig(SourceConfig):
    """Options: over how many days the index is averaged."""

    days: Annotated[tuple[Annotated[int, Field(ge=2, le=LONGEST_DAYS)], ...], AfterValidator(_spans)] = Field(
        (7, 30), description="Number of days of each mean."
    )


def parse(payload: Payload, config: TrendConfig) -> Parsed:
    """Compute one row per day and mean."""
    document = read_json(payload)
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows:
        raise PayloadChangedError(f"{_NAME}: no rows of {_INDEX}: not an input of this computation")
    scores: dict[datetime, Decimal] = {}
    read = read_items(rows, lambda row: _score(row, scores))
    return Parsed(list(_trend(scores, config.days)), read.rejected)


def _score(row: Item, scores: dict[datetime, Decimal]) -> Sentiment:
    """Read one score of the index, and note it under its day."""
    score = Sentiment(text(row, "symbol", 20), text(row, "metric", 60), instant(row, "observed_at"), amount(row, "score", least=0), None)
    if (score.symbol, score.metric) != (WHOLE_MARKET, _METRIC):
        raise ValueError(f"a score of {score.metric}, not of {_METRIC}")
    scores[score.observed_at] = score.score
    return score


def _trend(scores: Mapping[datetime, Decimal], spans: Sequence[int]) -> Iterator[Sentiment]:
    for day in sorted(scores):
        for span in spans:
            mean, before = _mean(scores, day, span), _mean(scores, day - _DAY, span)
            if mean is not None:
                yield Sentiment(WHOLE_MARKET, f"{_METRIC}_mean_{span}d", day, mean, _label(mean, before))


def _mean(scores: Mapping[datetime, Decimal], last: datetime, span: int) -> Decimal | None:
    days = [scores.get(last - _DAY * age) for age in range(span)]
    known = [score for score in days if score is not None]
    return (sum(known, Decimal(0)) / span).quantize(_CENT, ROUND_HALF_EVEN) if len(known) == span else None


def _label(mean: Decimal, before: Decimal | None) -> str:
    if before is None or mean == before:
        return "flat"
    return "rising" if mean > before else "falling"


SOURCE = Source(
    name=_NAME,
    title="Fear & Greed trend",
    tables=(SENTIMENT,),
    endpoints=(
        Endpoint(
            "trend",
            cron="15 * * * *",
            every_s=3_600,
            reads=LedgerInput(SENTIMENT, sources=(_INDEX,), step="day", lookback_days=LONGEST_DAYS),
        ),
    ),
    parse=parse,
    config=TrendConfig,
    history=History(first_day=date(2018, 2, 1)),
    homepage="https://alternative.me/crypto/fear-and-greed-index/",
)
