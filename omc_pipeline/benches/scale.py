"""``omc bench scale``: the PnL graph over 64 buckets by 1, 2 and 4 workers here, and by simulation up to 1,000 tasks on AWS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import click

from omc_infra.bench import Figure
from omc_infra.cli import json_option
from omc_infra.commands.bench import print_figures

if TYPE_CHECKING:
    from omc_pipeline.benches.scale_model import Demand
    from omc_pipeline.benches.scale_work import Round

WORKERS, TASKS = (1, 2, 4), (16, 64, 256, 1000)


@click.command()
@click.option("--users", type=click.IntRange(64, 1_000_000), default=640, show_default=True, help="Number of users, in 64 buckets.")
@click.option(
    "--fills", type=click.IntRange(1, 1_000_000), default=400, show_default=True, help="Number of fills of each user, in five coins."
)
@click.option(
    "--simulated-users", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Number of users of each simulated task."
)
@json_option
def scale(users: int, fills: int, simulated_users: int, as_json: bool) -> None:
    """Measure 1, 2 and 4 workers on this machine; simulate up to 1,000 tasks."""
    from omc_pipeline.benches.scale_work import measured_round

    rounds = [measured_round(workers, users, fills) for workers in WORKERS]
    print_figures("scale", list(figures_of(rounds, users, fills, simulated_users)), as_json=as_json)


def figures_of(rounds: Sequence[Round], users: int, fills: int, simulated_users: int) -> Iterator[Figure]:
    """Return what was measured, each number of workers beside one worker, and what the simulation makes of it.

    Args:
        rounds: Measured, that of one worker first.
        users: In all buckets together.
        fills: Of each user.
        simulated_users: Of each simulated task.
    """
    from omc_pipeline.benches.scale_work import BUCKETS

    one = rounds[0]
    for found in rounds:
        name = f"scale {found.workers} worker{'s' if found.workers > 1 else ''}"
        yield Figure(
            f"{name}, {BUCKETS} buckets", round(fills * users / found.wall_s), "fills/s", "1 worker", round(fills * users / one.wall_s)
        )
        share = found.database_cpu_s / (found.database_cpu_s + sum(bucket.cpu_s for bucket in found.buckets))
        yield Figure(f"{name}, share of the database in all CPU", round(share * 100, 1), "%")
    demand = demand_of(one)
    yield Figure("bucket, CPU of its worker", round(demand.task_cpu_s, 3), "s")
    yield Figure("bucket, CPU of the database", round(demand.database_cpu_s, 3), "s")
    yield Figure("worker, connections", demand.connections, "connections")
    yield Figure("worker, ready for work", round(one.ready_s, 2), "s")
    yield from simulated_figures(demand.times(simulated_users * BUCKETS / users), simulated_users)


def demand_of(found: Round) -> Demand:
    """Return what a bucket needs, from a round whose workers did not stand in each other's way."""
    from omc_pipeline.benches.scale_model import Demand

    own = fmean(bucket.cpu_s for bucket in found.buckets)
    return Demand(own, found.database_cpu_s / len(found.buckets), max(1, found.connections))


def simulated_figures(demand: Demand, users: int) -> Iterator[Figure]:
    """Return how long so many tasks take, and what bounds them, beside one task that does all of it."""
    from omc_pipeline.benches.scale_model import SERVERS, START_S, simulated

    for server in SERVERS:
        for tasks in TASKS:
            found = simulated(tasks, server, demand)
            alone_s = fmean(START_S) + tasks * (demand.task_cpu_s + demand.database_cpu_s)
            what = f"simulated {tasks:,} tasks of {users:,} users, {server.name}, {found.most_at_once} at once, bound by {found.bound_by}"
            yield Figure(what, round(found.makespan_s, 1), "s", "one task for all buckets", round(alone_s, 1), higher_is_better=False)
