"""A user's positions as they came about: trades, matches that hold, open lots; what reports are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.expand import expand
from omc_pipeline.pnl.trade import Trade, in_order
from omc_pipeline.positions.basis import Basis
from omc_pipeline.positions.fills import UserFills
from omc_pipeline.positions.rates import LedgerRates

if TYPE_CHECKING:
    import psycopg

LIVE_MATCHES = """
SELECT symbol, sell_fill, lot_fill, qty, cost, proceeds, acquired_at, disposed_at, rule, lot_algorithm, sell_algorithm, account_id
FROM pnl.live_match
WHERE user_id = %(user)s AND method = %(method)s AND currency = %(currency)s AND rule IS DISTINCT FROM 'transfer'
ORDER BY disposed_at, symbol, match_no
"""
OPEN_LOTS = """
SELECT symbol, lot_fill, qty, cost, acquired_at FROM pnl.open_lot
WHERE user_id = %(user)s AND method = %(method)s AND currency = %(currency)s
ORDER BY symbol, acquired_at, lot_fill
"""
EXCEPTIONS = """
SELECT kind, symbol, fill_id, qty, message FROM pnl.exception
WHERE user_id = %(user)s AND method = %(method)s AND cleared_at IS NULL AND resolved_at IS NULL ORDER BY exception_id
"""


def settled_trades(connection: psycopg.Connection[Any], user_id: str, basis: Basis) -> list[Trade]:
    """Answer all of a user's fills as the trades they were matched as, in order; with the rates kept at the time."""
    fills = UserFills(connection, user_id).all()
    rates = LedgerRates(connection, user_id, basis.currency)
    rates.load(fills)
    return in_order(expand(fills, rates, basis.currency, basis.fee_policy, basis.lot_policy).trades)
