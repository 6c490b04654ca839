"""One position of a user, carried on: from its open lots by new trades, or replayed from a checkpoint where a trade came late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import structlog

from omc_pipeline.pnl.amounts import exact_units, text_of
from omc_pipeline.pnl.kinds import AT_COST
from omc_pipeline.pnl.methods.uk import day_of
from omc_pipeline.pnl.result import Matching, oversell
from omc_pipeline.pnl.trade import Trade
from omc_pipeline.positions.fills import BEGINNING
from omc_pipeline.positions.lots import POOLED, Pools
from omc_pipeline.positions.matching import matcher_of, replace_pools
from omc_pipeline.positions.restate import Comparison
from omc_pipeline.positions.sums import SUM_COLUMNS, Sums, daily_sums, sums_of

if TYPE_CHECKING:
    from omc_pipeline.positions.run_context import RunContext

UK_REACH = timedelta(days=31)
"""Further back than this no trade changes what UK share pooling by UTC days matched."""
CLOCK_CHANGES = timedelta(hours=2)
"""By so much at most thirty-one days of a zone are longer than as many times 24 hours."""

_log = structlog.get_logger(__name__)
_NOT_OPEN = 0
LOAD = f"SELECT position_id, last_at, {SUM_COLUMNS} FROM pnl.position WHERE user_id = %s AND method = %s AND currency = %s AND symbol = %s"
OPEN = f"""
INSERT INTO pnl.position (user_id, method, currency, symbol, run_id, {SUM_COLUMNS}) VALUES (%s, %s, %s, %s, %s{", 0" * len(Sums._fields)})
RETURNING position_id
"""
SAVE = f"UPDATE pnl.position SET (run_id, last_at, {SUM_COLUMNS}) = (%s, %s{', %s' * len(Sums._fields)}) WHERE position_id = %s"
CHECKPOINT_BEFORE = f"""
SELECT at, last_at, pools, {SUM_COLUMNS} FROM pnl.checkpoint WHERE position_id = %s AND at <= %s ORDER BY at DESC LIMIT 1
"""
GIVE_BACK = """
UPDATE pnl.lot l SET open_qty = l.open_qty + taken.qty, open_cost = l.open_cost + taken.cost, run_id = %(run)s
FROM (SELECT lot_fill, acquired_at, sum(qty) AS qty, sum(cost) AS cost FROM pnl.live_match
      WHERE position_id = %(position)s AND disposed_at >= %(since)s AND acquired_at < %(since)s GROUP BY 1, 2) taken
