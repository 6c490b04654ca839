"""The simulation of many tasks keeps within what each of its limits allows alone."""

from __future__ import annotations

import pytest

from omc_pipeline.benches.scale_model import BURST, REFILL_PER_S, RESERVED_CONNECTIONS, SERVERS, START_S, Demand, Server, simulated

DEMAND = Demand(task_cpu_s=20.0, database_cpu_s=10.0, connections=4)


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
@pytest.mark.parametrize("tasks", [1, 64, 500])
def test_nothing_is_faster_than_its_narrowest_part(tasks: int, server: Server) -> None:
    found = simulated(tasks, server, DEMAND)

    alone_s = START_S[0] + DEMAND.task_cpu_s + DEMAND.database_cpu_s
    database_s = tasks * DEMAND.database_cpu_s / server.cores
    launching_s = max(0, tasks - BURST) / REFILL_PER_S
    assert found.makespan_s >= max(alone_s, database_s, launching_s)
    assert found.most_at_once <= (server.connections - RESERVED_CONNECTIONS) // DEMAND.connections


def test_a_database_too_small_is_what_holds_up_many_tasks() -> None:
    assert simulated(1000, SERVERS[0], DEMAND).bound_by == "database cpu"
    assert simulated(1000, Server("huge", 10_000, 4096), DEMAND).bound_by in {"launching", "task start"}


def test_connections_hold_up_tasks_where_the_database_would_have_the_cpu() -> None:
    assert simulated(1000, Server("narrow", 10_000, 1), Demand(20.0, 0.1, 4)).bound_by == "database connections"


def test_the_same_seed_gives_the_same_answer() -> None:
    assert simulated(300, SERVERS[1], DEMAND) == simulated(300, SERVERS[1], DEMAND)
