"""Results as one JSON document, in the words of the case format: amounts are decimal text, unrounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.mark import Mark
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.result import OpenLot, PnlException, PositionResult
from omc_pipeline.pnl.trade import Match


def answer(
    positions: Sequence[PositionResult],
    method: Method,
    exceptions: Sequence[PnlException],
    mark: Mark | None = None,
    *,
    is_short: bool = False,
) -> dict[str, Any]:
    """Return the document that ``omc pnl compute --json`` prints.

    Args:
        positions: Of one file. Where they are several, every entry names its ``symbol``.
        method: The average has no lots to match, so its ``matches`` are empty.
        exceptions: Those of reading and marking; the positions' own are added.
        mark: Value of what is held, where prices were given.
        is_short: Leave out every row of a match, gain or lot; the sums are those of all.
    """
    several = len(positions) > 1
    tagged = [] if is_short else [(position, {"symbol": position.symbol} if several else {}) for position in positions]
    document: dict[str, Any] = {
        "realized": [{**tag, "sell": sell, "gain": text_of(gain)} for p, tag in tagged for sell, gain in p.matching.realized.items()],
        "matches": [] if method == "avg" else [{**tag, **_match(match)} for p, tag in tagged for match in p.matching.matches],
        "open_lots": [{**tag, **_open_lot(lot)} for p, tag in tagged for lot in p.matching.open_lots],
        "unmatched": {sell: text_of(qty) for p in positions for sell, qty in p.matching.unmatched.items()},
        "income": text_of(sum(p.income for p in positions)),
        "total_realized": text_of(sum(p.realized for p in positions)),
        "exceptions": [exception_row(row) for row in (*exceptions, *(row for p in positions for row in p.exceptions))],
    }
    return document if mark is None else {**document, "mark": _mark(positions, mark)}


def _match(match: Match) -> Mapping[str, str | None]:
    amounts = {"qty": match.qty, "cost": match.cost, "proceeds": match.proceeds, "gain": match.gain}
    row: dict[str, str | None] = {"sell": match.sell, "lot": match.lot, **{name: text_of(units) for name, units in amounts.items()}}
    return row if match.rule is None else {**row, "rule": match.rule}


def _open_lot(lot: OpenLot) -> Mapping[str, str]:
    return {"id": lot.id, "qty": text_of(lot.qty), "cost": text_of(lot.cost)}


def exception_row(row: PnlException) -> dict[str, str | None]:
    """Write an exception as JSON."""
    return {
        "kind": row.kind,
        "symbol": row.symbol,
        "fill": row.fill,
        "qty": None if row.qty is None else text_of(row.qty),
        "message": row.message,
    }


def _mark(positions: Sequence[PositionResult], mark: Mark) -> Mapping[str, str | None]:
    if mark.value is None or mark.unrealized is None:
        return {"value": None, "unrealized": None, "gross": None, "net": None}
    gains, realized = sum(p.gains for p in positions), sum(p.realized for p in positions)
    amounts = {"value": mark.value, "unrealized": mark.unrealized, "gross": gains + mark.unrealized, "net": realized + mark.unrealized}
    return {name: text_of(units) for name, units in amounts.items()}
