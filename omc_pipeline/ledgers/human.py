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
    """One score of one metric for one symbol.

    Attributes:
        symbol: Coin that the score is about; ``MARKET`` for the whole market.
        metric: What is measured, such as ``fear_greed``; its scale stands in the docstring of its source.
        observed_at: The time that the source gives the score.
        score (the metric's scale): The score; fear and greed goes from 0 (fear) to 100 (greed).
        label: The source's word for the score, such as ``Greed``; NULL where it gives none.
    """

    symbol: str
    metric: str
    observed_at: datetime
    score: Decimal
    label: str | None


SENTIMENT = LedgerTable("human", "sentiment", Sentiment, key=("symbol", "metric", "observed_at"), clock="observed_at")
Sentiment.table = SENTIMENT
TABLES = (SENTIMENT,)
