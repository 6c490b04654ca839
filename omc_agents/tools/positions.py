"""A user's positions as the last run before a moment left them; row-level security holds the read to the token's user."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy

POSITIONS = "pnl.position"
MOST_POSITIONS = 30
_BOUND = "SELECT set_config('omc.session_token', :token, true)"
_POSITIONS = """
SELECT p.method, p.symbol, p.currency, p.run_id, p.qty, p.open_cost, p.realized, v.price, v.value, v.unrealized, v.price_observed_at,
    r.recorded_at AS computed_at
FROM pnl.position p JOIN pnl.run r ON r.run_id = p.run_id
LEFT JOIN LATERAL (
    SELECT price, value, unrealized, price_observed_at, qty FROM pnl.valuation
    WHERE position_id = p.position_id AND recorded_at <= :as_of ORDER BY price_observed_at DESC, run_id DESC, valuation_id DESC LIMIT 1
) v ON p.qty > 0 AND v.qty = p.qty
WHERE p.user_id = :user AND p.trades > 0 AND r.recorded_at <= :as_of AND (CAST(:all AS boolean) OR p.symbol = ANY(:symbols))
    AND p.method = (SELECT method FROM pnl.run WHERE user_id = :user AND recorded_at <= :as_of ORDER BY method <> 'fifo', method LIMIT 1)
ORDER BY abs(p.realized) + p.open_cost DESC, p.symbol, p.currency LIMIT :most
"""


def read_positions(
    engine: sqlalchemy.Engine, token: str | None, user_id: str, as_of: datetime, symbols: Sequence[str]
) -> list[dict[str, Any]]:
    """Return positions, those with the most money in them first.

    Args:
        engine: Of role agent or reader.
        token: Secret of the session; role agent sees nothing without.
        user_id: Whose.
        as_of: A position that a later run has written is left out.
        symbols: Of these coins; none means of all.
    """
    bound = {"user": user_id, "as_of": as_of, "all": not symbols, "symbols": list(symbols), "most": MOST_POSITIONS}
    with engine.connect() as connection:
        if token is not None:
            connection.execute(sqlalchemy.text(_BOUND), {"token": token})
        return [dict(row) for row in connection.execute(sqlalchemy.text(_POSITIONS), bound).mappings()]
