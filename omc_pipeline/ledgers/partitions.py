"""Monthly partitions of the largest tables: made ahead, so that a read of some days opens some months, however long the history is.

Each partitioned table has two partitions without an end beside its months: earlier rows and later ones wait there, and none is lost. The
database makes the months itself (``omc.make_months``), so that a writer may ask for one without the right to make tables.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from omc_pipeline.ledgers.table import LedgerTable

MONTHS_AHEAD = 1
"""More would cost each plan of a read some time."""
_AHEAD = """
SELECT coalesce(sum(omc.make_months(table_name, now(), now() + make_interval(months => %s))), 0)::integer FROM omc.partitioned
"""


def make_months(connection: psycopg.Connection[Any], table: LedgerTable, since: datetime, until: datetime) -> int:
    """Make the months of a table from one time to another, both included.

    Earlier months are made only while no row is older than the first month there is; later rows that wait are moved to their month.

    Args:
        connection: Of role writer; the table is locked until the transaction ends, if anything has to be made.
        table: A table that is not ``monthly`` is left as it is.
        since: First time of the table's clock.
        until: Last time; at most a year from now counts.

    Returns:
        How many were made; 0 where others keep the table busy, and the next call makes them.
    """
    row = connection.execute("SELECT omc.make_months(%s, %s, %s)", [table.qualified, since, until]).fetchone()
    return row[0] if row else 0


def make_months_ahead(connection: psycopg.Connection[Any]) -> int:
    """Make the partitions of this month and the next ones of every partitioned table; return how many were made.

    Args:
        connection: Of role writer, outside a transaction.
    """
    with connection.transaction():
        row = connection.execute(_AHEAD, [MONTHS_AHEAD]).fetchone()
    return row[0] if row else 0
