"""What needs a person: kept open until a later run finds it gone, or until somebody says who looked, when, and why it may stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import exact_units, text_of
from omc_pipeline.pnl.fill import Fill
from omc_pipeline.pnl.result import PnlException
from omc_pipeline.positions.reporting import reporting_of

if TYPE_CHECKING:
    import psycopg

    from omc_infra.postgres.database import Database

OF_SELLS = "oversell"
UNSETTLED = frozenset({"missing_price", "unpriced_fee"})
"""Kinds that a rate which arrives later may settle."""
FOR_INFORMATION = frozenset({"stale_price", "in_transit"})
"""Kinds that make no check red."""
_COLUMNS = "exception_id, kind, symbol, fill_id, qty, message, occurred_at, recorded_at, resolved_by, resolved_at, reason"
STANDING = f"""
SELECT {_COLUMNS} FROM pnl.exception WHERE user_id = %s AND method = %s AND currency = %s AND cleared_at IS NULL ORDER BY exception_id
"""
COMPUTED = "SELECT FROM pnl.run WHERE user_id = %s AND method = %s AND currency = %s LIMIT 1"
INSERT = """
INSERT INTO pnl.exception (user_id, method, currency, run_id, kind, symbol, fill_id, qty, message, occurred_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
CLEAR = "UPDATE pnl.exception SET cleared_run = %s, cleared_at = clock_timestamp() WHERE exception_id = ANY(%s)"
RESOLVE = """
UPDATE pnl.exception SET resolved_by = %s, resolved_at = clock_timestamp(), reason = %s
WHERE exception_id = %s AND cleared_at IS NULL AND resolved_at IS NULL RETURNING exception_id
"""
_Key = tuple[str, str, str | None, int | None]


@dataclass(frozen=True, slots=True)
class KeptException:
    """A row of ``pnl.exception`` that no run has cleared; open while nobody has resolved it."""

    exception_id: int
    kind: str
    symbol: str
    fill: str | None
    qty: Decimal | None
    message: str
    occurred_at: datetime | None
    recorded_at: datetime
    resolved_by: str | None
    resolved_at: datetime | None
    reason: str | None

    @property
    def is_red(self) -> bool:
        """Whether it makes the check red."""
        return self.resolved_at is None and self.kind not in FOR_INFORMATION

    @property
    def key(self) -> _Key:
        """What makes it the same as one found again."""
        return self.kind, self.symbol, self.fill, None if self.qty is None else exact_units(self.qty)


class ExceptionLog:
    """Compares what a run finds with what stands: new ones are added, those looked at again and not found are cleared.

    Args:
        connection: Of role writer, in the run's transaction.
        user_id: Whose.
        method: Of the run.
        currency: Of the run.
        run_id: The run.
    """

    def __init__(self, connection: psycopg.Connection[Any], user_id: str, method: str, currency: str, run_id: int) -> None:
        self._connection, self._whose, self._run_id = connection, (user_id, method, currency), run_id
        self._standing = standing(connection, *self._whose)
        self._fills = {row.fill for row in self._standing if row.kind != OF_SELLS and row.fill}
        self._found: dict[_Key, tuple[PnlException, datetime | None]] = {}
        self._looked_at: set[str] = set()
        self._replayed: dict[str, datetime] = {}
        self._valued = False

    def found(self, exception: PnlException, occurred_at: datetime | None = None) -> None:
        """Note what a run found."""
        self._found[exception.kind, exception.symbol, exception.fill, exception.qty] = exception, occurred_at

    def looked_at(self, fills: Iterable[Fill]) -> None:
        """Note the fills that were settled anew."""
        if self._fills:
            self._looked_at |= self._fills & {fill.id for fill in fills}

    def replayed(self, symbol: str, since: datetime) -> None:
        """Note that the sells of a coin were matched anew."""
        self._replayed[symbol] = min(since, self._replayed.get(symbol, since))

    def valued(self) -> None:
        """Note that everything held was valued anew."""
        self._valued = True

    def unsettled(self) -> list[str]:
        """Return the fills that wait for a rate."""
        return sorted({row.fill for row in self._standing if row.kind in UNSETTLED and row.fill})

    def keep(self) -> int:
        """Write the difference and answer how many stand open."""
        cleared = [row.exception_id for row in self._standing if row.key not in self._found and self._is_gone(row)]
        if cleared:
            self._connection.execute(CLEAR, (self._run_id, cleared))
        known = {row.key for row in self._standing}
        fresh = [(row, at) for key, (row, at) in self._found.items() if key not in known]
        self._connection.cursor().executemany(
            INSERT,
            [
                (*self._whose, self._run_id, row.kind, row.symbol, row.fill, None if row.qty is None else text_of(row.qty), row.message, at)
                for row, at in fresh
            ],
        )
        return sum(row.resolved_at is None and row.exception_id not in cleared for row in self._standing) + len(fresh)

    def _is_gone(self, row: KeptException) -> bool:
        if row.kind == OF_SELLS:
            since = self._replayed.get(row.symbol)
            return since is not None and (row.occurred_at is None or row.occurred_at >= since)
        return self._valued if row.fill is None else row.fill in self._looked_at


def standing(connection: psycopg.Connection[Any], user_id: str, method: str, currency: str) -> list[KeptException]:
    """Return a user's exceptions that no run has cleared, also those that a person resolved; oldest first."""
    return [KeptException(*row) for row in connection.execute(STANDING, (user_id, method, currency))]


def exceptions(database: Database, user_id: str, method: str = "fifo", currency: str | None = None) -> Sequence[KeptException]:
    """Return a user's exceptions that no run has cleared, also those that a person resolved; oldest first.

    Raises:
        BadInputError: The user doesn't report in that currency, or has no positions by that method, so that nobody has looked.
    """
    with database.connect("reader") as connection:
        reported = reporting_of(connection, user_id, currency).currency
        if connection.execute(COMPUTED, (user_id, method, reported)).fetchone() is None:
            raise BadInputError(
                f"user {user_id!r} has no positions by {method} in {reported}, so no exceptions are known;"
                f" compute them with `omc pnl positions --user {user_id} --method {method}`"
            )
        return standing(connection, user_id, method, reported)


def resolve_exception(database: Database, exception_id: int, by: str, reason: str) -> None:
    """Say who looked at an exception and why it may stay; the next run that finds the same leaves it resolved.

    Raises:
        BadInputError: Nobody or no reason is named, or there is no such open exception.
    """
    if not by.strip() or not reason.strip():
        raise BadInputError(f"exception {exception_id}: say who accepts it and why")
    with database.connect("writer") as connection:
        if connection.execute(RESOLVE, (by.strip(), reason.strip(), exception_id)).fetchone() is None:
            raise BadInputError(f"exception {exception_id} is not open")
