"""Which coins are plain enough for a backfill: bought and sold for the reporting currency, and touched by nothing else."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from omc_pipeline.positions.basis import Basis

if TYPE_CHECKING:
    import psycopg

SURVEY = """
SELECT symbol, currency, fee_currency, bool_or(fee <> 0),
    bool_and(kind = 'trade' AND version = 1 AND qty > 0 AND quote_amount IS NOT NULL AND price IS NOT NULL
        AND fee IS NOT NULL AND (fee = 0 OR fee_currency = currency OR (%(capitalised)s AND fee_currency = symbol AND qty > abs(fee))))
FROM exchange.fill f WHERE user_id = %(user)s{counted} GROUP BY 1, 2, 3
"""


def simple_coins(connection: psycopg.Connection[Any], user_id: str, basis: Basis, coins: Collection[str], counted: str = "") -> list[str]:
    """Return those of the coins that a backfill can compute: every fill of them is a plain trade.

    ``counted`` is the condition that leaves out duplicates.
    """
    bound = {"user": user_id, "capitalised": basis.fee_policy == "capitalise"}
    odd: set[str] = set()
    for symbol, currency, fee_currency, has_fee, is_simple in connection.execute(SURVEY.format(counted=counted), bound):
        if not is_simple or currency != basis.currency:
            odd |= {symbol, currency}
        if has_fee and fee_currency not in (symbol, currency):
            odd |= {symbol, fee_currency}
    return sorted(set(coins) - odd)
