"""Rows an hour of each source and table, counted once and kept.

Counting a day of quotes takes longer than collecting a minute of them, so closed hours are counted once and read from
``quality.row_count``. An hour that closed lately is counted again until late rows have had their time, and every hour once a day,
because a backfill may have filled it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.table import LedgerTable

HOUR = timedelta(hours=1)
SETTLED_AFTER = 2 * HOUR
"""How long after its end an hour may still get late rows."""
COUNTED_AGAIN_AFTER, TRUSTED_FOR = timedelta(minutes=15), timedelta(days=1)

_KEPT = sa.text(
    "SELECT hour, rows, counted_at FROM quality.row_count"
    " WHERE source = :source AND table_name = :table AND hour >= :since AND hour < :until"
)
_KEEP = sa.text(
    "INSERT INTO quality.row_count (source, table_name, hour, rows, counted_at) VALUES (:source, :table, :hour, :rows, :now)"
    " ON CONFLICT (source, table_name, hour) DO UPDATE SET rows = EXCLUDED.rows, counted_at = EXCLUDED.counted_at"
)


def rows_by_hour(database: Database, source: str, table: LedgerTable, hours: int, now: datetime) -> list[int]:
    """Return how many facts each of the last closed hours holds, oldest first.

    Args:
        database: Where the ledger is.
        source: Name of the source that wrote the rows.
        table: Whose clock says to which hour a row belongs; versions of one fact count once.
        hours: How many hours to look back; the one that runs now is not among them.
        now: The present, aware.
    """
    until = now.replace(minute=0, second=0, microsecond=0)
    wanted = [until - HOUR * back for back in range(hours, 0, -1)]
    bound = {"source": source, "table": table.qualified, "since": wanted[0], "until": until}
    with database.engine("reader").connect() as connection:
        kept = {row.hour: row for row in connection.execute(_KEPT, bound)}
        counts = {hour: int(row.rows) for hour, row in kept.items()}
        missing = [hour for hour in wanted if hour not in kept or _is_stale(hour, kept[hour].counted_at, now)]
        counted = _counted(connection, source, table, missing)
    if counted:
        rows = [{**bound, "hour": hour, "rows": count, "now": now} for hour, count in counted.items()]
        with database.engine("writer").begin() as connection:
            connection.execute(_KEEP, rows)
    return [{**counts, **counted}[hour] for hour in wanted]


def rows_by_day(database: Database, source: str, table: LedgerTable, days: int, now: datetime) -> list[int]:
    """Return how many facts each of the last UTC days holds, oldest first; the last is today up to the last full hour.

    Arguments as of ``rows_by_hour``.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    hours_today = int((now - today) / HOUR)
    counts = rows_by_hour(database, source, table, 24 * (days - 1) + hours_today, now)
    starts = range(0, 24 * (days - 1), 24)
    return [*(sum(counts[start : start + 24]) for start in starts), sum(counts[24 * (days - 1) :])]


def _is_stale(hour: datetime, counted_at: datetime, now: datetime) -> bool:
    age = now - counted_at
    is_settled = counted_at >= hour + HOUR + SETTLED_AFTER
    return age > (TRUSTED_FOR if is_settled else COUNTED_AGAIN_AFTER)


def _counted(connection: sa.Connection, source: str, table: LedgerTable, hours: Sequence[datetime]) -> dict[datetime, int]:
    if not hours:
        return {}
    statement = sa.text(
        f"SELECT date_trunc('hour', {table.clock}, 'UTC') AS hour, count(*) AS rows FROM {table.qualified}"
        f" WHERE source = :source AND version = 1 AND {table.clock} >= :since AND {table.clock} < :until GROUP BY 1"
    )
    found = connection.execute(statement, {"source": source, "since": min(hours), "until": max(hours) + HOUR})
    counts = {row.hour: int(row.rows) for row in found}
    return {hour: counts.get(hour, 0) for hour in hours}