WHERE l.position_id = %(position)s AND l.arrived_at < %(since)s AND l.lot_fill = taken.lot_fill AND l.acquired_at = taken.acquired_at
"""
HELD = "SELECT coalesce(sum(open_qty), 0), coalesce(sum(open_cost), 0) FROM pnl.lot WHERE position_id = %s AND open_qty > 0"
DAYS = f"""
SELECT day, sum(trades)::bigint, {", ".join(f"sum({name})" for name in Sums._fields[1:])}
FROM pnl.daily WHERE position_id = %s AND day >= %s GROUP BY 1
"""


@dataclass(slots=True)
class Position:
    """What is known of one position while a run carries it on."""

    context: RunContext
    symbol: str
    position_id: int
    last_at: datetime | None
    sums: Sums
    days: dict[date, Sums] = field(default_factory=dict)
    days_before: dict[date, Sums] = field(default_factory=dict)
    comparison: Comparison | None = None
    checkpoint_at: datetime | None = None
    checkpoint_trades: int | None = None
    matches: int = 0

    @classmethod
    def load(cls, context: RunContext, symbol: str) -> Position:
        """Read a position as the last run left it; a new one is opened by its first trade."""
        row = context.connection.execute(LOAD, (context.user_id, context.basis.method, context.basis.currency, symbol)).fetchone()
        return cls(context, symbol, _NOT_OPEN, None, Sums()) if row is None else cls(context, symbol, row[0], row[1], sums_of(row[2:]))

    def carry_on(self, since: datetime) -> None:
        """Process the fills from ``since`` on; where trades of that time were matched already, from the checkpoint before it."""
        uk = self.context.basis.method == "uk"
        if self.last_at is not None and (uk or since <= self.last_at):
            since = self._rewind(since - self._reach if uk and since > BEGINNING + self._reach else since)
        chunks = self.context.trades_of(self.symbol, since)
        for trades in [[trade for chunk in chunks for trade in chunk]] if uk else chunks:
            self._extend(trades)
        self._finish()

    @property
    def _reach(self) -> timedelta:
        return UK_REACH if self.context.zone is UTC else UK_REACH + CLOCK_CHANGES

    def _extend(self, trades: Sequence[Trade]) -> None:
        if self.position_id == _NOT_OPEN and trades:
            key = (self.context.user_id, self.context.basis.method, self.context.basis.currency, self.symbol)
            self.position_id = self.context.connection.execute(OPEN, (*key, self.context.run_id)).fetchone()[0]  # type: ignore[index]
        matcher = matcher_of(self.context, self.position_id, trades)
        parts = []
        for part, checkpoint_at in list(self._parts(trades)):
            if checkpoint_at is not None:
                self._checkpoint(checkpoint_at, matcher.pools())
            parts.append((part, matcher.match(part)))
            self._count(*parts[-1])
        algorithms = matcher.keep()
        for part, matching in parts:
            self._write(part, matching, algorithms)

    def _parts(self, trades: Sequence[Trade]) -> Iterator[tuple[Sequence[Trade], datetime | None]]:
        """Cut trades where a checkpoint is due; each part comes with the midnight of the checkpoint before it."""
        start, at = 0, None
        last, counted = self.last_at, self.sums.trades
        since, every = self._trades_at_last_checkpoint(), self.context.batching.checkpoint_trades
        for number, trade in enumerate(trades):
            if last is not None and last.date() != trade.time.date():
                is_due = last.month != trade.time.month or last.year != trade.time.year or counted + number - since >= every
                midnight = datetime.combine(trade.time.date(), time(), UTC)
                if is_due and midnight != self.checkpoint_at and self._may_end_at(trades, number):
                    if number > start:
                        yield trades[start:number], at
                    start, at, since = number, midnight, counted + number
            last = trade.time
        if start < len(trades):
            yield trades[start:], at

    def _may_end_at(self, trades: Sequence[Trade], number: int) -> bool:
        """Whether what comes later can't change what came before; in UK share pooling it can, for thirty days."""
        if self.context.basis.method != "uk":
            return True
        last = trades[number - 1].time if number else self.last_at
        return last is not None and trades[number].time - last > self._reach

    def _count(self, trades: Sequence[Trade], matching: Matching) -> None:
        """Add a part that was matched to the sums, and report what no lot covered."""
        of_sell = self._sells(trades)
        missing = [(of_sell[sell], qty) for sell, qty in matching.unmatched.items()]
        for day, sums in daily_sums(trades, matching.matches.pieces, missing).items():
            self.days[day] = self.days.get(day, Sums()).plus(sums)
            self.sums = self.sums.plus(sums)
        self.last_at = trades[-1].time
        for sell, qty in matching.unmatched.items():
            self.context.exceptions.found(oversell(self.symbol, sell, qty, self.context.basis.oversell_policy), of_sell[sell].time)

    def _sells(self, trades: Sequence[Trade]) -> dict[str, Trade]:
        of_sell = {trade.id: trade for trade in trades if trade.side == "sell"}
        if self.context.basis.method == "uk":
            of_sell.update(_first_of_days(of_sell.values(), self.context.zone))
        return of_sell

    def _write(self, trades: Sequence[Trade], matching: Matching, algorithms: Mapping[str, str]) -> None:
        """Hand on the matches that have to be written: all, or in a replay those that differ."""
        context, of_sell, pieces = self.context, self._sells(trades), matching.matches.pieces
        rows = []
        wanted = self.comparison.differing(pieces) if self.comparison else pieces
        for sell, lot, qty, cost, proceeds, acquired_at, disposed_at, rule in wanted:
            self.matches += 1
            trade = of_sell[sell]
            rows.append(
                (
                    self.position_id, context.run_id, self.matches, context.user_id, trade.account, sell, lot, text_of(qty), text_of(cost),
                    text_of(proceeds), acquired_at, disposed_at, rule, trade.algorithm, algorithms.get(lot) if lot else None,
                )
            )  # fmt: skip
        context.matches.add(rows)

    def _checkpoint(self, at: datetime, pools: str | None) -> None:
        self.context.checkpoints.add(
            [(self.position_id, at, self.context.user_id, self.context.run_id, self.last_at, pools, *_texts(self.sums))]
        )
        self.checkpoint_at, self.checkpoint_trades = at, self.sums.trades

    def _trades_at_last_checkpoint(self) -> int:
        if self.checkpoint_trades is None:
            row = self.context.connection.execute(CHECKPOINT_BEFORE, (self.position_id, self.last_at)).fetchone() if self.last_at else None
            self.checkpoint_at, self.checkpoint_trades = (None, 0) if row is None else (row[0], int(row[3]))
        return self.checkpoint_trades

    def _rewind(self, since: datetime) -> datetime:
        """Take the position back to the checkpoint before an instant, or to its beginning, and answer from when on to replay."""
        connection = self.context.connection
        row = connection.execute(CHECKPOINT_BEFORE, (self.position_id, since)).fetchone()
        at = BEGINNING if row is None else row[0]
        self.comparison = Comparison(connection, self.position_id, at)
        if self.context.basis.method in POOLED:
            replace_pools(self.context, self.position_id, Pools.parse(row[2] if row else None))
            self.context.lots.flush()
        else:
            bound = {"run": self.context.run_id, "position": self.position_id, "since": at}
            connection.execute(GIVE_BACK, bound)
            connection.execute("DELETE FROM pnl.lot WHERE position_id = %s AND arrived_at >= %s", (self.position_id, at))
        connection.execute("DELETE FROM pnl.checkpoint WHERE position_id = %s AND at > %s", (self.position_id, at))
        self.checkpoint_at, self.checkpoint_trades = (None, 0) if row is None else (at, int(row[3]))
        self.days_before = {day: sums_of(sums) for day, *sums in connection.execute(DAYS, (self.position_id, at.date()))}
        self.last_at, self.sums = (None, Sums()) if row is None else (row[1], sums_of(row[3:]))
        if not self._is_whole():
            _log.warning("a checkpoint is not what its lots give: replaying all", position=self.position_id, at=at.isoformat())
            self.comparison.close()
            return self._rewind(BEGINNING)
        self.context.exceptions.replayed(self.symbol, at)
        return at

    def _is_whole(self) -> bool:
        """Whether the open lots are those of the checkpoint, in units and in money."""
        row = self.context.connection.execute(HELD, (self.position_id,)).fetchone()
        return row is not None and (exact_units(row[0]), exact_units(row[1])) == (self.sums.qty, self.sums.open_cost)

    def _finish(self) -> None:
        """Write what the run added to each day, and the position as it is now."""
        if self.position_id == _NOT_OPEN:
            return
        context = self.context
        for day in sorted(self.days.keys() | self.days_before.keys()):
            delta = self.days.get(day, Sums()).minus(self.days_before.get(day, Sums()))
            if any(delta):
                context.days.add([(self.position_id, day, context.run_id, context.user_id, *_texts(delta))])
        from_at = self.comparison.close() if self.comparison else None
        if from_at is not None:
            context.connection.execute(
                "INSERT INTO pnl.restatement (position_id, run_id, user_id, from_at) VALUES (%s, %s, %s, %s)",
                (self.position_id, context.run_id, context.user_id, from_at),
            )
        context.connection.execute(SAVE, (context.run_id, self.last_at, *_texts(self.sums), self.position_id))


def _first_of_days(sells: Iterable[Trade], zone: tzinfo) -> dict[str, Trade]:
    """Return the first sell of each day by the ids of all of it, as UK share pooling names them."""
    days: dict[int, list[Trade]] = {}
    for sell in sells:
        if sell.kind not in AT_COST:
            days.setdefault(day_of(sell, zone), []).append(sell)
    return {"+".join(sell.id for sell in day): day[0] for day in days.values()}


def _texts(sums: Sums) -> tuple[Any, ...]:
    return sums.trades, *map(text_of, sums[1:])
