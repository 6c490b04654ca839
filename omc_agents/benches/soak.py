"""``omc bench soak``: the whole sandbox platform at full cadence for a while; what it uses, what came late, what failed, what grows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median

import click

from omc_agents.benches.observation import Observed, memory_series, observe, warm_samples
from omc_agents.benches.samples import cpu_shares
from omc_infra.bench import Figure
from omc_infra.cli import FiniteRange, json_option
from omc_infra.commands.bench import print_figures
from omc_infra.terminal import say

LIMIT_CPU_PCT, LIMIT_LATE_CADENCES = 60.0, 2.0
_MONTH_S = 30 * 86_400


@click.command(epilog="Exit code 1: a run or an event failed.")
@click.option("--minutes", type=FiniteRange(1, 100_000), default=20.0, show_default=True, help="Duration in minutes.")
@click.option("--every", type=FiniteRange(1, 3600), default=5.0, show_default=True, help="Seconds between two samples.")
@click.option("--event-every", type=FiniteRange(1, 86_400), default=60.0, show_default=True, help="Seconds between two events.")
@click.option("--page", type=click.Path(dir_okay=False, path_type=Path), help="File for the plots. Default: bench/soak.html in OMC_HOME.")
@json_option
def soak(*, minutes: float, every: float, event_every: float, page: Path | None, as_json: bool) -> None:
    """Run the platform at full cadence: CPU, memory, connections, lateness, failed runs, growth."""
    from omc_agents.benches.soak_page import write_page
    from omc_infra.settings import load_settings

    if not all(map(math.isfinite, (minutes, every, event_every))):
        raise click.UsageError("minutes and seconds are numbers")
    observed = observe(minutes * 60, every, event_every)
    figures = list(figures_of(observed))
    written = write_page(page or load_settings().home / "bench" / "soak.html", observed, figures)
    print_figures("soak", figures, as_json=as_json)
    for line in observed.said:
        say(line, err=True)
    say(f"Plots: {written}", err=True)
    if observed.runs.get("FAILURE") or observed.lost or observed.doubled:
        raise click.exceptions.Exit(1)


def figures_of(observed: Observed) -> Iterator[Figure]:
    """Return the figures; where there is a limit, it stands as the baseline."""
    samples, warm = observed.samples, warm_samples(observed.samples)
    of_machine, own = cpu_shares(samples, of_machine=True), cpu_shares(samples, of_machine=False)
    limit = {"baseline": "limit", "higher_is_better": False}
    yield Figure("soak cpu of the machine, mean", round(fmean(of_machine), 1), "%", "limit", LIMIT_CPU_PCT, higher_is_better=False)
    yield Figure("soak cpu of the platform, mean", round(fmean(own), 1), "%", "limit", LIMIT_CPU_PCT, higher_is_better=False)
    yield Figure("soak cpu of the platform, busiest tenth", round(sorted(own)[int(len(own) * 0.9)], 1), "%")
    for what, values in memory_series(warm).items():
        first, last = _ends(values)
        yield Figure(f"memory of {what}, at the end", round(last, 1), "MB", "after warm-up", round(first, 1), higher_is_better=False)
    connections = [sample.connections for sample in samples]
    yield Figure("connections, most", max(connections), "connections", "median", median(connections), higher_is_better=False)
    for source, late in observed.late.items():
        yield Figure(f"late {source}, longest", round(late, 2), "cadences", baseline_value=LIMIT_LATE_CADENCES, **limit)  # type: ignore[arg-type]
    yield Figure("runs", sum(observed.runs.values()), "runs")
    yield Figure("runs failed", observed.runs.get("FAILURE", 0), "runs")
    yield Figure("trouble said on the console", len(observed.said), "lines")
    yield Figure("events landed", observed.landed, "events")
    yield Figure("events lost", observed.lost, "events")
    yield Figure("events doubled", observed.doubled, "events")
    for ledger, rows in observed.rows.items():
        yield Figure(f"rows gained {ledger}", rows, "rows")
    grown, seconds = sum(observed.grown_mb.values()), (observed.ended - observed.began).total_seconds()
    yield Figure("growth of all tables", round(grown, 1), "MB")
    yield Figure("growth of all tables, thirty days at this pace", round(grown / seconds * _MONTH_S / 1000, 2), "GB")


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the medians of the first and of the last fifth."""
    fifth = max(1, len(values) // 5)
    return median(values[:fifth]), median(values[-fifth:])
