"""Lowest in, first out: a sell takes from the lot with the lowest spot price held now; of equals, the oldest."""

from __future__ import annotations

from collections.abc import Sequence

from omc_pipeline.pnl.engine import match_lots
from omc_pipeline.pnl.methods.hifo import ByPrice
from omc_pipeline.pnl.policy import OversellPolicy
from omc_pipeline.pnl.result import Matching
from omc_pipeline.pnl.trade import Trade


def match_lofo(trades: Sequence[Trade], policy: OversellPolicy) -> Matching:
    """Match each sell to the cheapest lots."""
    return match_lots(trades, ByPrice(1), policy)
