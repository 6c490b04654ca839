"""Which coins go through the kernel as a whole, and whether it runs here at all; the only door, behind which what is compiled is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

import structlog

from omc_pipeline.positions.basis import Basis
from omc_pipeline.positions.bulk.simple_coins import simple_coins
from omc_pipeline.positions.changes import duplicates_digest
from omc_pipeline.positions.fills import BEGINNING
from omc_pipeline.positions.sums import SUM_COLUMNS, Sums

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database
    from omc_pipeline.positions.run_context import RunContext

log = structlog.get_logger()
OPEN = f"""
INSERT INTO pnl.position (user_id, method, currency, symbol, run_id, {SUM_COLUMNS})
SELECT %s, %s, %s, symbol, %s{", 0" * len(Sums._fields)} FROM unnest(%s::text[]) symbol RETURNING symbol, position_id
"""
KNOWN = """
SELECT p.symbol, p.position_id, p.last_at >= touched.since, p.trades - coalesce((
    SELECT c.trades FROM pnl.checkpoint c WHERE c.position_id = p.position_id AND c.at <= touched.since ORDER BY c.at DESC LIMIT 1), 0)
FROM pnl.position p JOIN unnest(%s::text[], %s::timestamptz[]) AS touched (symbol, since) USING (symbol)
WHERE p.user_id = %s AND p.method = %s AND p.currency = %s
"""


class Backfilled(NamedTuple):
    """What was computed.

    Attributes:
        fresh: Coins that had no position.
        restated: Coins whose matches were compared with those that held.
        matches: Written.
        digest: Sum of the digests of all fills of the fresh coins.
    """

    fresh: Sequence[str] = ()
    restated: Sequence[str] = ()
    matches: int = 0
    digest: int = 0


def backfill(context: RunContext, database: Database, touched: Sequence[tuple[str, datetime]], fills: int) -> Backfilled:
    """Compute those of the coins as a whole that are plain enough and have much to compute, where the kernel runs.

    Args:
        context: Of the run.
        database: For a connection that reads what the run sees.
        touched: Coins, each with the time from which on its fills may have changed.
        fills: New in the run; coins without a position go together where these are many.
    """
    least, basis = context.batching.backfill_fills, context.basis
    if least is None or not _has_compiled_form(basis):
        return Backfilled()
    whose = (context.user_id, basis.method, basis.currency)
    known = context.connection.execute(KNOWN, (*map(list, zip(*touched, strict=True)), *whose)).fetchall() if touched else []
    ids = {symbol: position for symbol, position, is_late, replayed in known if is_late and replayed >= least}
    fresh = {coin for coin, _ in touched} - {row[0] for row in known} if fills >= least else set[str]()
    if not ids and not fresh:
        return Backfilled()
    simple = simple_coins(context.connection, context.user_id, basis, [*fresh, *ids], context.fills.counted)
    return _computed(context, database, [coin for coin in simple if coin in fresh], {coin: ids[coin] for coin in simple if coin in ids})


def _computed(context: RunContext, database: Database, fresh: Sequence[str], late: dict[str, int]) -> Backfilled:
    if not fresh and not late:
        return Backfilled()
    from omc_pipeline.pnl.kernel.jit import keep_compiled_code

    keep_compiled_code(None)
    from omc_pipeline.positions.bulk.backfill import Backfill, move
    from omc_pipeline.positions.bulk.restate import restate

    whose = (context.user_id, context.basis.method, context.basis.currency)
    new = Backfill(context, database, partial(move, context))
    if fresh:
        new.run(dict(context.connection.execute(OPEN, (*whose, context.run_id, list(fresh))).fetchall()))
    matches = new.matches
    if late:
        for coin in late:
            context.exceptions.replayed(coin, BEGINNING)
        Backfill(context, database, lambda table: None).run(late)
        matches += restate(context, list(late.values()))
    digest = new.digest + (duplicates_digest(context.connection, context.user_id, fresh) if fresh else 0)
    return Backfilled(fresh, list(late), matches, digest)


def _has_compiled_form(basis: Basis) -> bool:
    """Whether the kernel knows the method; a refusal is left to the engine that words it."""
    if basis.method == "uk" or basis.lot_policy != "universal" or basis.oversell_policy == "refuse":
        return False
    return _is_numba_here()


@cache
def _is_numba_here() -> bool:
    """Whether numba runs here; one that is installed and broken is said once, for without it a backfill takes many times as long."""
    try:
        import numba  # noqa: F401 asked for, not used
    except ModuleNotFoundError as error:
        if error.name != "numba":
            log.warning("numba is installed and does not run; positions are computed by Python", reason=str(error))
        return False
    except ImportError as error:
        log.warning("numba is installed and does not run; positions are computed by Python", reason=str(error))
        return False
    return True
