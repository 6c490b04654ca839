"""Closed vocabularies of the words that a brief may print from a ledger row.

A row's text comes from outside; whoever can choose a form type or a metric's name could otherwise write a sentence into a brief. A
value that is not in its vocabulary stays in the ledger and is not printed.
"""

from __future__ import annotations

from typing import get_args

from omc_pipeline.documents.vocabulary import KINDS
from omc_pipeline.pnl.policy import Method

EVENT_TYPES = frozenset(
    {
        "filing", "listing", "delisting", "announcement", "maintenance", "trading", "feature", "proposal", "vote", "governance",
        "incident", "other",
    }
)  # fmt: skip
SENTIMENT_METRICS = frozenset({"fear_greed", "title_sentiment", "votes", "score"})
SIDES = frozenset({"buy", "sell"})
LEDGER_NAMES = frozenset({"glass", "human", "catalyst", "exchange"})
DOCUMENT_STATES = frozenset({"fetched", "missing", "too_large", "not_text"})
METHODS = frozenset(get_args(Method))
FACTS = frozenset(KINDS)
"""What a document can state; a fact of another kind may stand, but nobody printed its name before."""
