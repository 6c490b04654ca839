"""The laws of conservation, asked of the kept rows: what fills brought in is matched or open, in units and in money.

The position, its days, its lots and the matches that hold are four tables written by different paths; each must tell the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.amounts import exact_units
from omc_pipeline.pnl.conservation import Finding
from omc_pipeline.pnl.conservation import finding as broken_law
from omc_pipeline.pnl.policy import Method
from omc_pipeline.positions.basis import RunRow, latest_run
from omc_pipeline.positions.changes import ledger_at
from omc_pipeline.positions.lots import POOLED
from omc_pipeline.positions.query_plan import for_many_rows
from omc_pipeline.positions.reporting import reporting_of
from omc_pipeline.positions.run import run_of_user
from omc_pipeline.positions.sums import Sums, sums_of

if TYPE_CHECKING:
    import psycopg

    from omc_infra.postgres.database import Database

_NAMES = ", ".join(f"p.{name}" for name in Sums._fields)
_DAYS = ", ".join(f"coalesce(d.{name}, 0)" for name in Sums._fields)
_SUM_OF_DAYS = ", ".join(f"sum({name}){'::bigint' if name == 'trades' else ''} AS {name}" for name in Sums._fields)
SUMS = f"""
SELECT p.symbol, p.currency, {_NAMES}, {_DAYS},
    coalesce(m.from_lots, 0), coalesce(m.beyond, 0), coalesce(m.cost, 0), coalesce(m.proceeds, 0),
    coalesce(m.moved, 0), coalesce(l.qty, 0), coalesce(l.cost, 0), coalesce(l.open_qty, 0), coalesce(l.open_cost, 0)
FROM pnl.position p
LEFT JOIN (SELECT position_id, {_SUM_OF_DAYS} FROM pnl.daily WHERE position_id = ANY(%(positions)s) GROUP BY 1) d USING (position_id)
LEFT JOIN (
    SELECT position_id, sum(cost) FILTER (WHERE rule IS DISTINCT FROM 'transfer') AS cost,
        sum(proceeds) FILTER (WHERE rule IS DISTINCT FROM 'transfer') AS proceeds,
        sum(qty) FILTER (WHERE lot_fill IS NOT NULL AND rule IS DISTINCT FROM 'transfer') AS from_lots,
        sum(qty) FILTER (WHERE lot_fill IS NULL) AS beyond, sum(gain) FILTER (WHERE rule = 'transfer') AS moved
    FROM pnl.live_match WHERE position_id = ANY(%(positions)s) GROUP BY 1
) m USING (position_id)
LEFT JOIN (
    SELECT position_id, sum(qty) FILTER (WHERE acquired) AS qty, sum(cost) FILTER (WHERE acquired) AS cost,
        sum(open_qty) AS open_qty, sum(open_cost) AS open_cost
    FROM (SELECT *, lot_fill NOT LIKE '%%@%%' AS acquired FROM pnl.lot WHERE position_id = ANY(%(positions)s)) lot GROUP BY 1
) l USING (position_id)
WHERE p.position_id = ANY(%(positions)s) ORDER BY p.symbol, p.currency
"""
CHANGED = "SELECT position_id FROM pnl.position WHERE user_id = %s AND method = %s AND currency = %s AND run_id >= %s"


def conservation_findings(
    database: Database, user_id: str, method: Method = "fifo", since_run: int | None = None, currency: str | None = None
) -> list[Finding]:
    """Check a user's positions against their days, lots, matches and fills; empty when every law holds, or before the first run.

    Args:
        database: Where they are kept.
        user_id: Whose.
        method: Which of the user's positions.
        since_run: Only positions that this run or a later one changed, and not whether a fill was lost; None: everything.
        currency: One that the user reports in; None: the default.

    Raises:
        BadInputError: The user doesn't report in the currency.
    """
    with run_of_user(database, user_id) as connection:
        chosen = reporting_of(connection, user_id, currency).currency
        run = latest_run(connection, user_id, method, chosen)
        if run is None:
            return []
        positions = [number for (number,) in connection.execute(CHANGED, (user_id, method, chosen, since_run or 0))]
        with for_many_rows(connection):
            rows = connection.execute(SUMS, {"positions": positions}).fetchall()
        broken = [finding for row in rows for finding in _broken_laws(row, method)]
        return broken if since_run is not None else broken + _lost_fills(connection, user_id, run)


def _broken_laws(row: Sequence[Any], method: Method) -> list[Finding]:
    symbol, currency = row[:2]
    width = len(Sums._fields)
    kept, days = sums_of(row[2 : 2 + width]), sums_of(row[2 + width : 2 + 2 * width])
    from_lots, beyond, cost, proceeds, moved, lots_qty, lots_cost, open_qty, open_cost = (exact_units(n) for n in row[2 + 2 * width :])
    laws = [
        ("units bought = matched + open", kept.bought_qty, from_lots + open_qty),
        ("cost bought = matched + open", kept.bought, cost + open_cost),
        ("units sold = matched + unmatched", kept.sold_qty, from_lots + kept.unmatched_qty),
        ("units at no cost = unmatched, or none", beyond, kept.unmatched_qty if beyond else 0),
        ("units matched = those of matches", kept.matched_qty, from_lots),
        ("proceeds = those of matches", kept.proceeds, proceeds),
        ("realized = gains of matches - expensed fees", kept.proceeds - kept.cost - kept.fees, proceeds - cost - kept.fees),
        ("transfers between own accounts gain nothing", 0, moved),
        *((f"{name} = sum of days", mine, theirs) for name, mine, theirs in zip(Sums._fields, kept, days, strict=True)),
    ]
    if method not in POOLED:
        laws += [("units bought = lots", kept.bought_qty, lots_qty), ("cost bought = lots", kept.bought, lots_cost)]
    return [broken_law(law, symbol, currency, units) for law, *units in laws if units[0] != units[1]]


def _lost_fills(connection: psycopg.Connection[Any], user_id: str, run: RunRow) -> list[Finding]:
    """Compare the fills that a run says it knew with those the ledger holds now, less those recorded since."""
    known = ledger_at(connection, user_id, run.known_at)
    if known == (run.fills, run.digest):
        return []
    return [Finding("fills known = fills of the ledger", "*", run.basis.currency, str(known[0]), str(run.fills))]
