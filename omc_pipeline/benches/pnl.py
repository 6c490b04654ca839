"""``omc bench pnl``: how fast profit and loss is computed, each figure beside its baseline in the same run."""

from __future__ import annotations

from collections.abc import Iterator

import click

from omc_infra.bench import Figure
from omc_infra.cli import json_option
from omc_infra.commands.bench import print_figures

DEFAULT_FILLS, FULL_FILLS = 1_000_000, 10_000_000
DATABASE_FILLS = 400_000


@click.command(epilog="Exit code 1: a row differs.")
@click.option(
    "--fills", type=click.IntRange(200_000, 1_000_000_000), help=f"Number of fills for the kernel's figures. Default: {DEFAULT_FILLS:,}."
)
@click.option(
    "--full",
    is_flag=True,
    help=f"{FULL_FILLS:,} fills in 5,000 positions, here and in PostgreSQL, and 5,000,000 of one coin; takes minutes.",
)
@json_option
def pnl(fills: int | None, full: bool, as_json: bool) -> None:
    """Measure the kernel, and the whole computation with PostgreSQL, compared with the engine in Python integers."""
    from omc_pipeline.benches.pnl_kernel import DIFFERING

    figures = list(_figures(fills or (FULL_FILLS if full else DEFAULT_FILLS), FULL_FILLS if full else DATABASE_FILLS))
    print_figures("pnl", figures, as_json=as_json)
    if any(figure.value for figure in figures if figure.what.startswith(DIFFERING)):
        raise click.exceptions.Exit(1)


def _figures(fills: int, in_database: int) -> Iterator[Figure]:
    """Return the figures of each part; a part is a function that yields figures, in a file of its own."""
    from omc_infra.settings import load_settings
    from omc_pipeline.benches.pnl_database import database_figures
    from omc_pipeline.benches.pnl_kernel import kernel_figures

    yield from database_figures(in_database)  # first: the memory it gains is measured in this process
    yield from kernel_figures(fills, load_settings().home / "numba")
