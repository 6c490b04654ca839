"""``omc bench read``: how fast the ledgers are read when they are large, beside plain SQL for the same rows."""

from __future__ import annotations

import click

from omc_infra.cli import json_option
from omc_infra.commands.bench import print_figures


@click.command()
@click.option(
    "--rows", type=click.IntRange(10_000, 1_000_000_000), default=10_000_000, show_default=True, help="Number of quotes of 500 symbols."
)
@click.option("--repeats", type=click.IntRange(20, 100_000), default=300, show_default=True, help="Number of warm reads for each figure.")
@json_option
def read(rows: int, repeats: int, as_json: bool) -> None:
    """Fill a database, read it, and give p50 and p99 of each read."""
    from omc_pipeline.benches.read_work import read_figures

    print_figures("read", list(read_figures(rows, repeats)), as_json=as_json)
