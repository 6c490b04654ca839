"""``omc bench NAME``: figures with baselines; each bench is an entry point of the group ``omc.benches``, loaded when called.

A bench is a ``click.Command`` that measures and ends with ``print_figures``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points

import click
from rich.table import Table

from omc_infra.bench import Figure, bench_document
from omc_infra.cli import LazyGroup, emit
from omc_infra.terminal import open_console

BENCHES_GROUP = "omc.benches"


@click.group(cls=LazyGroup, lazy={entry.name: entry for entry in entry_points(group=BENCHES_GROUP)}, name="bench")
def bench() -> None:
    """Measure performance, each figure with a baseline from the same run."""


def print_figures(name: str, figures: Sequence[Figure], *, as_json: bool) -> None:
    """Print what a bench measured, as a table or as the one JSON document."""
    if as_json:
        emit(bench_document(name, figures))
        return
    table = Table("figure", title=f"omc bench {name}", title_justify="left")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("beside")
    table.add_column("times better", justify="right", no_wrap=True)
    for f in figures:
        beside = "" if f.baseline_value is None else f"{_shown(f.baseline_value)} {f.unit}, {f.baseline}"
        table.add_row(f.what, f"{_shown(f.value)} {f.unit}", beside, "" if f.ratio is None else f"{f.ratio:,.2f}")
    open_console().print(table)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"
