"""One computation of a user's positions, made when the fills have changed and only then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.pnl.compute import compute
from omc_pipeline.pnl.policy import FeePolicy, Method, OversellPolicy
from omc_pipeline.positions.fills import UserTrades, user_trades
from omc_pipeline.positions.write import write_run

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database


@dataclass(frozen=True, slots=True)
class Basis:
    """What a run was computed by."""

    method: Method = "fifo"
    fee_policy: FeePolicy = "capitalise"
    oversell_policy: OversellPolicy = "exclude"


@dataclass(frozen=True, slots=True)
class PositionsRun:
    """A run and the numbers of its rows; ``unchanged`` means it was found, not made."""

    run_id: UUID
    unchanged: bool
    fills: int
    matches: int
    positions: int
    exceptions: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of ``pnl.run``."""

    run_id: UUID
    basis: Basis
    input_sha256: str
    fills: int


def compute_positions(
    database: Database,
    user_id: str,
    method: Method = "fifo",
    fee_policy: FeePolicy = "capitalise",
    oversell_policy: OversellPolicy = "exclude",
) -> PositionsRun:
    """Match a user's fills and keep what came of it, in one transaction of role writer.

    Unchanged fills make no new run. Two computations of one user at a time wait for each other.

    Raises:
        BadInputError: More is sold than held and the policy is ``refuse``, or a sum reaches 1e20.
    """
    from psycopg.errors import NumericValueOutOfRange

    basis = Basis(method, fee_policy, oversell_policy)
    with database.connect("writer") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"pnl.run {user_id}",))
        read = read_user_trades(database, user_id, fee_policy)
        last = latest_run(connection, user_id, method)
        if last is not None and (last.basis, last.input_sha256) == (basis, read.sha256):
            return _counted(connection, last, unchanged=True)
        positions = compute(read.trades, method, oversell_policy)
        run = RunRow(uuid4(), basis, read.sha256, len(read.trades))
        try:
            write_run(connection, run, user_id, positions, read.exceptions)
        except NumericValueOutOfRange as error:
            raise BadInputError(f"user {user_id!r}: a sum of money or units reaches 1e20, which the ledger cannot hold") from error
        return _counted(connection, run, unchanged=False)


def read_user_trades(database: Database, user_id: str, policy: FeePolicy) -> UserTrades:
    """Read a user's fills, as known now, as trades."""
    return user_trades(LedgerReader(database.engine("reader"), user_id=user_id).fills(user_id), policy)


def latest_run(connection: Any, user_id: str, method: Method) -> RunRow | None:
    """Answer the run that holds for a user and method, or None before the first."""
    row = connection.execute(
        "SELECT run_id, method, fee_policy, oversell_policy, input_sha256, fills FROM pnl.run"
        " WHERE user_id = %s AND method = %s ORDER BY recorded_at DESC, run_id LIMIT 1",
        (user_id, method),
    ).fetchone()
    return None if row is None else RunRow(row[0], Basis(*row[1:4]), row[4], row[5])


def required_run(connection: Any, user_id: str, method: Method) -> RunRow:
    """Answer the run that holds for a user and method.

    Raises:
        BadInputError: There is none yet.
    """
    run = latest_run(connection, user_id, method)
    if run is None:
        raise BadInputError(f"user {user_id!r} has no positions by {method}; materialize pnl/positions first")
    return run


def _counted(connection: Any, run: RunRow, *, unchanged: bool) -> PositionsRun:
    counts: Mapping[str, int] = {
        table: cast("int", connection.execute(f"SELECT count(*) FROM pnl.{table} WHERE run_id = %s", (run.run_id,)).fetchone()[0])
        for table in ("lot_match", "position", "exception")
    }
    return PositionsRun(run.run_id, unchanged, run.fills, counts["lot_match"], counts["position"], counts["exception"])
