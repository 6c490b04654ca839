"""Profit and loss of many users as workers compute it: each takes a bucket of users, runs the Dagster graph over it, takes the next."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psutil

from omc_infra.postgres import embedded
from omc_infra.settings import load_settings
from omc_pipeline.ledgers.exchange import Quote
from omc_pipeline.ledgers.write import append

if TYPE_CHECKING:
    import psycopg

    from omc_infra.postgres.database import Database

BUCKETS, COINS, JOB = 64, 5, "value_positions"
T0 = datetime(2025, 1, 1, tzinfo=UTC)
INVENT = """
INSERT INTO exchange.fill (source, fill_id, user_id, account_id, symbol, currency, side, qty, price, quote_amount, fee, fee_currency,
    executed_at, version, row_sha256)
SELECT 'bench', u || '-' || n, 'user' || u, 'main', 'C' || n %% %(coins)s, 'AUD', CASE WHEN chance < 0.55 THEN 'buy' ELSE 'sell' END,
    qty, price, round(qty * price, 18), round(qty * price / 1000, 18), 'AUD', %(at)s::timestamptz + n * interval '37 minutes', 1,
    encode(sha256((u || '-' || n)::bytea), 'hex')
FROM (
    SELECT u, n, random() AS chance, round(random()::numeric, 12) + 0.001 AS qty, round(random()::numeric * 1000, 12) + 1 AS price
    FROM generate_series(1, %(users)s) u, generate_series(1, %(fills)s) n
) invented
"""


@dataclass(frozen=True)
class Bucket:
    """What one bucket cost: its own wall time and CPU, in seconds."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Round:
    """All buckets by so many workers.

    Attributes:
        workers: Processes.
        ready_s: From the first process to the last that was ready for work.
        wall_s: From the first bucket to the last.
        database_cpu_s: CPU of PostgreSQL meanwhile.
        connections: Most that all workers held at once.
        buckets: One each.
    """

    workers: int
    ready_s: float
    wall_s: float
    database_cpu_s: float
    connections: int
    buckets: list[Bucket]


def measured_round(workers: int, users: int, fills: int) -> Round:
    """Compute all buckets of users on a database of its own.

    Args:
        workers: So many processes at a time.
        users: In all buckets together.
        fills: Of each user.
    """
    with _database(users, fills) as variables, ProcessPoolExecutor(workers, get_context("spawn"), _prepare, (variables,)) as pool:
        begun = time.perf_counter()
        list(pool.map(_ready, range(workers * 2), chunksize=1))
        ready_s, cpu_s = time.perf_counter() - begun, _database_cpu_s(Path(variables["OMC_HOME"]))
        with _connections_counted(variables) as counts:
            begun = time.perf_counter()
            buckets = list(pool.map(compute_bucket, range(BUCKETS), chunksize=1))
            wall_s = time.perf_counter() - begun
        return Round(workers, ready_s, wall_s, _database_cpu_s(Path(variables["OMC_HOME"])) - cpu_s, max(counts), buckets)


@contextmanager
def _connections_counted(variables: Mapping[str, str]) -> Iterator[list[int]]:
    """Count the connections of all others, again and again, until the block ends."""
    from omc_infra.postgres.database import open_database

    counts, stopped = [0], threading.Event()

    def count() -> None:
        with open_database(load_settings(variables)) as database, database.connect("reader") as connection:
            connection.autocommit = True
            before = _others(connection)
            while not stopped.wait(0.05):
                counts.append(_others(connection) - before)

    counter = threading.Thread(target=count)
    counter.start()
    try:
        yield counts
    finally:
        stopped.set()
        counter.join()


def _others(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()").fetchone()
    return int(row[0]) if row else 0


@contextmanager
def _database(users: int, fills: int) -> Iterator[dict[str, str]]:
    """Fill a new database and answer the settings under which a worker finds it."""
    from omc_infra.postgres.database import open_database
    from omc_infra.postgres.migrate import migrate
    from omc_infra.runs.instance import open_instance

    with TemporaryDirectory(prefix="omc-bench-") as home:
        variables = {"OMC_HOME": home, "OMC_USER_BUCKETS": str(BUCKETS), "OMC_LOG_LEVEL": "error"}
        settings = load_settings(variables)
        with open_database(settings, check=False) as database:
            migrate(database)
            _invent(database, users, fills)
            kept = dict(os.environ)
            try:
                with open_instance(settings, database, None):  # makes Dagster's tables
                    yield variables
            finally:
                os.environ.clear()
                os.environ.update(kept)


def _invent(database: Database, users: int, fills: int) -> None:
    quotes = [Quote(f"C{coin}", "AUD", T0, Decimal(500), Decimal(501), None) for coin in range(COINS)]
    with database.connect("writer") as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(INVENT, {"users": users, "fills": fills, "coins": COINS, "at": T0})
        append(connection, "bench", quotes, None)
    with database.connect("owner") as connection:
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE) exchange.fill")


def _prepare(variables: Mapping[str, str]) -> None:
    """Make a process ready: settings, definitions, instance; as a task's container does once."""
    os.environ.update(variables)
    _graph()


@cache
def _graph() -> tuple[Any, Any]:
    from dagster import DagsterInstance

    from omc_pipeline.definitions import build_definitions

    return build_definitions().resolve_job_def(JOB), DagsterInstance.get()


def _ready(_turn: int) -> int:
    time.sleep(0.2)  # so that every process gets a turn
    return os.getpid()


def compute_bucket(number: int) -> Bucket:
    """Run the graph over one bucket.

    Raises:
        RuntimeError: The run failed, or a check of it is red.
    """
    job, instance = _graph()
    width = len(str(BUCKETS - 1))
    cpu, begun = time.process_time(), time.perf_counter()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(quiet, instance=instance, partition_key=f"{number:0{width}d}", raise_on_error=False)
    red = [e.check_name for e in result.get_asset_check_evaluations() if not e.passed and e.severity.value == "ERROR"]
    if not result.success or "lots_balance" in red:
        raise RuntimeError(f"bucket {number}: the run failed or a law is broken: {red}")
    return Bucket(time.perf_counter() - begun, time.process_time() - cpu)


def _database_cpu_s(home: Path) -> float:
    server = embedded.found(home)
    if server is None:
        return 0.0
    process, total = psutil.Process(server.pid), 0.0
    for one in (process, *process.children()):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + (times.children_user + times.children_system if one.pid == server.pid else 0)
    return total
