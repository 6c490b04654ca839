"""The page of a soak: its figures, and a plot of each thing that was sampled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from omc_agents.benches.observation import Observed, memory_series
from omc_agents.benches.samples import RUNS, cpu_shares
from omc_infra.bench import Figure
from omc_infra.plot import caption, svg_line

_TABLES_SHOWN = 12


def write_page(path: Path, observed: Observed, figures: Sequence[Figure]) -> Path:
    """Write one HTML file that needs no other, and answer it.

    Args:
        path: Where to.
        observed: What to plot.
        figures: What to tell.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(loader=PackageLoader("omc_agents.benches"), autoescape=True, undefined=StrictUndefined)
    plots = [(caption(title, values), Markup(svg_line(values, from_zero=True))) for title, values in _series(observed) if len(values) > 1]  # noqa: S704 made of numbers alone
    tables = list(observed.grown_mb.items())[:_TABLES_SHOWN]
    path.parent.mkdir(parents=True, exist_ok=True)
    page = environment.get_template("soak.html.j2").render(observed=observed, figures=figures, plots=plots, tables=tables)
    path.write_text(page, encoding="utf-8")
    return path


def _series(observed: Observed) -> Iterator[tuple[str, Sequence[float]]]:
    samples = observed.samples
    yield "CPU of the machine, %", cpu_shares(samples, of_machine=True)
    yield "CPU of the platform, %", cpu_shares(samples, of_machine=False)
    for what, values in memory_series(samples).items():
        yield f"Memory of {what}, MB", values
    yield "Memory of runs, MB", [sample.uses[RUNS].memory_mb if RUNS in sample.uses else 0.0 for sample in samples]
    yield "Runs at a time", [float(sample.uses[RUNS].processes) if RUNS in sample.uses else 0.0 for sample in samples]
    yield "Open files", [float(sum(use.files for use in sample.uses.values())) for sample in samples]
    yield "Connections to the database", [float(sample.connections) for sample in samples]
