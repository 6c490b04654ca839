"""The laws of conservation, asked of the kept rows: what fills brought in is matched or open, in units and in money."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.amounts import exact_units
from omc_pipeline.pnl.conservation import Finding, finding
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.trade import Trade
from omc_pipeline.positions.run import latest_run, read_user_trades

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

SUMS = """
SELECT p.symbol, p.currency, p.qty, p.cost, p.bought_qty, p.bought, p.sold_qty, p.unmatched_qty, p.proceeds, p.realized, p.expensed_fees,
    coalesce(m.from_lots, 0), coalesce(m.qty, 0), coalesce(m.cost, 0), coalesce(m.proceeds, 0), coalesce(m.gain, 0), coalesce(o.qty, 0),
    coalesce(o.cost, 0), coalesce(m.beyond, 0)
FROM pnl.position p
LEFT JOIN (
    SELECT symbol, currency, sum(qty) FILTER (WHERE lot_fill IS NOT NULL) AS from_lots, sum(qty) AS qty, sum(cost) AS cost,
        sum(proceeds) AS proceeds, sum(gain) AS gain, sum(qty) FILTER (WHERE lot_fill IS NULL) AS beyond
    FROM pnl.lot_match WHERE run_id = %(run)s GROUP BY 1, 2
) m USING (symbol, currency)
LEFT JOIN (SELECT symbol, currency, sum(qty) AS qty, sum(cost) AS cost FROM pnl.open_lot WHERE run_id = %(run)s GROUP BY 1, 2) o
    USING (symbol, currency)
WHERE p.run_id = %(run)s ORDER BY p.symbol, p.currency
"""


def conservation_findings(database: Database, user_id: str, method: Method = "fifo") -> list[Finding]:
    """Check a user's latest run; empty when every law holds, or before the first run.

    The fills themselves are asked, too, unless newer ones have come in since the run.
    """
    with database.connect("reader") as connection:
        run = latest_run(connection, user_id, method)
        if run is None:
            return []
        rows = connection.execute(SUMS, {"run": run.run_id}).fetchall()
    read = read_user_trades(database, user_id, run.basis.fee_policy)
    found = [broken for row in rows for broken in _broken_laws(row)]
    return found + _lost_fills(rows, read.trades) if read.sha256 == run.input_sha256 else found


def _broken_laws(row: Sequence[Any]) -> list[Finding]:
    symbol, currency = row[:2]
    qty, cost, bought_qty, bought, sold_qty, unmatched, proceeds, realized, fees, *sums = (exact_units(number) for number in row[2:])
    from_lots, matched, matched_cost, matched_proceeds, gains, open_qty, open_cost, beyond = sums
    laws = (
        ("units bought = matched + open", bought_qty, from_lots + open_qty),
        ("cost bought = matched + open", bought, matched_cost + open_cost),
        ("units sold = matched + unmatched", sold_qty, from_lots + unmatched),
        ("units at no cost = unmatched, or none", beyond, unmatched if beyond else 0),
        ("units of matches = from lots + at no cost", matched, from_lots + beyond),
        ("proceeds = those of matches", proceeds, matched_proceeds),
        ("realized = gains of matches - expensed fees", realized, gains - fees),
        ("units held = open lots", qty, open_qty),
        ("cost held = open lots", cost, open_cost),
    )
    return [finding(law, symbol, currency, units) for law, *units in laws if units[0] != units[1]]


def _lost_fills(rows: Sequence[Sequence[Any]], trades: Sequence[Trade]) -> list[Finding]:
    kept = {(row[0], row[1]): [exact_units(row[at]) for at in (4, 5, 6)] for row in rows}
    expected: dict[tuple[str, str], list[int]] = {key: [0, 0, 0] for key in kept}
    for trade in trades:
        sums = expected.setdefault((trade.symbol, trade.currency), [0, 0, 0])
        if trade.side == "buy":
            sums[0] += trade.qty
            sums[1] += trade.money
        else:
            sums[2] += trade.qty
    names = ("units bought = fills", "cost bought = fills", "units sold = fills")
    return [
        finding(name, *key, (wanted, observed))
        for key, sums in sorted(expected.items())
        for name, wanted, observed in zip(names, sums, kept.get(key, [0, 0, 0]), strict=True)
        if wanted != observed
    ]
