"""``omc bench ingest``: how fast quotes come into the ledger, beside COPY of the same rows into the same table with its indexes."""

from __future__ import annotations

import click

from omc_infra.cli import json_option
from omc_infra.commands.bench import print_figures


@click.command(epilog="Exit code 1: a row is missing, or an unchanged one was counted as new.")
@click.option(
    "--rows", type=click.IntRange(10_000, 100_000_000), default=1_000_000, show_default=True, help="Number of new quotes of 500 symbols."
)
@json_option
def ingest(rows: int, as_json: bool) -> None:
    """Measure appending new and known rows, alternating with COPY as the baseline."""
    from omc_pipeline.benches.ingest_work import UNEXPECTED, ingest_figures

    figures = list(ingest_figures(rows))
    print_figures("ingest", figures, as_json=as_json)
    if any(figure.value for figure in figures if figure.what.startswith(UNEXPECTED)):
        raise click.exceptions.Exit(1)
