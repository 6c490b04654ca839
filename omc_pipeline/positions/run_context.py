"""One run's view of a user: the fills as trades, the tables it writes, the exceptions it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from omc_pipeline.pnl.expand import Expansion, expand
from omc_pipeline.pnl.fill import FIAT, Fill
from omc_pipeline.pnl.trade import Trade, in_order
from omc_pipeline.positions.basis import DEFAULT_BATCHING, Basis, Batching
from omc_pipeline.positions.exceptions import ExceptionLog
from omc_pipeline.positions.fills import UserFills
from omc_pipeline.positions.lots import LOT_COLUMNS
from omc_pipeline.positions.rates import LedgerRates
from omc_pipeline.positions.sums import SUM_COLUMNS
from omc_pipeline.positions.write import TableWriter

if TYPE_CHECKING:
    import psycopg

MATCH_COLUMNS = """position_id, run_id, match_no, user_id, account_id, sell_fill, lot_fill, qty, cost, proceeds, acquired_at, disposed_at,
    rule, sell_algorithm, lot_algorithm"""


class RunContext:
    """A user's positions by one method, in the transaction of one run.

    Args:
        connection: Of role writer; its snapshot does not move, its time zone is UTC.
        user_id: Whose.
        basis: By what they are computed.
        run_id: The run.
        batching: How the work is cut into parts.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        user_id: str,
        basis: Basis,
        run_id: int,
        batching: Batching = DEFAULT_BATCHING,
    ) -> None:
        self.connection, self.user_id, self.basis, self.run_id, self.batching = connection, user_id, basis, run_id, batching
        self.exceptions = ExceptionLog(connection, user_id, basis.method, basis.currency, run_id)
        self.fills = UserFills(connection, user_id, batching.chunk_fills)
        self._rates = LedgerRates(connection, user_id, basis.currency)
        self.matches = TableWriter(connection, "lot_match", MATCH_COLUMNS)
        self.lots = TableWriter(connection, "lot", f"position_id, user_id, run_id, {LOT_COLUMNS}")
        self.days = TableWriter(connection, "daily", f"position_id, day, run_id, user_id, {SUM_COLUMNS}")
        self.checkpoints = TableWriter(connection, "checkpoint", f"position_id, at, user_id, run_id, last_at, pools, {SUM_COLUMNS}")

    @property
    def zone(self) -> tzinfo:
        """Whose days UK share pooling goes by."""
        return UTC if self.basis.day_zone == "UTC" else ZoneInfo(self.basis.day_zone)

    def is_coin(self, symbol: str) -> bool:
        """Whether a symbol is held in lots; money is not."""
        return symbol != self.basis.currency and symbol not in FIAT

    def trades_of(self, symbol: str, since: datetime) -> Iterator[Sequence[Trade]]:
        """Return the trades of a coin from a time on, in order, in parts that never divide an instant."""
        done: datetime | None = None
        for fills in self.fills.of_coin(symbol, since):
            until = fills[-1].time
            trades = [trade for trade in self.settle(fills).trades if trade.symbol == symbol and since <= trade.time <= until]
            if done is not None:  # a transfer whose other half came in an earlier part was carried there
                trades = [trade for trade in trades if trade.time > done]
            done = until
            if trades:
                yield in_order(trades)

    def settle(self, fills: Sequence[Fill]) -> Expansion:
        """Expand fills, each with its other half; what is found wrong with them is kept, and so are the rates they use."""
        moved = {fill.trade_id for fill in fills if fill.kind == "transfer" and fill.trade_id}
        known = {(fill.account, fill.id) for fill in fills}
        whole = [*fills, *(half for half in self.fills.transfers(moved) if (half.account, half.id) not in known)] if moved else fills
        self._rates.load(whole)
        expansion = expand(whole, self._rates, self.basis.currency, self.basis.fee_policy, self.basis.lot_policy)
        self._rates.keep(expansion.rates)
        at = {fill.id: fill.time for fill in whole} if expansion.exceptions else {}
        for exception in expansion.exceptions:
            self.exceptions.found(exception, at.get(exception.fill or ""))
        self.exceptions.looked_at(whole)
        return expansion

    def flush(self) -> None:
        """Write whatever is still kept back."""
        for writer in (self.lots, self.matches, self.days, self.checkpoints):
            writer.flush()
