"""``omc bench import``: how fast files of trades are read and computed, each figure beside the row-by-row way in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import click

from omc_infra.bench import Figure
from omc_infra.cli import json_option
from omc_infra.commands.bench import print_figures

DEFAULT_ROWS = 200_000
_COINS = ("BTC", "ETH", "SOL", "ADA", "XRP")
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)


@click.command(name="import")
@click.option("--rows", type=click.IntRange(1_000, 5_000_000), default=DEFAULT_ROWS, show_default=True, help="Rows of each invented file.")
@json_option
def imports(rows: int, as_json: bool) -> None:
    """Measure reading an export of Binance and a file of own trades, and computing the latter."""
    print_figures("import", list(_figures(rows)), as_json=as_json)


def _figures(rows: int) -> Iterator[Figure]:
    from omc_pipeline.imports.reading import Asked, read_content
    from omc_pipeline.pnl.compute import compute
    from omc_pipeline.pnl.document import Document, read_document
    from omc_pipeline.pnl.reading import read_trades

    own, export = own_trades(rows), binance_export(rows).encode()
    document = read_document(own)
    slow_document = Document(list(document.rows), document.header, document.is_case, document.columns)
    quick = _seconds(lambda: read_trades(document, "capitalise", "USDT"))
    slow = _seconds(lambda: read_trades(slow_document, "capitalise", "USDT"))
    yield Figure("own trades, read", rows / quick, "rows/s", "each row by its fields", rows / slow)
    trades = read_trades(document, "capitalise", "USDT").trades
    yield Figure("own trades, computed", rows / _seconds(lambda: compute(trades, "fifo", "exclude")), "trades/s")
    yield Figure(
        "Binance spot trades, read", rows / _seconds(lambda: read_content(export, Asked())), "rows/s", "own trades by fields", rows / slow
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return max(time.process_time() - began, 1e-9)


def _invented(rows: int) -> Iterator[tuple[datetime, str, str, int, int]]:
    """Return time, coin, side, and quantity and price in ten-thousandths; nothing is sold that was not held."""
    random, at, held = Random(rows), _BEGINNING, dict.fromkeys(_COINS, 0)  # noqa: S311 invented trades
    for _ in range(rows):
        at += timedelta(seconds=random.randint(1, 300))
        coin, qty, price = random.choice(_COINS), random.randint(1, 10**6), random.randint(10**6, 10**9)
        side = "sell" if held[coin] >= qty and random.random() < 0.5 else "buy"
        held[coin] += qty if side == "buy" else -qty
        yield at, coin, side, qty, price


def own_trades(rows: int) -> str:
    """Write invented trades in the columns of ``omc pnl compute``."""
    lines = ["id,time,symbol,side,qty,price,fee"]
    for number, (at, coin, side, qty, price) in enumerate(_invented(rows)):
        lines.append(f"{number},{at:%Y-%m-%dT%H:%M:%SZ},{coin},{side},{_text(qty, 4)},{_text(price, 4)},{_text(qty * price // 1000, 8)}")
    return "\n".join(lines)


def binance_export(rows: int) -> str:
    """Write invented trades as Binance exports them."""
    lines = ['"Date(UTC)","Pair","Side","Price","Executed","Amount","Fee"']
    for at, coin, side, qty, price in _invented(rows):
        value, fee = _text(qty * price, 8), _text(qty * price // 1000, 8)
        lines.append(
            f'"{at:%Y-%m-%d %H:%M:%S}","{coin}USDT","{side.upper()}","{_text(price, 4)}","{_text(qty, 4)}{coin}","{value}USDT","{fee}USDT"'
        )
    return "\n".join(lines)


def _text(units: int, decimals: int) -> str:
    whole, part = divmod(units, 10**decimals)
    return f"{whole}.{part:0{decimals}d}"
