"""Fills of the ledger as trades of the engine.

A venue states what was traded: ``qty`` at ``price``, worth ``quote_amount``, and the fee beside it. A fee in the traded coin
therefore changes holdings by itself (a buy arrives smaller, a sell takes more), whereas a case file has it within ``qty``
already. A fee in a third coin is not counted but reported.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any

from omc_pipeline.pnl.amounts import PRICE_DECIMALS, exact_units, product, total
from omc_pipeline.pnl.money import settle
from omc_pipeline.pnl.policy import FeePolicy
from omc_pipeline.pnl.result import PnlException, unpriced_fee
from omc_pipeline.pnl.trade import Trade

RULES = 1
"""Raised when the same fills would give other matches, so that unchanged fills are computed again."""


@dataclass(frozen=True, slots=True)
class UserTrades:
    """A user's fills as trades, what of them needs a person's eye, and a digest of all that went in."""

    trades: Sequence[Trade]
    exceptions: Sequence[PnlException]
    sha256: str


def user_trades(fills: Sequence[Mapping[str, Any]], policy: FeePolicy) -> UserTrades:
    """Settle every fill of a user.

    Args:
        fills: Rows of ``exchange.fill`` with their bookkeeping columns, latest versions only.
        policy: Where fees go.

    Returns:
        Trades in the order of the fills. A fill that cannot be settled is an exception of kind ``invalid_fill`` instead.
    """
    digest = hashlib.sha256(f"rules {RULES}".encode())
    count = Counter(fill["fill_id"] for fill in fills)
    trades, exceptions = [], []
    for fill in fills:
        digest.update(f"\n{fill['source']} {fill['row_sha256']}".encode())
        identity = fill["fill_id"] if count[fill["fill_id"]] == 1 else f"{fill['source']}:{fill['fill_id']}"
        try:
            trades.append(_trade(fill, identity, policy))
        except ValueError as error:
            exceptions.append(PnlException("invalid_fill", fill["symbol"], identity, None, f"fill {identity!r} is not counted: {error}"))
        if fill["fee"] and fill["fee_currency"] not in (fill["symbol"], fill["currency"]):
            exceptions.append(unpriced_fee(fill["fee_currency"], identity, f"{fill['fee'].normalize():f}", fill["currency"]))
    return UserTrades(trades, exceptions, digest.hexdigest())


def _trade(fill: Mapping[str, Any], identity: str, policy: FeePolicy) -> Trade:
    side, qty, amount, fee = fill["side"], fill["qty"], fill["quote_amount"], Decimal(0)
    direction = 1 if side == "buy" else -1
    if fill["fee_currency"] == fill["currency"]:
        fee = fill["fee"]
    elif fill["fee"] and fill["fee_currency"] == fill["symbol"]:
        fee = product(fill["fee"], fill["price"])
        qty = total(qty, -direction * fill["fee"])
        amount = total(amount, -direction * fee)
    if qty <= 0:
        raise ValueError(f"its quantity is {qty:f} after its fee")
    settled = settle(side, amount, fee, policy)
    return Trade(
        id=identity,
        symbol=fill["symbol"],
        currency=fill["currency"],
        time=fill["executed_at"].astimezone(UTC),
        side=side,
        qty=exact_units(qty),
        money=settled.money,
        price=exact_units(fill["price"], PRICE_DECIMALS),
        fee=settled.fee,
    )
