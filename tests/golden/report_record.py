"""A small invented record for golden reports: three years, four coins, every treatment of the tax view, hostile names."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from omc_pipeline.pnl.amounts import PRICE_DECIMALS, exact_units, rounded_units
from omc_pipeline.pnl.compute import compute
from omc_pipeline.pnl.policy import FeePolicy, Method
from omc_pipeline.pnl.report.record import FillRow, PricePoint, Record, rows_of, with_own_trades
from omc_pipeline.pnl.trade import Side, Trade

# id, time, symbol, side, quantity, price, fee, algorithm
TRADES = (
    ("a1", "2024-03-01T02:00:00+00:00", "BTC", "buy", "0.5", "80000", "40", "momentum"),
    ("a2", "2024-07-10T05:30:00+00:00", "BTC", "buy", "0.25", "96000", "24", None),
    ("e1", "2024-08-01T00:00:00+00:00", "ETH", "buy", "4", "4800", "19.2", "momentum"),
    ("e2", "2024-11-20T03:00:00+00:00", "ETH", "sell", "1.5", "5100.5", "7.65", None),
    ("a3", "2025-03-01T12:00:00+00:00", "BTC", "sell", "0.1", "135000", "13.5", "momentum"),  # the anniversary: one day too early
    ("a4", "2025-03-02T12:59:00+00:00", "BTC", "sell", "0.1", "134000", "13.4", "reversal"),  # the 2nd in Sydney: 12 full months
    ("d1", "2025-05-05T05:05:05+00:00", "DOGE", "buy", "20000.12345678", "0.3", "6", "=1+1"),
    ("d2", "2025-06-30T13:59:59.999999+00:00", "DOGE", "sell", "5000", "0.25", "1.25", "=1+1"),  # the last moment of the tax year
    ("d3", "2025-06-30T14:00:00+00:00", "DOGE", "sell", "5000", "0.24", "1.2", "=1+1"),  # the first of the next
    ("a5", "2025-10-01T00:00:00+00:00", "BTC", "sell", "0.4", "170000", "68", None),
    ("e3", "2026-02-14T08:00:00+00:00", "ETH", "sell", "2", "4100", "8.2", "reversal"),
    ("s1", "2026-02-20T08:00:00+00:00", "SOL", "buy", "10", "210", "2.1", None),
    ("<script>alert('s2')</script>", "2026-04-01T08:00:00+00:00", "SOL", "sell", "12", "260", "2.6", "<b>bold</b>"),  # 2 too many
    ("s3", "2026-04-02T08:00:00+00:00", "SOL", "buy", "3.000000000000000001", "255", "0.76", None),
)  # fmt: skip
LAST = date(2026, 6, 30)


def record(method: Method = "fifo", fee_policy: FeePolicy = "capitalise") -> Record:
    """Return the record; prices are quoted every fourth day, marks on the last one."""
    trades = [_trade(*row, fee_policy=fee_policy) for row in TRADES]  # type: ignore[arg-type]
    positions = compute(trades, method, "exclude")
    decided = {trade.id: trade.algorithm for trade in trades}
    matches, lots = rows_of(positions)
    fills = [FillRow(r[2], datetime.fromisoformat(r[1]), _units(r[5]), _units(r[4], r[5]), _units(str(r[6]))) for r in TRADES]  # type: ignore[arg-type]
    quotes = {symbol: _quotes(symbol) for symbol in ("BTC", "ETH", "DOGE", "SOL")}
    return Record(
        user="ada",
        profile="sandbox",
        method=method,
        fee_policy=fee_policy,
        oversell_policy="exclude",
        currency="AUD",
        trades=sorted(trades, key=lambda trade: trade.time),
        matches=[match._replace(sold_by=decided[match.sell], bought_by=decided.get(match.lot or "")) for match in matches],
        open_lots=lots,
        fills=fills,
        prices=with_own_trades(quotes, fills),
        marks={symbol: points[-1] for symbol, points in quotes.items()},
        exceptions=[row for position in positions for row in position.exceptions],
    )


def _trade(
    identity: str, time: str, symbol: str, side: Side, qty: str, price: str, fee: str, algorithm: str | None, fee_policy: FeePolicy
) -> Trade:
    notional, paid = Decimal(qty) * Decimal(price), Decimal(fee)
    money = notional if fee_policy == "expense" else notional + (paid if side == "buy" else -paid)
    return Trade(
        id=identity,
        symbol=symbol,
        currency="AUD",
        time=datetime.fromisoformat(time).astimezone(UTC),
        side=side,
        qty=exact_units(Decimal(qty)),
        money=rounded_units(money),
        price=exact_units(Decimal(price), PRICE_DECIMALS),
        fee=rounded_units(paid) if fee_policy == "expense" else 0,
        algorithm=algorithm,
    )


def _quotes(symbol: str) -> list[PricePoint]:
    """Return prices that run straight from one of the user's own trades to the next, and on to a last mark."""
    own = [(datetime.fromisoformat(row[1]), Decimal(row[5])) for row in TRADES if row[2] == symbol]
    own.append((datetime(LAST.year, LAST.month, LAST.day, 6, tzinfo=UTC), own[-1][1] * Decimal("1.08")))
    points = []
    for (begin, low), (end, high) in pairwise(own):
        steps = max(1, (end - begin) // timedelta(days=4))
        for n in range(steps):
            points.append(PricePoint(begin + (end - begin) * n / steps, rounded_units(low + (high - low) * n / steps), "invented"))
    return [*points, PricePoint(own[-1][0], rounded_units(own[-1][1]), "invented")]


def _units(*numbers: str) -> int:
    product = Decimal(1)
    for number in numbers:
        product *= Decimal(number)
    return rounded_units(product)
