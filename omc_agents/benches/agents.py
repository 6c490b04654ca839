"""``omc bench agents``: how fast tools, sessions and checkpoints are over large ledgers, each figure beside its limit."""

from __future__ import annotations

import click

from omc_infra.cli import json_option
from omc_infra.commands.bench import print_figures

_FULL_ROWS = 10_000_000


@click.command()
@click.option(
    "--rows", type=click.IntRange(10_000, 1_000_000_000), default=500_000, show_default=True, help="Number of quotes of 500 symbols."
)
@click.option("--full", is_flag=True, help=f"{_FULL_ROWS:,} quotes, whatever --rows says; takes minutes.")
@click.option("--repeats", type=click.IntRange(20, 100_000), default=200, show_default=True, help="Number of warm calls for each figure.")
@json_option
def agents(rows: int, full: bool, repeats: int, as_json: bool) -> None:
    """Fill a database, and time the tools of a session, its state, its checkpoints, and twenty sessions at once."""
    from omc_agents.benches.agents_work import agents_figures

    print_figures("agents", list(agents_figures(_FULL_ROWS if full else rows, repeats)), as_json=as_json)
