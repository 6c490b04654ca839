"""One computation of a user's positions: what changed in the ledger since the last one, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.policy import FeePolicy, LotPolicy, Method, OversellPolicy
from omc_pipeline.positions.basis import DEFAULT_BATCHING, RULES, Basis, Batching, RunRow, latest_run
from omc_pipeline.positions.bulk.kernel_path import backfill
from omc_pipeline.positions.changes import MODULUS, Changes, changes_since, digest_since
from omc_pipeline.positions.exceptions import UNSETTLED
from omc_pipeline.positions.fills import BEGINNING
from omc_pipeline.positions.position import Position
from omc_pipeline.positions.reporting import day_zone, reporting_of
from omc_pipeline.positions.run_context import RunContext

if TYPE_CHECKING:
    import psycopg

    from omc_infra.postgres.database import Database

NEXT_RUN = "SELECT nextval(pg_get_serial_sequence('pnl.run', 'run_id'))"
SAVE_RUN = """
INSERT INTO pnl.run (run_id, user_id, method, fee_policy, oversell_policy, lot_policy, currency, day_zone, rules, input_sha256, fills,
    known_at, positions, matches) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
COUNTS = """
SELECT
    (SELECT count(*) FROM pnl.position WHERE user_id = %(user)s AND method = %(method)s AND currency = %(currency)s AND trades > 0),
    (SELECT count(*) FROM pnl.exception WHERE user_id = %(user)s AND method = %(method)s AND currency = %(currency)s
        AND cleared_at IS NULL AND resolved_at IS NULL)
"""
EVER = "SELECT DISTINCT symbol FROM pnl.position WHERE user_id = %s AND method = %s AND currency = %s"


@dataclass(frozen=True, slots=True)
class PositionsRun:
    """A run: ``fills`` it knows, ``matches`` it wrote, positions and open exceptions the user has; ``unchanged``: found, not made."""

    run_id: int
    unchanged: bool
    fills: int
    matches: int
    positions: int
    exceptions: int


def compute_positions(
    database: Database,
    user_id: str,
    method: Method = "fifo",
    fee_policy: FeePolicy = "capitalise",
    oversell_policy: OversellPolicy = "exclude",
    lot_policy: LotPolicy = "universal",
    currency: str | None = None,
    batching: Batching = DEFAULT_BATCHING,
) -> PositionsRun:
    """Bring a user's positions up to what the ledger knows, in one transaction of role writer.

    New fills extend their positions from the open lots. A late or corrected fill replays its position from the checkpoint
    before it; the matches that come out otherwise supersede the old ones, and closed days get rows with the difference. Another
    policy replays everything. Unchanged fills make no new run. Two computations of one user at a time wait for each other.

    Args:
        database: Where fills are and positions are kept.
        user_id: Whose.
        method: How sells find their lots.
        fee_policy: Where fees go.
        oversell_policy: What to do with units that were sold but not held.
        lot_policy: Whether a sell may take lots of another account.
        currency: Of all money, one that the user reports in; None: the user's default.
        batching: How the work is cut into parts.

    Raises:
        BadInputError: More is sold than held and the policy is ``refuse``, a sum reaches 1e20, the method pools all accounts, or
            the user doesn't report in the currency.
    """
    from psycopg.errors import NumericValueOutOfRange

    if method == "uk" and lot_policy == "account":
        raise BadInputError("method 'uk' pools all accounts by law; use the lot policy universal with it")
    try:
        with run_of_user(database, user_id) as connection:
            chosen = reporting_of(connection, user_id, currency)
            basis = Basis(method, fee_policy, oversell_policy, lot_policy, chosen.currency, day_zone(method, chosen.tax_zone))
            return _compute(connection, database, user_id, basis, batching)
    except (NumericValueOutOfRange, OverflowError) as error:
        raise BadInputError(f"user {user_id!r}: a sum of money or units reaches 1e20, which the ledger cannot hold") from error


