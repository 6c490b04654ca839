"""The one way out of the ledgers: readers that see what was known at a time, and of every fact its latest version then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.candle import CANDLE
from omc_pipeline.ledgers.catalyst import EVENT
from omc_pipeline.ledgers.exchange import FILL, QUOTE
from omc_pipeline.ledgers.glass import COIN_PRICE, MARKET_CANDLE, PROTOCOL_DAY, PROTOCOL_FEES, PROTOCOL_REVENUE, PROTOCOL_TVL
from omc_pipeline.ledgers.human import SENTIMENT
from omc_pipeline.ledgers.knowledge import PATIENCE_S, await_known
from omc_pipeline.ledgers.series import kept_latest, series_columns, series_from
from omc_pipeline.ledgers.table import BOOKKEEPING, LedgerTable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Record = dict[str, Any]
"""One row by column: the fields of its row type, and the bookkeeping columns. Numbers are ``Decimal``, times aware."""


class LedgerReader:
    """Reads the ledgers as they were known at ``as_of``.

    Args:
        engine: Of role reader or agent.
        as_of: Only rows with ``recorded_at <= as_of`` are seen, and these are the same whenever they are read: the first read of
            a table waits for the transactions that may still write such rows. None sees all that is committed.
        user_id: Whose rows of the per-user tables are read; None reads those of all that the role may see.
        patience_s: Longest wait for those transactions; beyond it a read fails as ``RetryableError``. A time further in the future
            is bad input.
        session_token: Secret by which row-level security knows whose rows role agent may see; bound to each transaction. Without one
            it sees no such row. Role reader needs none.
    """

    def __init__(
        self,
        engine: Engine,
        as_of: datetime | None = None,
        user_id: str | None = None,
        patience_s: float = PATIENCE_S,
        session_token: str | None = None,
    ) -> None:
        if as_of is not None and as_of.tzinfo is None:
            raise BadInputError(f"as_of {as_of.isoformat()} has no zone; append Z or +00:00")
        self._engine, self._as_of, self._user_id, self._patience_s = engine, as_of, user_id, patience_s
        self._session_token = session_token
        self._complete: set[str] = set()

    def rows(
        self,
        table: LedgerTable,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        newest_first: bool = True,
        **equals: Any,
    ) -> list[Record]:
        """Return the facts of a table in a total order: its clock, then its natural key.

        Args:
            table: Which table.
            since: Least value of the table's clock, included.
            until: Greatest value, excluded.
            limit: Most rows.
            newest_first: Whether the newest come first; the key's order turns with it.
            **equals: Value by column; a list or tuple means any of its values, None a null.

        Raises:
            BadInputError: There is no such column.
        """
        span = {">= :since": since, "< :until": until}
        within = [comparison for comparison, at in span.items() if at is not None]
        conditions, bound = self._conditions(table, equals, within)
        conditions += [f"fact.{table.clock} {comparison}" for comparison in within]
        bound |= {comparison.partition(":")[2]: at for comparison, at in span.items() if at is not None}
        direction = "DESC" if newest_first else "ASC"
        order = ", ".join(f"fact.{column} {direction}" for column in dict.fromkeys((table.clock, *table.key, "source")))
        statement = f"{_selection(table)} WHERE {' AND '.join(conditions)} ORDER BY {order}"
        return self._records(table, f"{statement} LIMIT :limit" if limit is not None else statement, {**bound, "limit": limit})

    def latest(self, table: LedgerTable, **equals: Any) -> list[Record]:
        """Return the newest fact of each series of a table: each source and each natural key without its clock.

        Reads one index entry a series, not the table, however long its history is; and only those series that the given values
        of key columns leave.

        Raises:
            BadInputError: There is no such column, or the table's natural key doesn't end in its clock.
        """
        if table.key[-1] != table.clock or len(table.key) < 2:
            raise BadInputError(f"{table.qualified} has no series: its key doesn't end in its clock")
        conditions, bound = self._conditions(table, equals)
        if table.latest is not None and set(equals) <= set(series_columns(table)):
            given = [_equality(column, value).replace("fact.", "newest.") for column, value in self._wanted(table, equals).items()]
            return self._records(table, kept_latest(table, table.latest, given, known_at=self._as_of is not None), bound)
        series, value_of = series_from(table, self._wanted(table, equals))
        same = " AND ".join(f"fact.{column} = {value}" for column, value in value_of.items())
        statement = f"""
            SELECT newest.* FROM {series}, LATERAL (
                {_selection(table)} WHERE {same} AND {" AND ".join(conditions)} ORDER BY fact.{table.clock} DESC LIMIT 1
            ) AS newest ORDER BY {", ".join(f"newest.{column}" for column in series_columns(table))}"""
        return self._records(table, statement, bound)

    def latest_quotes(self, symbols: Sequence[str] | None = None, currency: str = "AUD") -> list[Record]:
        """Return the newest quote of each symbol, or of the given ones, in one currency."""
        return self.latest(QUOTE, currency=currency, **_any_of("symbol", symbols))

    def latest_prices_usd(self, symbols: Sequence[str] | None = None) -> list[Record]:
        """Return the newest US dollar price of each coin, or of the given ones."""
        return self.latest(COIN_PRICE, **_any_of("symbol", symbols))

    def events(
        self, symbol: str | None = None, event_type: str | None = None, since: datetime | None = None, limit: int = 50
    ) -> list[Record]:
        """Return catalyst events, newest first."""
        return self.rows(EVENT, since=since, limit=limit, **_given(symbol=symbol, event_type=event_type))

    def event(self, source: str, event_id: str) -> Record | None:
        """Return one catalyst event, or None where it isn't known."""
        return next(iter(self.rows(EVENT, limit=1, source=source, event_id=event_id)), None)

    def sentiment(self, symbol: str | None = None, source: str | None = None, limit: int = 50) -> list[Record]:
        """Return sentiment scores, newest first."""
        return self.rows(SENTIMENT, limit=limit, **_given(symbol=symbol, source=source))

    def protocol_tvl(self, protocol: str | None = None, since: datetime | None = None, limit: int = 100) -> list[Record]:
        """Return the value locked in one protocol or in all, newest first."""
        return self.rows(PROTOCOL_TVL, since=since, limit=limit, **_given(protocol=protocol))

    def protocol_fees(self, protocol: str | None = None, since: datetime | None = None, limit: int = 100) -> list[Record]:
        """Return the fees of one protocol or of all, newest first."""
        return self.rows(PROTOCOL_FEES, since=since, limit=limit, **_given(protocol=protocol))

    def protocol_revenue(self, protocol: str | None = None, since: datetime | None = None, limit: int = 100) -> list[Record]:
        """Return the revenue of one protocol or of all, newest first."""
        return self.rows(PROTOCOL_REVENUE, since=since, limit=limit, **_given(protocol=protocol))

    def protocol_days(self, protocol: str, metric: str, since: datetime | None = None, limit: int = 400) -> list[Record]:
        """Return the ``fees`` or the ``revenue`` of a protocol day by day, newest first."""
        return self.rows(PROTOCOL_DAY, since=since, limit=limit, protocol=protocol, metric=metric)

    def candles(self, symbol: str, currency: str, interval: str, since: datetime | None = None, limit: int = 500) -> list[Record]:
        """Return the candles of a market, newest first; a span without a trade may have none."""
        return self.rows(MARKET_CANDLE, since=since, limit=limit, symbol=symbol, currency=currency, interval=interval)

    def derived_candles(
        self, symbol: str, currency: str, interval: str, since: datetime | None = None, limit: int = 500, origin: str | None = None
    ) -> list[Record]:
        """Return the candles of a market that were computed from quotes or published by venues, of one origin or all, newest first."""
        return self.rows(CANDLE, since=since, limit=limit, symbol=symbol, currency=currency, interval=interval, **_given(origin=origin))

    def fills(self, user_id: str) -> list[Record]:
        """Return all fills of a user in their total order: execution time, then fill id."""
        return self.rows(FILL, newest_first=False, user_id=user_id)

    def _conditions(self, table: LedgerTable, equals: Mapping[str, Any], within: Sequence[str] = ()) -> tuple[list[str], Record]:
        """Compose what a fact must be: of the given values, of our user, known at our time, and then the latest version.

        All versions of a fact whose clock is in its key lie ``within`` the same span; so only its partitions are searched for later ones.
        """
        wanted = self._wanted(table, equals)
        if self._user_id is not None and wanted.get("user_id", self._user_id) != self._user_id:
            raise BadInputError(f"{table.qualified}: this reader is bound to user '{self._user_id}'")
        conditions, bound = [_latest_version(table, within, known_at=self._as_of is not None)], dict[str, Any]()
        if self._as_of is not None:
            conditions.append("fact.recorded_at <= :as_of")
            bound["as_of"] = self._as_of
        for column, value in wanted.items():
            if column not in (*table.fields, *BOOKKEEPING):
                raise BadInputError(f"{table.qualified} has no column '{column}'")
            conditions.append(_equality(column, value))
            bound[f"eq_{column}"] = list(value) if isinstance(value, (list, tuple)) else value
        return conditions, bound

    def _wanted(self, table: LedgerTable, equals: Mapping[str, Any]) -> dict[str, Any]:
        """Add the user that this reader is bound to."""
        return {"user_id": self._user_id, **equals} if table.per_user and self._user_id is not None else dict(equals)

    def _records(self, table: LedgerTable, statement: str, bound: Mapping[str, Any]) -> list[Record]:
        from sqlalchemy import text

        with self._engine.connect() as connection, connection.begin():
            self._await_known(connection, table)
            self._bind_session(connection)
            found = connection.execute(text(statement), bound)
            columns = tuple(found.keys())
            return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]  # half the time of `mappings()`

    def _await_known(self, connection: Connection, table: LedgerTable) -> None:
        if self._as_of is None or table.qualified in self._complete:
            return
        if await_known(connection, [table.qualified], self._as_of, self._patience_s):
            self._complete.add(table.qualified)

    def _bind_session(self, connection: Connection) -> None:
        from sqlalchemy import text

        if self._session_token is not None:
            connection.execute(text("SELECT set_config('omc.session_token', :token, true)"), {"token": self._session_token})


def _selection(table: LedgerTable) -> str:
    return f"SELECT {', '.join(f'fact.{column}' for column in (*table.fields, *BOOKKEEPING))} FROM {table.qualified} AS fact"


def _latest_version(table: LedgerTable, within: Sequence[str], *, known_at: bool) -> str:
    span = [f"later.{table.clock} {comparison}" for comparison in within if table.clock in table.identity]
    same = " AND ".join([*(f"later.{column} = fact.{column}" for column in table.identity), *span])
    known = " AND later.recorded_at <= :as_of" if known_at else ""
    return f"NOT EXISTS (SELECT FROM {table.qualified} AS later WHERE {same} AND later.version > fact.version{known})"


def _equality(column: str, value: Any) -> str:
    if value is None:
        return f"fact.{column} IS NULL"
    return f"fact.{column} = ANY(:eq_{column})" if isinstance(value, (list, tuple)) else f"fact.{column} = :eq_{column}"


def _any_of(column: str, values: Sequence[str] | None) -> dict[str, Any]:
    return {} if values is None else {column: list(values)}


def _given(**equals: Any) -> dict[str, Any]:
    return {column: value for column, value in equals.items() if value is not None}
