"""Human: what people say. Sentiment scores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from omc_pipeline.ledgers.table import LedgerTable, Row

WHOLE_MARKET = "MARKET"
"""The symbol of rows that speak of the whole market."""


@dataclass(frozen=True, slots=True)
class Sentiment(Row):
    """One score of one metric for one symbol; the metric's scale is in its source's docstring."""

    symbol: str
    metric: str
    observed_at: datetime
    score: Decimal
    label: str | None


SENTIMENT = LedgerTable("human", "sentiment", Sentiment, key=("symbol", "metric", "observed_at"), clock="observed_at")
Sentiment.table = SENTIMENT
TABLES = (SENTIMENT,)
