"""UK share pooling: same day, then the next thirty days, then the section 104 pool.

All buys of a day are one buy and all sells one sell, whose id joins theirs with ``+``. Days are those of a zone, UTC unless
another is named. Companies have a 10-day rule, which is not here. Source: HMRC Cryptoassets Manual, CRYPTO22200 and after.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from itertools import chain, groupby
from typing import Literal

from omc_pipeline.pnl.engine import match_lots, settle_oversell
from omc_pipeline.pnl.kinds import AT_COST, PAIRED
from omc_pipeline.pnl.methods.average import Pool
from omc_pipeline.pnl.policy import OversellPolicy
from omc_pipeline.pnl.result import Matching, OpenLot
from omc_pipeline.pnl.split import remaining_share
from omc_pipeline.pnl.trade import Lot, Matches, Piece, Side, Trade

Rule = Literal["same_day", "30_day", "s104"]
_DAYS_AHEAD = 30
_BESIDE_THE_RULES = AT_COST | PAIRED
"""Kinds that no day's purchase is matched to: they go out of the pool and into it. A claim of negligible value: HMRC CG13129."""


@dataclass(slots=True)
class DaysSells:
    """All sells of a day as one, and what of it is not yet matched."""

    trade: Trade
    qty: int
    proceeds: int
    pieces: list[Piece]

    def match(self, lot: Lot, rule: Rule) -> None:
        """Take from a lot as much as both still have."""
        taken = min(self.qty, lot.qty)
        self.qty -= taken
        rest = remaining_share(self.trade.money, self.qty, self.trade.qty)
        brought, self.proceeds = self.proceeds - rest, rest
        self.pieces.append((self.trade.id, lot.trade.id, taken, lot.take(taken), brought, lot.acquired_at, self.trade.time, rule))


def match_uk(trades: Sequence[Trade], policy: OversellPolicy, pool: Pool | None = None, zone: tzinfo = UTC) -> Matching:
    """Match each day's sells by the three rules in turn: each rule on all days before the next rule on any.

    What leaves at cost is no disposal; it comes out of the pool, at the end of its day.

    Args:
        trades: One position, in the order of ``in_order``.
        policy: What to do with units that were sold but not held.
        pool: What was held before them; holds afterwards what is held. No trade before them may concern a later day.
        zone: Whose midnights end a day.
    """
    held = Pool() if pool is None else pool
    buys = {day: Lot(buy) for day, buy in _by_day(trades, "buy", zone).items()}
    sells = {day: DaysSells(sell, sell.qty, sell.money, []) for day, sell in _by_day(trades, "sell", zone).items()}
    for day in sells.keys() & buys.keys():
        sells[day].match(buys[day], "same_day")
    _match_ahead(buys, sells)
    left = _match_pool(buys, sells, held, _leaving(trades, zone), policy)
    unmatched = {sell.trade.id: sell.qty for sell in sells.values() if sell.qty}
    for sell in sells.values():
        if sell.qty:
            settle_oversell(sell.trade, sell.qty, sell.proceeds, policy, sell.pieces)
    realized = {sell.trade.id: sum(match.gain for match in Matches(sell.pieces)) for sell in sells.values()}
    pieces = list(chain(chain.from_iterable(sell.pieces for sell in sells.values()), *(Matches(one.matches) for one in left)))
    for one in left:
        realized.update(one.realized)
        unmatched.update(one.unmatched)
    pieces.sort(key=lambda piece: piece[6])
    return Matching(Matches(pieces), [OpenLot.of(lot) for lot in held.lots()], realized, unmatched)


def _match_ahead(buys: Mapping[int, Lot], sells: Mapping[int, DaysSells]) -> None:
    buy_days = list(buys)
    for day, sell in sells.items():
        at = bisect_right(buy_days, day)
        while sell.qty and at < len(buy_days) and buy_days[at] <= day + _DAYS_AHEAD:
            if buys[buy_days[at]].qty:
                sell.match(buys[buy_days[at]], "30_day")
            at += 1


def _match_pool(
    buys: Mapping[int, Lot], sells: Mapping[int, DaysSells], pool: Pool, leaving: Mapping[int, Sequence[Trade]], policy: OversellPolicy
) -> list[Matching]:
    """Match what is left of each day's sells to the pool, and take out what left at cost; answer the latter's matchings."""
    left = []
    for day in sorted({*buys, *sells, *leaving}):
        if day in buys and buys[day].qty:
            pool.add(buys[day])
        held = pool.best()
        if day in sells and sells[day].qty and held is not None:
            sells[day].match(held, "s104")
            if not held.qty:
                pool.drop()
        if day in leaving:
            left.append(match_lots(leaving[day], pool, policy))
    return left


def day_of(trade: Trade, zone: tzinfo) -> int:
    """Return the number of the day of a zone that a trade happened on."""
    return (trade.time if zone is UTC else trade.time.astimezone(zone)).toordinal()


def _by_day(trades: Iterable[Trade], side: Side, zone: tzinfo) -> dict[int, Trade]:
    """Return one trade for each day that has any of that side, by the day's number, in order."""
    own = (trade for trade in trades if trade.side == side and trade.kind not in _BESIDE_THE_RULES)
    return {day: _as_one(list(group)) for day, group in groupby(own, key=lambda trade: day_of(trade, zone))}


def _leaving(trades: Iterable[Trade], zone: tzinfo) -> dict[int, list[Trade]]:
    """Return what leaves at cost, by the number of its day."""
    at_cost = (trade for trade in trades if trade.kind in _BESIDE_THE_RULES)
    return {day: list(group) for day, group in groupby(at_cost, key=lambda trade: day_of(trade, zone))}


def _as_one(trades: list[Trade]) -> Trade:
    first = trades[0]
    return Trade(
        id="+".join(trade.id for trade in trades),
        symbol=first.symbol,
        currency=first.currency,
        time=first.time,
        side=first.side,
        qty=sum(trade.qty for trade in trades),
        money=sum(trade.money for trade in trades),
    )
