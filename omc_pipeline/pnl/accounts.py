"""Lots that stay in their account: one queue an account, and transfers that carry lots from one to another.

A carried lot keeps its date of acquisition, its cost and its price. Its id is that of the lot it was taken from and of the
transfer, ``b1@t5``; what stands before the first ``@`` is the fill that acquired it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from omc_pipeline.pnl.engine import LotQueue, match_lots
from omc_pipeline.pnl.policy import OversellPolicy
from omc_pipeline.pnl.result import Matching, OpenLot
from omc_pipeline.pnl.trade import Lot, Matches, Piece, Trade

CARRIED = "@"
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class Accounts:
    """The queues of one position, by account.

    Args:
        new_queue: Makes the empty queue of an account.
    """

    def __init__(self, new_queue: Callable[[], LotQueue]) -> None:
        self._new_queue = new_queue
        self.queues: dict[str, LotQueue] = {}
        self.carried: list[Lot] = []
        """Every lot that a transfer brought, also where it was sold since."""

    def match(self, trades: Sequence[Trade], policy: OversellPolicy) -> Matching:
        """Match every sell to the lots of its own account.

        Args:
            trades: One position, in the order of ``in_order``.
            policy: What to do with units that were sold or transferred but not held.
        """
        waiting: dict[str, list[Trade]] = {}
        found: list[Matching] = []
        for trade in trades:
            waiting.setdefault(trade.account, []).append(trade)
            if trade.kind == "transfer":
                if trade.to_account in waiting and trade.to_account != trade.account:
                    found.append(self._flush(trade.to_account, waiting, policy))
                origins = {lot.trade.id: lot.trade for lot in self._queue(trade.account).lots()}
                origins.update({one.id: one for one in waiting[trade.account]})
                found.append(self._flush(trade.account, waiting, policy))
                self._arrive(trade, [piece for piece in found[-1].matches.pieces if piece[0] == trade.id], origins)
        found += [self._flush(account, waiting, policy) for account in list(waiting)]
        return self._together(found)

    def add(self, account: str, lots: Sequence[Lot]) -> None:
        """Put lots into an account's queue, each at its place by the time of its acquisition."""
        queue = self._new_queue()
        for lot in sorted([*self._queue(account).lots(), *lots], key=lambda lot: (lot.acquired_at or _BEGINNING, lot.trade.id)):
            queue.add(lot)
        self.queues[account] = queue

    def _queue(self, account: str) -> LotQueue:
        return self.queues.setdefault(account, self._new_queue())

    def _flush(self, account: str, waiting: dict[str, list[Trade]], policy: OversellPolicy) -> Matching:
        return match_lots(waiting.pop(account), self._queue(account), policy)

    def _arrive(self, transfer: Trade, pieces: Sequence[Piece], taken_from: dict[str, Trade]) -> None:
        lots = []
        for _, origin, qty, cost, _, acquired_at, _, _ in pieces:
            if origin is None:
                continue
            source = taken_from.get(origin, transfer)
            lot = Lot(
                transfer._replace(
                    id=f"{origin}{CARRIED}{transfer.id}", side="buy", qty=qty, money=cost, price=source.price,
                    account=transfer.to_account, to_account="", algorithm=source.algorithm,
                )
            )  # fmt: skip
            lot.acquired_at = acquired_at
            lots.append(lot)
        self.carried += lots
        self.add(transfer.to_account, lots)

    def _together(self, found: Sequence[Matching]) -> Matching:
        pieces = sorted((piece for one in found for piece in one.matches.pieces), key=lambda piece: (piece[6], piece[0]))
        open_lots = sorted(
            (OpenLot.of(lot) for queue in self.queues.values() for lot in queue.lots()),
            key=lambda lot: (lot.acquired_at or _BEGINNING, lot.id),
        )
        realized = {sell: gain for one in found for sell, gain in one.realized.items()}
        unmatched = {sell: qty for one in found for sell, qty in one.unmatched.items()}
        return Matching(Matches(pieces), open_lots, realized, unmatched)
