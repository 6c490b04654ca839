"""By what a user's positions are computed, and the row of a computation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.policy import FeePolicy, LotPolicy, Method, OversellPolicy
from omc_pipeline.positions.reporting import reporting_of

if TYPE_CHECKING:
    import psycopg

RULES = 2
"""Raised when the same fills would give other matches, so that every position is computed again."""
DEFAULT_CURRENCY = "AUD"
"""Of a basis that names none, as in tests and benches; what users report in stands in ``pnl.reporting``."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a user's run goes by; ``currency`` is that of all its money, ``day_zone`` says whose days UK share pooling goes by."""

    method: Method = "fifo"
    fee_policy: FeePolicy = "capitalise"
    oversell_policy: OversellPolicy = "exclude"
    lot_policy: LotPolicy = "universal"
    currency: str = DEFAULT_CURRENCY
    day_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Batching:
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


DEFAULT_BATCHING = Batching()


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of ``pnl.run``.

    Attributes:
        digest: Sum of the digests of all fills it knew.
        known_at: When the newest of them was recorded; what was recorded later it didn't know. None: it knew none.
        recorded_at: When it ended; rates kept later are not its own.
    """

    run_id: int
    basis: Basis
    rules: int
    digest: int
    fills: int
    known_at: datetime | None
    positions: int
    matches: int
    recorded_at: datetime


_COLUMNS = """run_id, method, fee_policy, oversell_policy, lot_policy, currency, day_zone, rules, input_sha256, fills, known_at, positions,
    matches, recorded_at"""


def latest_run(connection: psycopg.Connection[Any], user_id: str, method: Method, currency: str) -> RunRow | None:
    """Return the last run of a user by a method in a currency, or None before the first."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM pnl.run WHERE user_id = %s AND method = %s AND currency = %s ORDER BY run_id DESC LIMIT 1",
        (user_id, method, currency),
    ).fetchone()
    return None if row is None else RunRow(row[0], Basis(*row[1:7]), row[7], int(row[8], 16), *row[9:])


def required_run(connection: psycopg.Connection[Any], user_id: str, method: Method, currency: str | None = None) -> RunRow:
    """Return the last run of a user by a method, in a reporting currency of the user or in the default one.

    Raises:
        BadInputError: There is none yet, no such user, or the user doesn't report in that currency.
    """
    chosen = reporting_of(connection, user_id, currency)
    run = latest_run(connection, user_id, method, chosen.currency)
    if run is None:
        has_fills = connection.execute("SELECT EXISTS (SELECT FROM exchange.fill WHERE user_id = %s)", (user_id,)).fetchone()
        if has_fills is None or not has_fills[0]:
            raise BadInputError(f"the ledger has no fills of a user {user_id!r}")
        command = f"omc pnl positions --user {user_id} --method {method}" + ("" if chosen.is_default else f" --currency {chosen.currency}")
        raise BadInputError(f"user {user_id!r} has no positions by {method} in {chosen.currency}; compute them with `{command}`")
    return run
