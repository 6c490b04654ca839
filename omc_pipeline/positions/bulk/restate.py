"""What a whole coin, matched anew, changes of what was kept: only matches that differ, only days with a difference.

The new rows lie in temporary tables. Matches are append-only: those of earlier runs are superseded from the first instant at which
the new ones differ. Lots and checkpoints are of the present and replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omc_pipeline.positions.bulk.backfill import keep
from omc_pipeline.positions.bulk.output import TABLES
from omc_pipeline.positions.query_plan import for_many_rows
from omc_pipeline.positions.sums import Sums

if TYPE_CHECKING:
    from omc_pipeline.positions.run_context import RunContext

_MATCH = "position_id, disposed_at, sell_fill, lot_fill, qty, cost, proceeds, acquired_at, rule"
_NAMES = Sums._fields
DIFFERING = f"""
CREATE TEMPORARY TABLE bulk_differing ON COMMIT DROP AS
WITH known AS (SELECT {_MATCH} FROM pnl.live_match WHERE position_id = ANY(%(positions)s)),
    fresh AS (SELECT {_MATCH} FROM pg_temp.bulk_lot_match),
    differing AS ((TABLE fresh EXCEPT ALL TABLE known) UNION ALL (TABLE known EXCEPT ALL TABLE fresh))
SELECT position_id, min(disposed_at) AS from_at FROM differing GROUP BY 1
"""
SUPERSEDE = """
INSERT INTO pnl.restatement (position_id, run_id, user_id, from_at)
SELECT position_id, %(run)s, %(user)s, from_at FROM pg_temp.bulk_differing d
WHERE EXISTS (SELECT FROM pnl.live_match m WHERE m.position_id = d.position_id AND m.disposed_at >= d.from_at)
"""
_OTHERS = TABLES["lot_match"].replace("position_id, match_no, ", "")
MATCHES = f"""
INSERT INTO pnl.lot_match (user_id, run_id, position_id, match_no, {_OTHERS})
SELECT %(user)s, %(run)s, position_id, row_number() OVER (PARTITION BY position_id ORDER BY match_no), {_OTHERS}
FROM pg_temp.bulk_lot_match JOIN pg_temp.bulk_differing USING (position_id) WHERE disposed_at >= from_at
"""
DAYS = f"""
INSERT INTO pnl.daily (position_id, day, run_id, user_id, {", ".join(_NAMES)})
SELECT position_id, day, %(run)s, %(user)s, {", ".join(f"coalesce(f.{name}, 0) - coalesce(k.{name}, 0)" for name in _NAMES)}
FROM pg_temp.bulk_daily f FULL JOIN (
    SELECT position_id, day, {", ".join(f"sum({name}) AS {name}" for name in _NAMES)}
    FROM pnl.daily WHERE position_id = ANY(%(positions)s) GROUP BY 1, 2
) k USING (position_id, day)
WHERE ({", ".join(f"coalesce(f.{name}, 0)" for name in _NAMES)}) <> ({", ".join(f"coalesce(k.{name}, 0)" for name in _NAMES)})
"""


def restate(context: RunContext, positions: Sequence[int]) -> int:
    """Write what the rows in the temporary tables change of these positions, and answer how many matches were written."""
    bound = {"positions": list(positions), "run": context.run_id, "user": context.user_id}
    connection = context.connection
    with for_many_rows(connection):
        connection.execute(DIFFERING, bound)
        connection.execute(SUPERSEDE, bound)
        written = connection.execute(MATCHES, bound).rowcount
        connection.execute(DAYS, bound)
    for table in ("lot", "checkpoint"):
        connection.execute(f"DELETE FROM pnl.{table} WHERE position_id = ANY(%(positions)s)", bound)
        keep(context, table)
    return written
