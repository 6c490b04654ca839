"""By what a user's positions are computed, and the row of a computation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.policy import FeePolicy, LotPolicy, Method, OversellPolicy

if TYPE_CHECKING:
    import psycopg

RULES = 2
"""Raised when the same fills would give other matches, so that every position is computed again."""
REPORTING_CURRENCY = "AUD"


@dataclass(frozen=True, slots=True)
class Basis:
    """What a user's run goes by; ``currency`` is that of all its money."""

    method: Method = "fifo"
    fee_policy: FeePolicy = "capitalise"
    oversell_policy: OversellPolicy = "exclude"
    lot_policy: LotPolicy = "universal"
    currency: str = REPORTING_CURRENCY


@dataclass(frozen=True, slots=True)
class Pace:
    """How work is cut into parts; the outcome is the same.

    Attributes:
        backfill_fills: From so many new fills on, coins that have no position yet go through the compiled kernel, and so does a
            coin of which a late fill makes so many trades be matched anew; below it, loading what is compiled takes longer
            than it saves. None: never.
        chunk_fills: Fills in memory at a time.
        checkpoint_trades: A checkpoint is made at the first midnight after so many trades, and at the first of each month that
            something happened in.
    """

    backfill_fills: int | None = 50_000
    chunk_fills: int = 100_000
    checkpoint_trades: int = 10_000


USUAL_PACE = Pace()


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of ``pnl.run``: ``digest`` is the sum of the digests of all fills it knew, ``known_at`` when the newest was recorded."""

    run_id: int
    basis: Basis
    rules: int
    digest: int
    fills: int
    known_at: datetime | None
    positions: int
    matches: int


_COLUMNS = "run_id, method, fee_policy, oversell_policy, lot_policy, currency, rules, input_sha256, fills, known_at, positions, matches"


def latest_run(connection: psycopg.Connection[Any], user_id: str, method: Method) -> RunRow | None:
    """Answer the last run of a user and method, or None before the first."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM pnl.run WHERE user_id = %s AND method = %s ORDER BY run_id DESC LIMIT 1", (user_id, method)
    ).fetchone()
    return None if row is None else RunRow(row[0], Basis(*row[1:6]), row[6], int(row[7], 16), *row[8:])


def required_run(connection: psycopg.Connection[Any], user_id: str, method: Method) -> RunRow:
    """Answer the last run of a user and method.

    Raises:
        BadInputError: There is none yet, or no such user.
    """
    run = latest_run(connection, user_id, method)
    if run is None:
        has_fills = connection.execute("SELECT EXISTS (SELECT FROM exchange.fill WHERE user_id = %s)", (user_id,)).fetchone()
        if has_fills is None or not has_fills[0]:
            raise BadInputError(f"the ledger has no fills of a user {user_id!r}")
        raise BadInputError(
            f"user {user_id!r} has no positions by {method}; compute them with `omc pnl positions --user {user_id} --method {method}`"
        )
    return run
