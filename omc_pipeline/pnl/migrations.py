"""Assets that take the place of others (a redenomination, a new token): cost and dates of the lots go along, and nothing is realized."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import PRICE_DECIMALS, text_of
from omc_pipeline.pnl.result import Matching, PnlException
from omc_pipeline.pnl.split import remaining_share
from omc_pipeline.pnl.trade import Piece, Trade, in_order

MIGRATE = "migrate"
_PRICE_UNIT: int = pow(10, PRICE_DECIMALS)


def migrated(trades: Sequence[Trade], match: Callable[[Sequence[Trade]], Matching]) -> tuple[list[Trade], list[PnlException]]:
    """Replace what came in by a migration by the lots that it came from.

    Args:
        trades: Of all positions.
        match: Matches one position by the method that is asked for.

    Returns:
        The trades, and an exception for each migration of more than was held: that part has no history, and is left out.

    Raises:
        BadInputError: A migration lacks one of its two halves.
    """
    current, exceptions = list(trades), list[PnlException]()
    for left, came in _pairs(trades):
        until = in_order([trade for trade in current if (trade.symbol, trade.currency) == (left.symbol, left.currency)])
        matching = match(until[: until.index(left) + 1])
        pieces = [piece for piece in matching.matches.pieces if piece[0] == left.id and piece[1] is not None]
        current.remove(came)
        current += _carried(left, came, pieces)
        missing = matching.unmatched.get(left.id)
        if missing:
            message = f"migration {left.id!r}: {text_of(missing)} {left.symbol} were not held; what came for them is left out"
            exceptions.append(PnlException("missing_history", came.symbol, came.id, None, message))
    return current, exceptions


def _pairs(trades: Sequence[Trade]) -> list[tuple[Trade, Trade]]:
    """Return what left and what came for it: the next arrival after each departure; of several at one instant, in their order."""
    halves = [trade for trade in in_order(trades) if trade.kind == MIGRATE and trade.acquired_at is None]
    pairs = []
    waiting: list[Trade] = []
    for half in sorted(halves, key=lambda one: (one.time, one.side == "buy", one.sequence)):
        if half.side == "sell":
            if waiting and waiting[0].time != half.time:
                raise _half(waiting[0])
            waiting.append(half)
        elif waiting:
            pairs.append((waiting.pop(0), half))
        else:
            raise _half(half)
    if waiting:
        raise _half(waiting[0])
    return pairs


def _half(trade: Trade) -> BadInputError:
    other = "into another asset follows it" if trade.side == "sell" else "out of another asset precedes it"
    return BadInputError(
        f"migration {trade.id!r} of {trade.symbol}: no row {other}; a migration is two rows of kind 'migrate', sell then buy"
    )


def _carried(left: Trade, came: Trade, pieces: Sequence[Piece]) -> list[Trade]:
    lots = []
    rest = left.qty
    given = came.qty
    for _, origin, qty, cost, _, acquired_at, _, _ in pieces:
        rest -= qty
        after = remaining_share(came.qty, rest, left.qty)
        units, given = given - after, after
        if units:
            price = cost * _PRICE_UNIT // units
            lots.append(
                came._replace(id=f"{origin}@{came.id}", qty=units, money=cost, price=price, acquired_at=acquired_at or left.time, income=0)
            )
    return lots
