"""Figures of the kernel, each beside the engine in Python integers, in the same run.

The kernel is timed from columns to columns, the engine from trades to matches, both with their input ready and on one core.
Rates are by processor time, the best of a few runs: where a core is shared, a wall clock would time the neighbours. Only the
start of a process, which waits for files, is by the wall clock.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omc_infra.bench import Figure
from omc_pipeline.benches.pnl_baselines import naive_fills, naive_gain, oracle
from omc_pipeline.benches.pnl_fills import FILLS_A_POSITION, as_trades, bought_first, first_positions, invented_fills
from omc_pipeline.pnl.policy import Method

if TYPE_CHECKING:
    from omc_pipeline.pnl.kernel.fills import Fills
    from omc_pipeline.pnl.result import Matching

NAMES: dict[Method, str] = {"fifo": "fifo", "lifo": "lifo", "hifo": "hifo", "avg": "average"}
DIFFERING = "kernel rows that differ"
ORACLE_FILLS, NAIVE_FILLS, SMALLEST = 200_000, 20_000, 100_000
_RATE = "fills/s"


def kernel_figures(fills: int, cache: Path) -> Iterator[Figure]:
    """Measure the kernel.

    Args:
        fills: Of the main figures, in positions of 2,000; one coin gets half as many.
        cache: Folder of compiled code.
    """
    given = invented_fills(fills, max(fills // FILLS_A_POSITION, 1))
    _seconds(_match, first_positions(given, SMALLEST), "fifo", cache, runs=1)  # compiles, or loads what is kept
    yield from _method_figures(given, cache)
    yield from _size_figures(given, cache)
    del given
    yield from _one_coin_figures(fills // 2, cache)
    yield from _memory_figures(fills, cache)
    yield from _start_figures()


def _method_figures(given: Fills, cache: Path) -> Iterator[Figure]:
    """Measure every method, and count the rows of the sample that are not the oracle's."""
    sample = first_positions(given, ORACLE_FILLS)
    trades = as_trades(sample)
    few = naive_fills(as_trades(first_positions(given, NAIVE_FILLS)))
    small, differing = len(sample.qty), 0
    for method, name in NAMES.items():
        rate = len(given.qty) / _seconds(_match, given, method, cache)
        matchings: list[Matching] = oracle(trades, method)
        differing += _differing(matchings, sample, method, cache)
        del matchings
        slow = small / _seconds(oracle, trades, method, runs=2)
        naive = sum(map(len, few)) / _seconds(naive_gain, few, method, runs=1)
        yield Figure(f"kernel {name}", rate, _RATE, f"Python integers, {small:,} of these fills", slow)
        yield Figure(f"kernel {name} and a naive Decimal loop", rate, _RATE, f"naive Decimal, {sum(map(len, few)):,} of these fills", naive)
    yield Figure(f"{DIFFERING} from Python integers, {small:,} fills a method", differing, "rows")


def _size_figures(given: Fills, cache: Path) -> Iterator[Figure]:
    base: float | None = None
    size = SMALLEST
    while size <= len(given.qty):
        part = first_positions(given, size)
        rate = len(part.qty) / _seconds(_match, part, "fifo", cache)
        yield Figure(f"kernel fifo, {len(part.qty):,} fills", rate, _RATE, None if base is None else f"{SMALLEST:,} fills", base)
        base, size = base or rate, size * 10


def _one_coin_figures(fills: int, cache: Path) -> Iterator[Figure]:
    rates = []
    for size in (fills // 10, fills):
        given = bought_first(size)
        rates.append(len(given.qty) / _seconds(_match, given, "fifo", cache))
    what = f"kernel fifo, one coin, {fills:,} fills bought first and sold after"
    yield Figure(what, rates[1], _RATE, f"{fills // 10:,} such fills", rates[0])


def _memory_figures(fills: int, cache: Path) -> Iterator[Figure]:
    measured = [_child_number(engine, str(count), str(cache)) for engine, count in (("kernel", fills), ("python", ORACLE_FILLS))]
    what = f"kernel peak memory, {fills:,} fills: input, work and results"
    yield Figure(what, measured[0], "bytes/fill", f"Python integers, {ORACLE_FILLS:,} fills", measured[1], higher_is_better=False)


def _start_figures() -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        cold, warm = (_child_number("start", "2", folder) for _ in range(2))
    yield Figure("kernel start of a process, compiled code kept", warm, "s", "nothing kept: compiles", cold, higher_is_better=False)


def _child_number(*arguments: str) -> float:
    command = [sys.executable, "-m", "omc_pipeline.benches.pnl_process", *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout)


def _differing(matchings: list[Matching], sample: Fills, method: Method, cache: Path) -> int:
    """Count rows of the kernel that are not exactly the engine's, in order."""
    from omc_pipeline.pnl.kernel.columns import integers_of
    from omc_pipeline.pnl.kernel.matched import POOL
    from omc_pipeline.pnl.kernel.run import match_fills

    found = match_fills(sample, method, cache=cache)
    matches, opened, unmatched = found.matches, found.open_lots, found.unmatched
    kernel = [
        zip(matches.sell.tolist(), matches.lot.tolist(), *map(integers_of, matches[3:]), strict=True),
        zip(opened.lot.tolist(), integers_of(opened.qty), integers_of(opened.cost), strict=True),
        zip(unmatched.sell.tolist(), integers_of(unmatched.qty), strict=True),
    ]
    python: list[list[tuple[int, ...]]] = [
        [(int(m.sell), _row(m.lot, POOL), m.qty, m.cost, m.proceeds, m.gain) for one in matchings for m in one.matches],
        [(_row(lot.id, POOL), lot.qty, lot.cost) for one in matchings for lot in one.open_lots],
        [(int(sell), qty) for one in matchings for sell, qty in one.unmatched.items()],
    ]
    pairs = [(list(ours), theirs) for ours, theirs in zip(kernel, python, strict=True)]
    return sum(abs(len(a) - len(b)) + sum(x != y for x, y in zip(a, b, strict=False)) for a, b in pairs)


def _row(lot: str | None, pool: int) -> int:
    return pool if lot == "pool" else int(lot or -3)


def _match(given: Fills, method: Method, cache: Path) -> object:
    from omc_pipeline.pnl.kernel.run import match_fills

    return match_fills(given, method, cache=cache)


def _seconds(work: Callable[..., object], *arguments: object, runs: int = 3) -> float:
    """Return the least processor seconds of a few runs; results are let go in between."""
    best = float("inf")
    for _ in range(runs):
        begun = time.process_time()
        result = work(*arguments)
        best = min(best, time.process_time() - begun)
        del result
    return best