@contextmanager
def run_of_user(database: Database, user_id: str) -> Iterator[psycopg.Connection[Any]]:
    """Open a transaction of role writer that sees one state of the ledger; runs of one user wait for each other.

    The lock is taken before the transaction begins, or it would see the state from before its turn.
    """
    from psycopg import IsolationLevel

    with database.connect("writer") as connection:
        connection.autocommit = True
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"pnl.run {user_id}",))
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            connection.execute("SET LOCAL TIME ZONE 'UTC'")
            yield connection


def _compute(connection: psycopg.Connection[Any], database: Database, user_id: str, basis: Basis, batching: Batching) -> PositionsRun:
    last = latest_run(connection, user_id, basis.method, basis.currency)
    anew = last is None or (last.basis, last.rules) != (basis, RULES)
    known_at = None if anew or last is None else last.known_at
    changes = changes_since(connection, user_id, known_at)
    run_id = connection.execute(NEXT_RUN).fetchone()[0]  # type: ignore[index]
    context = RunContext(connection, user_id, basis, run_id, batching)
    touch_settled(context, changes)
    if last is not None and not anew and not changes.since and changes.known_at == last.known_at:
        positions, exceptions = _counts(connection, user_id, basis)
        return PositionsRun(last.run_id, True, last.fills, last.matches, positions, exceptions)
    if anew and last is not None:
        for (symbol,) in connection.execute(EVER, (user_id, basis.method, basis.currency)).fetchall():
            changes.touch([symbol], BEGINNING)
    return _carry_on(context, changes, None if anew else last, database)


def touch_settled(context: RunContext, changes: Changes) -> None:
    """Touch the coins of fills that could not be settled before and now can.

    A user who reports in a currency without known rates may have very many of them, so they are looked at many at a time.
    """
    waiting = context.exceptions.unsettled()
    for start in range(0, len(waiting), context.batching.chunk_fills):
        fills = context.fills.named(waiting[start : start + context.batching.chunk_fills])
        moved = [[fill] for fill in fills if fill.kind == "transfer"]
        for part in [[fill for fill in fills if fill.kind != "transfer"], *moved]:
            expansion = context.settle(part)
            unsettled = {exception.fill for exception in expansion.exceptions if exception.kind in UNSETTLED}
            for trade in expansion.trades:
                if len(part) == 1 and unsettled:
                    break
                if unsettled.isdisjoint((trade.id, trade.id.rpartition(":")[0])):
                    changes.touch([trade.symbol], trade.time)


def _carry_on(context: RunContext, changes: Changes, last: RunRow | None, database: Database) -> PositionsRun:
    """Bring every touched coin up to date, as a whole where that is much work; then keep the run."""
    connection, basis = context.connection, context.basis
    touched: list[tuple[str, datetime]] = sorted((coin, at) for coin, at in changes.since.items() if context.is_coin(coin))
    done = backfill(context, database, touched, changes.rows)
    for coin, since in touched:
        if coin not in {*done.fresh, *done.restated}:
            Position.load(context, coin).carry_on(since)
    context.flush()
    context.exceptions.keep()
    digest = done.digest + digest_since(connection, context.user_id, last.known_at if last else None, done.fresh)
    fills, digest = changes.fills + (last.fills if last else 0), (digest + (last.digest if last else 0)) % MODULUS
    policies = (basis.method, basis.fee_policy, basis.oversell_policy, basis.lot_policy, basis.currency, basis.day_zone)
    written = context.matches.written + done.matches
    connection.execute(
        SAVE_RUN, (context.run_id, context.user_id, *policies, RULES, f"{digest:064x}", fills, changes.known_at, len(touched), written)
    )
    positions, exceptions = _counts(connection, context.user_id, basis)
    return PositionsRun(context.run_id, False, fills, written, positions, exceptions)


def _counts(connection: psycopg.Connection[Any], user_id: str, basis: Basis) -> tuple[int, int]:
    row = connection.execute(COUNTS, {"user": user_id, "method": basis.method, "currency": basis.currency}).fetchone()
    return (0, 0) if row is None else (row[0], row[1])
