"""What coins and currencies were worth in the reporting currency when a fill was executed, kept with the fill.

How a rate is found is told in ``triangulation``. Which rows it comes from is kept beside it, and a fill once settled keeps its rate: a
better quote that arrives later does not rewrite the past. Reports read the kept rates alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.amounts import decimal_of
from omc_pipeline.pnl.fill import FIAT, Fill, Rate, Rates, RateUse
from omc_pipeline.positions.known import Need
from omc_pipeline.positions.triangulation import Triangulation

if TYPE_CHECKING:
    import psycopg

KEPT = (
    "SELECT account_id, fill_id, version, coin, rate, rate_id FROM pnl.rate_use WHERE user_id = %s AND currency = %s AND fill_id = ANY(%s)"
)
KNOWN = """
SELECT account_id, fill_id, version, coin, rate, rate_id FROM pnl.rate_use WHERE user_id = %s AND currency = %s AND recorded_at <= %s
"""
KEEP = """
INSERT INTO pnl.rate_use (account_id, fill_id, version, coin, currency, user_id, rate, rate_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""


class LedgerRates:
    """The rates of some fills; ``load`` them before asking.

    Args:
        connection: To read by.
        user_id: Whose fills.
        currency: That rates are in.
    """

    def __init__(self, connection: psycopg.Connection[Any], user_id: str, currency: str) -> None:
        self._connection, self._user_id, self._currency = connection, user_id, currency
        self._kept: dict[tuple[str, str, int, str], Rate] = {}
        self._found: Mapping[Need, Rate] = {}
        self._triangulation = Triangulation(connection, currency)

    def load(self, fills: Sequence[Fill]) -> None:
        """Look up whatever these fills may need."""
        needs = {(coin, fill.time) for fill in fills for coin in self._coins(fill)}
        self._kept, self._found = {}, {}
        if needs:
            ids = [fill.id for fill in fills]
            for account, fill, version, coin, rate, identity in self._connection.execute(KEPT, (self._user_id, self._currency, ids)):
                self._kept[account, fill, version, coin] = Rate(rate, identity)
            rates = self._triangulation.rates(sorted(needs))
            self._found = {need: Rate(decimal_of(known.units), known.origin) for need, known in rates.items()}

    def __call__(self, fill: Fill, coin: str) -> Rate | None:
        """Return the rate that a fill was settled by before, else the one of its time."""
        return self._kept.get((fill.account, fill.id, fill.version, coin)) or self._found.get((coin, fill.time))

    def keep(self, uses: Iterable[RateUse]) -> None:
        """Keep the rates that fills were settled by."""
        rows = {
            (use.fill.account, use.fill.id, use.fill.version, use.coin, self._currency, self._user_id, use.rate.value, use.rate.id)
            for use in uses
        }
        if rows:
            self._connection.cursor().executemany(KEEP, sorted(rows))

    def _coins(self, fill: Fill) -> set[str]:
        wanted = {fill.currency} if fill.amount is not None or fill.price is not None else {fill.symbol}
        if fill.fee or fill.kind == "transfer":
            wanted.add(fill.fee_currency if fill.fee else fill.symbol)
        if fill.kind != "trade" or fill.currency not in (self._currency, *FIAT):
            wanted.add(fill.symbol)
        if fill.kind == "trade" and fill.fee_currency == fill.symbol:
            wanted.discard(fill.symbol)
        return wanted - {self._currency}


def rates_known(connection: psycopg.Connection[Any], user_id: str, currency: str, known_at: datetime) -> Rates:
    """Return the rates that a user's fills had been settled by at a time; whatever became known later is none.

    A rate is kept when a run settles a fill by it, so up to the end of a run these are the ones that it knew.
    """
    kept = {
        (account, fill, version, coin): Rate(rate, identity)
        for account, fill, version, coin, rate, identity in connection.execute(KNOWN, (user_id, currency, known_at))
    }
    return lambda fill, coin: kept.get((fill.account, fill.id, fill.version, coin))
