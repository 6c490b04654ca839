"""How long many tasks take on AWS, by simulation: what launching, a task's own CPU, and the database's CPU and connections allow.

A bucket is a task of its own. Launching goes by a token bucket of 100 that refills with 20 a second (AWS Fargate throttling quotas,
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html, read 2026-11-26). From launch to first work a task takes
one to three minutes, and one in a hundred never starts: run monitoring launches it again after its timeout. PostgreSQL on RDS takes
``least(memory / 9531392, 5000)`` connections (https://docs.aws.amazon.com/prescriptive-guidance/latest/tuning-postgresql-parameters/max-connections.html).
One core there is taken to be as fast as one here. Nothing of this was ever measured on AWS.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

BURST, REFILL_PER_S = 100, 20.0
START_S = (60.0, 180.0)
NEVER_STARTS, START_TIMEOUT_S = 0.01, 180.0
RESERVED_CONNECTIONS = 60
"""For the platform's own services."""
_STEP_S = 1.0


class Server(NamedTuple):
    """A database server: its class, cores and memory."""

    name: str
    cores: int
    memory_gib: int

    @property
    def connections(self) -> int:
        """Most connections it takes by default."""
        return min(self.memory_gib * 2**30 // 9531392, 5000)


SERVERS = (Server("db.t4g.medium", 2, 4), Server("db.m7g.2xlarge", 8, 32), Server("db.m7g.8xlarge", 32, 128))


class Demand(NamedTuple):
    """What a bucket needs: CPU of its task, CPU of the database, in seconds; connections while it runs."""

    task_cpu_s: float
    database_cpu_s: float
    connections: int

    def times(self, factor: float) -> Demand:
        """Return what so many times as much work needs, by the same process."""
        return Demand(self.task_cpu_s * factor, self.database_cpu_s * factor, self.connections)


@dataclass(frozen=True)
class Outcome:
    """Of one simulation: when all was done, most tasks at work at once, and what held it up longest."""

    tasks: int
    server: Server
    makespan_s: float
    most_at_once: int
    bound_by: str


def simulated(tasks: int, server: Server, demand: Demand, seed: int = 1) -> Outcome:
    """Run so many buckets, a task each, all asked for at once; the run queue admits as many as the connections allow.

    Args:
        tasks: Buckets.
        server: The database.
        demand: Of each bucket.
        seed: Of start times.
    """
    dice = random.Random(seed)  # noqa: S311 a simulation
    admitted_at_once = max(1, (server.connections - RESERVED_CONNECTIONS) // demand.connections)
    alone_s = demand.task_cpu_s + demand.database_cpu_s
    waiting, starting, left = tasks, list[float](), list[float]()
    tokens, now, most, done = float(BURST), 0.0, 0, 0
    held = {"launching": 0.0, "task start": 0.0, "database connections": 0.0, "database cpu": 0.0, "task cpu": 0.0}
    while done < tasks:
        while waiting and tokens >= 1 and len(starting) + len(left) < admitted_at_once:
            waiting, tokens = waiting - 1, tokens - 1
            starting.append(now + _start_s(dice))
        left += [alone_s for at in starting if at <= now]
        starting = [at for at in starting if at > now]
        most = max(most, len(left))
        per_bucket_s = max(alone_s, len(left) * demand.database_cpu_s / server.cores)
        held[_bound(waiting, tokens, left, admitted_at_once, len(starting), per_bucket_s > alone_s)] += _STEP_S
        left = [rest - _STEP_S * alone_s / per_bucket_s for rest in left]
        done += sum(rest <= 0 for rest in left)
        left = [rest for rest in left if rest > 0]
        tokens, now = min(BURST, tokens + REFILL_PER_S * _STEP_S), now + _STEP_S
    return Outcome(tasks, server, now, most, max(held, key=lambda what: held[what]))


def _start_s(dice: random.Random) -> float:
    lost_s = 0.0
    while dice.random() < NEVER_STARTS:
        lost_s += START_TIMEOUT_S
    return lost_s + dice.uniform(*START_S)


def _bound(waiting: int, tokens: float, left: Sequence[float], admitted: int, starting: int, is_database_full: bool) -> str:
    if is_database_full:
        return "database cpu"
    if waiting:
        return "launching" if tokens < 1 else "database connections" if starting + len(left) >= admitted else "launching"
    return "task cpu" if len(left) > starting else "task start"
