"""Coins that left one own account and came to another: matched by hash, or by amount and time; what stays alone is reported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from omc_pipeline.pnl.fill import Fill


@dataclass(frozen=True)
class TransferRule:
    """What may be one transfer.

    Attributes:
        hours: Hours from departure to arrival; an arrival may also be a few minutes early, by another clock.
        early_minutes: So many.
        fee_share: Share of the amount that a network may have kept.
    """

    hours: float = 24.0
    early_minutes: float = 10.0
    fee_share: Decimal = Decimal("0.02")


USUAL_RULE = TransferRule()


def with_transfers(fills: Sequence[Fill], rule: TransferRule = USUAL_RULE) -> tuple[list[Fill], int]:
    """Make transfers of withdrawals and deposits that belong together, and count them.

    Two belong together where both name the same hash, or, without hashes, where each is the only candidate of the other: same coin,
    another account, amounts that differ by a fee, times that follow each other.

    Args:
        fills: Of all accounts of one person, each with its account.
        rule: What may be one transfer.
    """
    left = [fill for fill in fills if fill.kind == "withdrawal"]
    came = [fill for fill in fills if fill.kind == "deposit"]
    candidates: dict[int, list[int]] = defaultdict(list)
    suitors: dict[int, list[int]] = defaultdict(list)
    of_coin: dict[str, list[int]] = defaultdict(list)
    for to, arrival in enumerate(came):
        of_coin[arrival.symbol].append(to)
    for at, out in enumerate(left):
        for to in of_coin[out.symbol]:
            arrival = came[to]
            if _may_be_one(out, arrival, rule):
                candidates[at].append(to)
                suitors[to].append(at)
    renamed: dict[tuple[str, str], str] = {}
    for at, possible in candidates.items():
        same = [to for to in possible if _same_hash(left[at], came[to])]
        chosen = same if len(same) == 1 else possible
        if len(chosen) == 1 and (same or len(suitors[chosen[0]]) == 1):
            out, arrival = left[at], came[chosen[0]]
            name = f"{out.account}/{out.id}>{arrival.account}/{arrival.id}"
            renamed[out.account, out.id] = renamed[arrival.account, arrival.id] = name
    result = [
        fill._replace(kind="transfer", trade_id=renamed[fill.account, fill.id]) if (fill.account, fill.id) in renamed else fill
        for fill in fills
    ]
    return result, len(renamed) // 2


def _same_hash(out: Fill, arrival: Fill) -> bool:
    return out.trade_id is not None and out.trade_id == arrival.trade_id


def _may_be_one(out: Fill, arrival: Fill, rule: TransferRule) -> bool:
    if out.symbol != arrival.symbol or out.account == arrival.account:
        return False
    if out.trade_id and arrival.trade_id:
        return out.trade_id == arrival.trade_id
    wait = arrival.time - out.time
    kept = out.qty - arrival.qty
    return -timedelta(minutes=rule.early_minutes) <= wait <= timedelta(hours=rule.hours) and 0 <= kept <= out.qty * rule.fee_share
