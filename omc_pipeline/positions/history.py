"""A user's positions as they came about: trades, matches that hold, open lots; what reports are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from omc_pipeline.ledgers.pairs import left_out
from omc_pipeline.pnl.expand import expand
from omc_pipeline.pnl.fill import Fill, Rates
from omc_pipeline.pnl.trade import Trade, in_order
from omc_pipeline.positions.basis import RunRow
from omc_pipeline.positions.fills import BEGINNING, fills_known
from omc_pipeline.positions.rates import rates_known

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
WHERE user_id = %(user)s AND method = %(method)s AND currency = %(currency)s AND cleared_at IS NULL
    AND resolved_at IS NULL ORDER BY exception_id
"""


class History(NamedTuple):
    """What a run knew: its fills, the rates that settled them, and the trades that they became."""

    fills: Sequence[Fill]
    rates: Rates
    trades: Sequence[Trade]


def history_of(connection: psycopg.Connection[Any], user_id: str, run: RunRow) -> History:
    """Return the fills that a run knew as the trades that it matched, in order.

    Fills are those recorded up to ``run.known_at``, in their versions and with the duplicates of that time; rates are those kept up to
    the end of the run. So a fill, a correction or a rate that came later changes nothing.
    """
    duplicates = left_out(connection, user_id, run.known_at or BEGINNING)
    fills = fills_known(connection, user_id, run.known_at, duplicates)
    rates = rates_known(connection, user_id, run.basis.currency, run.recorded_at)
    basis = run.basis
    return History(fills, rates, in_order(expand(fills, rates, basis.currency, basis.fee_policy, basis.lot_policy).trades))
