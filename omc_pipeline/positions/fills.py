"""A user's fills as the ledger holds them, streamed in order of execution, each in its latest version and each once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import starmap
from typing import TYPE_CHECKING, Any

from omc_pipeline.ledgers.pairs import counted_only
from omc_pipeline.pnl.fill import Fill
from omc_pipeline.positions.basis import DEFAULT_BATCHING

if TYPE_CHECKING:
    import psycopg

BEGINNING, END = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_COLUMNS = """f.fill_id, f.account_id, f.symbol, f.currency, f.side, f.qty, f.price, f.quote_amount, f.fee, f.fee_currency, f.executed_at,
    f.kind, f.trade_id, f.algorithm_id, f.source, f.version"""
_SEVERAL_COINS = "(NOT exchange.is_money(f.currency) OR f.fee_currency NOT IN (f.symbol, f.currency))"
"""The predicate of index ``fill_of_several_coins``."""
OF_COIN = f"""
SELECT {_COLUMNS} FROM exchange.fill f WHERE f.user_id = %(user)s AND f.symbol = %(coin)s AND f.executed_at >= %(since)s{{counted}}
UNION ALL
SELECT {_COLUMNS} FROM exchange.fill f WHERE f.user_id = %(user)s AND f.executed_at >= %(since)s AND f.symbol <> %(coin)s
    AND {_SEVERAL_COINS} AND (f.currency = %(coin)s OR f.fee_currency = %(coin)s){{counted}}
ORDER BY executed_at
"""
CORRECTED = "SELECT account_id, fill_id, max(version) FROM exchange.fill WHERE user_id = %s AND version > 1 GROUP BY 1, 2"
TRANSFERS = f"""
SELECT {_COLUMNS} FROM exchange.fill f WHERE f.user_id = %s AND f.kind = 'transfer' AND f.trade_id = ANY(%s){{counted}}
"""
NAMED = f"""
SELECT {_COLUMNS} FROM exchange.fill f WHERE f.account_id IN (SELECT account_id FROM exchange.fill_door WHERE user_id = %s)
    AND f.fill_id = ANY(%s) AND f.user_id = %s{{counted}}
"""
KNOWN = f"""
SELECT {_COLUMNS} FROM exchange.fill f WHERE f.user_id = %(user)s AND f.recorded_at <= %(known_at)s AND NOT EXISTS (
    SELECT FROM exchange.fill later WHERE later.user_id = %(user)s AND later.version > 1 AND later.recorded_at <= %(known_at)s
    AND later.account_id = f.account_id AND later.fill_id = f.fill_id AND later.version > f.version)
ORDER BY f.executed_at
"""

Key = tuple[str, str]
"""Account and fill id."""


class UserFills:
    """The fills of one user, as they stand in the transaction of a connection whose time zone is UTC; no duplicate is among them.

    Args:
        connection: To read by; its snapshot must not move while a run reads.
        user_id: Whose.
        chunk_fills: Fills at a time.
    """

    def __init__(self, connection: psycopg.Connection[Any], user_id: str, chunk_fills: int = DEFAULT_BATCHING.chunk_fills) -> None:
        self._connection, self._user_id, self._chunk_fills = connection, user_id, chunk_fills
        self.counted = counted_only(connection, user_id)
        """Condition that leaves out the duplicates among rows ``f``; empty where the user has none."""
        self._latest: Mapping[Key, int] = {row[:2]: row[2] for row in connection.execute(CORRECTED, (user_id,))}

    def of_coin(self, coin: str, since: datetime) -> Iterator[list[Fill]]:
        """Return the fills that may change what is held of a coin, in chunks that never part an instant."""
        held_back: list[Fill] = []
        with self._connection.cursor(name="fills") as cursor:
            cursor.itersize = self._chunk_fills
            cursor.execute(OF_COIN.format(counted=self.counted), {"user": self._user_id, "coin": coin, "since": since})
            while rows := cursor.fetchmany(self._chunk_fills):
                fills = held_back + self._current(rows)
                if len(rows) < self._chunk_fills:
                    held_back = fills
                    break
                cut = next((at for at in range(len(fills) - 1, 0, -1) if fills[at].time != fills[at - 1].time), 0)
                held_back = fills[cut:]
                if cut:
                    yield fills[:cut]
        if held_back:
            yield held_back

    def transfers(self, ids: Iterable[str]) -> list[Fill]:
        """Return both halves of transfers, as far as they are known."""
        return self._current(self._connection.execute(TRANSFERS.format(counted=self.counted), (self._user_id, list(ids))).fetchall())

    def named(self, ids: Sequence[str]) -> list[Fill]:
        """Return some fills by their ids."""
        bound = (self._user_id, list(ids), self._user_id)
        return self._current(self._connection.execute(NAMED.format(counted=self.counted), bound).fetchall())

    def _current(self, rows: Iterable[Any]) -> list[Fill]:
        fills = starmap(Fill, rows)
        if not self._latest:
            return list(fills)
        latest = self._latest
        return [fill for fill in fills if latest.get((fill.account, fill.id), fill.version) == fill.version]


def fills_known(connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None, left_out: Collection[Key] = ()) -> list[Fill]:
    """Return a user's fills as they were known at a time, in order of execution: each in its latest version then, and each once.

    Args:
        connection: To read by; its time zone is UTC.
        user_id: Whose.
        known_at: What was recorded later is not seen; None: nothing was known.
        left_out: Fills that were another's duplicates then.
    """
    bound = {"user": user_id, "known_at": known_at or BEGINNING}
    fills = starmap(Fill, connection.execute(KNOWN, bound))
    return [fill for fill in fills if (fill.account, fill.id) not in left_out] if left_out else list(fills)
