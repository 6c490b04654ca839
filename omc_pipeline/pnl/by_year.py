"""What was gained with each coin in each year, and what of it is held: the short form of an answer with very many matches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Any

from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.kinds import AT_COST
from omc_pipeline.pnl.result import PositionResult


def gains_by_year(positions: Sequence[PositionResult], zone: tzinfo) -> list[dict[str, Any]]:
    """Return a row for each coin and calendar year with sales: their number, proceeds, cost and gain; fees that are expensed stay out.

    Args:
        positions: As computed.
        zone: Whose years.
    """
    rows = []
    for position in positions:
        years: dict[int, list[int]] = {}
        last: str | None = None
        for sell, _, _, cost, proceeds, _, disposed_at, rule in position.matching.matches.pieces:
            if rule in AT_COST:
                continue
            sums = years.setdefault((disposed_at if zone is UTC else disposed_at.astimezone(zone)).year, [0, 0, 0])
            sums[0] += sell != last
            sums[1] += proceeds
            sums[2] += cost
            last = sell
        rows += [
            {
                "symbol": position.symbol,
                "year": str(year),
                "sales": sales,
                "proceeds": text_of(proceeds),
                "cost": text_of(cost),
                "gain": text_of(proceeds - cost),
            }
            for year, (sales, proceeds, cost) in sorted(years.items())
        ]
    return rows


def holdings(positions: Sequence[PositionResult]) -> list[dict[str, Any]]:
    """Return what is held of each coin, and its cost."""
    held = [position for position in positions if position.qty]
    return [{"symbol": one.symbol, "lots": len(one.matching.open_lots), "qty": text_of(one.qty), "cost": text_of(one.cost)} for one in held]
