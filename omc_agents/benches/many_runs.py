"""``omc bench runs``: a thousand runs in a row, and what the platform holds more of afterwards: memory, files, processes, connections."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from omc_agents.benches.samples import RUNS, Sample, Use, take_sample
from omc_infra.bench import Figure
from omc_infra.cli import json_option
from omc_infra.commands.bench import print_figures

if TYPE_CHECKING:
    from omc_agents.benches.platform_run import BenchPlatform

_WARM_UP, _AT_A_TIME, _SETTLE_S = 50, 4, 20.0
_NOTHING = Use(0, 0.0, 0)


@click.command(epilog="Exit code 1: a run failed.")
@click.option(
    "--count", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Number of measured runs, after fifty others."
)
@json_option
def runs(*, count: int, as_json: bool) -> None:
    """Launch many trivial runs in a row, and report what they leave behind."""
    from omc_agents.benches.platform_run import bench_platform

    with bench_platform("warm") as bench:
        config = bench.batch_of_nothing()
        _launch_all(bench, config, _WARM_UP)
        before = _settled(bench)
        begun = time.monotonic()
        ended = _launch_all(bench, config, count)
        took_s = time.monotonic() - begun
        after = _settled(bench)
    figures = list(_figures(count, took_s, ended, before, after))
    print_figures("runs", figures, as_json=as_json)
    if ended["SUCCESS"] != count:
        raise click.exceptions.Exit(1)


def _launch_all(bench: BenchPlatform, config: dict[str, object], count: int) -> Counter[str]:
    """Launch so many runs, a few at a time, and count how they ended."""
    ended = Counter[str]()
    waiting: list[str] = []
    for _ in range(count):
        waiting.append(bench.launch("omc_agents", "brief_catalysts", config))
        if len(waiting) >= _AT_A_TIME:
            ended[bench.await_run(waiting.pop(0))] += 1
    ended.update(bench.await_run(run_id) for run_id in waiting)
    return ended


def _settled(bench: BenchPlatform) -> Sample:
    """Look at the platform when no run is left; a schedule may start one, so the quietest of a few looks counts."""
    deadline = time.monotonic() + _SETTLE_S
    found = [take_sample(bench.platform)]
    while time.monotonic() < deadline:
        time.sleep(2.0)
        found.append(take_sample(bench.platform))
    return min(found, key=lambda sample: (sample.uses.get(RUNS, _NOTHING).processes, sample.connections))


def _figures(count: int, took_s: float, ended: Counter[str], before: Sample, after: Sample) -> Iterator[Figure]:
    yield Figure(f"{count:,} runs, each", round(took_s / count, 3), "s")
    yield Figure("runs failed", count - ended["SUCCESS"], "runs")
    kinds = sorted((before.uses.keys() | after.uses.keys()) - {RUNS})
    for kind in kinds:
        was, now = before.uses.get(kind, _NOTHING), after.uses.get(kind, _NOTHING)
        beside = f"after {_WARM_UP} runs"
        yield Figure(f"memory of {kind}", round(now.memory_mb, 1), "MB", beside, round(was.memory_mb, 1), higher_is_better=False)
        yield Figure(f"files of {kind}", now.files, "files", beside, was.files, higher_is_better=False)
        yield Figure(f"processes of {kind}", now.processes, "processes", beside, was.processes, higher_is_better=False)
    left = after.uses.get(RUNS, _NOTHING).processes
    yield Figure("processes of runs left behind", left, "processes")
    yield Figure("connections", after.connections, "connections", f"after {_WARM_UP} runs", before.connections, higher_is_better=False)
