"""What a running platform uses at a moment: CPU, memory and files of each kind of process, connections to its database."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import sqlalchemy as sa

from omc_infra.postgres import embedded
from omc_infra.services.leftovers import MARK

if TYPE_CHECKING:
    from omc_infra.services.platform import RunningPlatform

POSTGRES, RUNS, OTHER = "postgres", "runs", "other"
_KINDS = (
    ("omc_infra.runs.worker", RUNS),
    ("omc_infra.runs.warm_server", "warm server"),
    ("omc_pipeline.sandbox", "sandbox"),
    ("omc_infra.web.serve", "webserver"),
    ("dagster-webserver", "webserver"),
    ("dagster-daemon", "daemon"),
    ("grpc", "code servers"),
)
"""A word of the command line, and the kind it tells; the first that is found."""
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"


@dataclass(frozen=True)
class Use:
    """What the processes of one kind use together.

    Memory is what is resident; of PostgreSQL, whose processes map the same buffers, the share of each in what it maps (PSS).
    """

    processes: int
    memory_mb: float
    files: int


@dataclass(frozen=True)
class Sample:
    """A moment of a platform.

    Attributes:
        at_s: Seconds of the monotonic clock.
        cpu_s: CPU the platform has used since its start, of what has ended, too.
        machine_cpu_s: CPU that everything on the machine has used.
        uses: By kind of process.
        connections: To the database.
    """

    at_s: float
    cpu_s: float
    machine_cpu_s: float
    uses: Mapping[str, Use]
    connections: int

    @property
    def memory_mb(self) -> float:
        """All kinds together, but for runs, which come and go."""
        return sum(use.memory_mb for kind, use in self.uses.items() if kind != RUNS)


def take_sample(platform: RunningPlatform) -> Sample:
    """Look at every process of a platform and at its database."""
    cpu_s, memory, files, counts = 0.0, defaultdict[str, float](float), defaultdict[str, int](int), defaultdict[str, int](int)
    for process, kind in platform_processes(platform):
        try:
            with process.oneshot():
                times = process.cpu_times()
                memory[kind] += _memory_mb(process, kind)
                files[kind] += process.num_fds()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        counts[kind] += 1
        cpu_s += times.user + times.system + times.children_user + times.children_system
    with platform.database.engine("reader").connect() as connection:
        connections = int(connection.execute(sa.text(_CONNECTIONS)).scalar_one())
    uses = {kind: Use(counts[kind], memory[kind], files[kind]) for kind in sorted(counts)}
    return Sample(time.monotonic(), cpu_s, _machine_cpu_s(), uses, connections)


def platform_processes(platform: RunningPlatform) -> Iterator[tuple[psutil.Process, str]]:
    """Yield the platform's processes, known by their mark or as PostgreSQL's, each with its kind."""
    server = embedded.found(platform.settings.home)
    for process in _family(server.pid) if server else ():
        yield process, POSTGRES
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(platform.settings.home) and process.name() != "postgres":
                yield process, _kind(process.name(), process.cmdline())
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue


def cpu_shares(samples: Sequence[Sample], *, of_machine: bool) -> list[float]:
    """Return the CPU used between each two samples, in per cent of all cores."""
    cores = psutil.cpu_count() or 1
    used = [sample.machine_cpu_s if of_machine else sample.cpu_s for sample in samples]
    return [
        max(0.0, later - earlier) / (after.at_s - before.at_s) / cores * 100
        for earlier, later, before, after in zip(used, used[1:], samples, samples[1:], strict=False)
    ]


def _kind(name: str, command: Sequence[str]) -> str:
    if name == "omc-run":
        return RUNS
    line = " ".join(command)
    return next((kind for word, kind in _KINDS if word in line), OTHER)


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children()]
    except psutil.NoSuchProcess:
        return []


def _memory_mb(process: psutil.Process, kind: str) -> float:
    is_shared = kind == POSTGRES and sys.platform == "linux"
    return float(process.memory_full_info().pss if is_shared else process.memory_info().rss) / 1e6


def _machine_cpu_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + getattr(times, "irq", 0) + getattr(times, "softirq", 0))
