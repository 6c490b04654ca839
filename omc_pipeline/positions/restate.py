"""What a replay changes: the first instant at which its matches differ from those that held, and all new ones from there on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.amounts import exact_units
from omc_pipeline.pnl.trade import Piece

if TYPE_CHECKING:
    import psycopg

LIVE_MATCHES = """
SELECT sell_fill, lot_fill, qty, cost, proceeds, acquired_at, disposed_at, rule FROM pnl.live_match
WHERE position_id = %s AND disposed_at >= %s ORDER BY disposed_at, match_no
"""
_AT = 6
_FETCH = 20_000


class Comparison:
    """Compares a replay with what held, instant by instant, while both are streamed.

    Args:
        connection: To read by; the cursor stays open until ``close``.
        position_id: Whose matches.
        since: From when on they are replayed.
    """

    def __init__(self, connection: psycopg.Connection[Any], position_id: int, since: datetime) -> None:
        self._cursor = connection.cursor(name=f"live_matches_{position_id}")
        self._cursor.itersize = _FETCH
        self._cursor.execute(LIVE_MATCHES, (position_id, since))
        self._known = groupby(map(_piece, self._cursor), key=lambda piece: piece[_AT])
        self._next: tuple[datetime, list[Piece]] | None = self._advance()
        self.from_at: datetime | None = None
        """From when on the matches that held no longer do; None where none is superseded."""

    def differing(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Return the pieces, in order of disposal, that have to be written."""
        for at, group in groupby(pieces, key=lambda piece: piece[_AT]):
            fresh = list(group)
            if self.from_at is None and self._next is not None:
                if self._next == (at, fresh):
                    self._next = self._advance()
                    continue
                self.from_at = min(at, self._next[0])
            yield from fresh

    def close(self) -> datetime | None:
        """End the comparison and answer from when on earlier matches no longer hold, or None where all do."""
        if self.from_at is None and self._next is not None:
            self.from_at = self._next[0]
        self._cursor.close()
        return self.from_at

    def _advance(self) -> tuple[datetime, list[Piece]] | None:
        found = next(self._known, None)
        return None if found is None else (found[0], list(found[1]))


def _piece(row: Any) -> Piece:
    sell, lot, qty, cost, proceeds, acquired_at, disposed_at, rule = row
    return sell, lot, exact_units(qty), exact_units(cost), exact_units(proceeds), acquired_at, disposed_at, rule
