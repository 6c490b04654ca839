"""The order of trades at one instant: a file's own numbers, its ids, or the order of its rows, as far as holdings allow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, pairwise
from operator import attrgetter

from omc_pipeline.pnl.kinds import PAIRED
from omc_pipeline.pnl.trade import Trade, in_order


def numbered(trades: Sequence[Trade], *, by_rows: bool) -> list[Trade]:
    """Give trades of one file a sequence, where the file tells one.

    A sequence that a row states stays. Else whole numbers as ids decide, where they grow (or fall) with time in every coin; else the
    order of the rows, where it is that of time, oldest or newest first.

    Args:
        trades: In the order of the rows.
        by_rows: Whether rows may tell; those of a case file stand in no order.
    """
    if any(trade.sequence for trade in trades) or len({(trade.symbol, trade.time) for trade in trades}) == len(trades):
        return list(trades)  # stated, or no two of a coin at one instant
    found: list[Trade] | None = None
    if all(trade.id.isascii() and trade.id.isdecimal() for trade in trades):
        found = _directed(trades, [int(trade.id) for trade in trades], otherwise=1)
    if found is None and by_rows:
        found = _directed(trades, range(1, len(trades) + 1), otherwise=0)
    return list(trades) if found is None else found


def direction(keys: Sequence[int], times: Sequence[datetime]) -> int | None:
    """Return 1 where keys grow with time, -1 where they fall, 0 where they do neither; None where all are of one instant."""
    ordered = sorted(zip(times, keys, strict=True))
    spans = [[key for _, key in group] for _, group in groupby(ordered, key=lambda pair: pair[0])]
    if len(spans) < 2:
        return None
    if all(max(one) < min(two) for one, two in pairwise(spans)):
        return 1
    return -1 if all(min(one) > max(two) for one, two in pairwise(spans)) else 0


def _directed(trades: Sequence[Trade], keys: Sequence[int], *, otherwise: int) -> list[Trade] | None:
    """Return trades with keys as sequences, or None where the keys of a coin don't follow time.

    Coins of one instant go the way of the others; ``otherwise`` is that of a file in which no coin has two instants, 0 for none.
    """
    of_coin: dict[str, list[int]] = {}
    for at, trade in enumerate(trades):
        of_coin.setdefault(trade.symbol, []).append(at)
    signs = {symbol: direction([keys[at] for at in places], [trades[at].time for at in places]) for symbol, places in of_coin.items()}
    signs_found = {sign for sign in signs.values() if sign is not None}
    usual = signs_found.pop() if len(signs_found) == 1 else otherwise
    if 0 in signs.values() or not usual:
        return None
    return [trade._replace(sequence=(signs[trade.symbol] or usual) * key) for trade, key in zip(trades, keys, strict=True)]


def as_holdings_allow(trades: Sequence[Trade]) -> tuple[list[Trade], list[str]]:
    """Let buys come first at an instant whose own order sells what was not held yet, and say what was taken to be so.

    Args:
        trades: Of all coins.

    Returns:
        The trades, and a line for each way in which ties were decided; none where no coin was bought and sold at one instant.
    """
    tied = _tied(trades)
    if not tied:
        return list(trades), []
    ordered = in_order([trade for trade in trades if trade.symbol in tied])
    turned: set[tuple[str, object]] = set()
    stated = unstated = 0
    by_coin = sorted(ordered, key=attrgetter("symbol"))
    for symbol, own in groupby(by_coin, key=attrgetter("symbol")):
        held = 0
        for time, group in _instants(own):
            after, short = _walked(held, group)
            if time in tied[symbol]:
                is_stated = len({trade.sequence for trade in group}) > 1
                first = sorted(group, key=lambda trade: trade.side)
                if is_stated and short > _walked(held, first)[1]:
                    turned.add((symbol, time))
                    after, short = _walked(held, first)
                stated, unstated = stated + is_stated, unstated + (not is_stated)
            held = after
    lines = []
    if stated - len(turned):
        lines.append(f"{_times(stated - len(turned))} at which a coin was both bought and sold, the file tells which came first")
    if turned:
        lines.append(f"{_times(len(turned))} the order of the file sells more than was held, so what was bought comes first there")
    if unstated:
        lines.append(f"{_times(unstated)} a coin was both bought and sold and nothing tells which came first; what was bought comes first")
    if not turned:
        return list(trades), lines
    return [trade._replace(sequence=0) if (trade.symbol, trade.time) in turned else trade for trade in trades], lines


def _times(count: int) -> str:
    return f"at {count:,} time{'' if count == 1 else 's'}"


def _tied(trades: Sequence[Trade]) -> dict[str, set[object]]:
    """Return by coin the instants at which it was both bought and sold."""
    sides: dict[tuple[str, object], str] = {}
    found: dict[str, set[object]] = {}
    for trade in trades:
        if trade.kind not in PAIRED and sides.setdefault((trade.symbol, trade.time), trade.side) != trade.side:
            found.setdefault(trade.symbol, set()).add(trade.time)
    return found


def _instants(trades: Iterator[Trade]) -> Iterator[tuple[object, list[Trade]]]:
    key: Callable[[Trade], object] = attrgetter("time")
    for time, group in groupby(trades, key=key):
        yield time, list(group)


def _walked(held: int, trades: Sequence[Trade]) -> tuple[int, int]:
    """Return what is held after trades, and how much of what they sold was not."""
    short = 0
    for trade in trades:
        held += trade.qty if trade.side == "buy" else -trade.qty
        if held < 0:
            short, held = short - held, 0
    return held, short
