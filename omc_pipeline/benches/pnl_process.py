"""What is measured of a process of its own: its peak memory and its start; prints one number.

``python -m omc_pipeline.benches.pnl_process kernel|python|start FILLS FOLDER``
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil


def main(what: str, fills: int, cache: Path) -> float:
    """Return bytes a fill at the peak of matching by an engine, or the seconds from nothing to a first result of the kernel."""
    if what == "start":
        begun = time.perf_counter()
        _kernel_peak(fills, cache)
        return time.perf_counter() - begun
    return _kernel_peak(fills, cache) if what == "kernel" else _python_peak(fills)


def _kernel_peak(fills: int, cache: Path) -> float:
    from omc_pipeline.benches.pnl_fills import FILLS_A_POSITION, invented_fills
    from omc_pipeline.pnl.kernel.run import match_fills

    match_fills(invented_fills(2, 1), "fifo", cache=cache)
    before = psutil.Process().memory_info().rss
    given = invented_fills(fills, max(fills // FILLS_A_POSITION, 1))
    _forget_peak()
    found = match_fills(given, "fifo", cache=cache)
    return (_peak_bytes() - before) / len(given.qty) if len(found.matches.ends) else 0.0


def _python_peak(fills: int) -> float:
    from omc_pipeline.benches.pnl_baselines import oracle
    from omc_pipeline.benches.pnl_fills import FILLS_A_POSITION, as_trades, invented_fills

    before = psutil.Process().memory_info().rss
    trades = as_trades(invented_fills(fills, max(fills // FILLS_A_POSITION, 1)))
    _forget_peak()
    found = oracle(trades, "fifo")
    return (_peak_bytes() - before) / fills if found else 0.0


def _forget_peak() -> None:
    """Let the peak start anew, where the system can (Linux); elsewhere it includes the making of the input."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def _peak_bytes() -> int:
    import resource

    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    sys.stdout.write(str(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
