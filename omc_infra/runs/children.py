"""The processes the server has forked: runs, bounded and reaped, and the short-lived ones that report a dead run."""

from __future__ import annotations

import os
import signal
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from omc_infra.runs.death import report_death
from omc_infra.runs.forked import SystemFork, fork, leave_home
from omc_infra.runs.places import Places
from omc_infra.runs.process import kill_group
from omc_infra.runs.protocol import Order
from omc_infra.runs.worker import NOT_WANTED, OUTCOME_RECORDED

log = structlog.get_logger()
_REMEMBERED = 1000
_REPORT_WAITS_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 120.0)
"""Before each attempt to report a death; after the last one run monitoring finds the run."""
_REPORTERS = 2
_NO_FORK_WAIT_S = 2.0
"""Before the next attempt where the system made no more processes; it costs the report none of its attempts."""


@dataclass(frozen=True)
class Limits:
    """What a server may do.

    Attributes:
        max_children: Runs at a time.
        grace_s: From SIGTERM to SIGKILL of a run.
        idle_exit_s: Without a launcher and without a run, until the server ends.
    """

    max_children: int
    grace_s: float
    idle_exit_s: float


@dataclass
class Child:
    """A run's process; ``kill_at`` in seconds of the monotonic clock once it was asked to end."""

    order: Order
    pid: int
    kill_at: float | None = None


@dataclass
class Death:
    """A run's process that ended without an outcome, until Dagster knows."""

    order: Order
    pid: int
    exit_code: int
    attempts: int = 0
    due_at: float = 0.0
    reporter: int | None = None


@dataclass(frozen=True)
class Ending:
    """How a run's process ended; CPU time of it and of what it started."""

    pid: int
    exit_code: int
    cpu_s: float
    max_rss_kb: int


@dataclass
class Children:
    """Everything the server must wait for.

    Attributes:
        close_inherited: Closes, in a forked process, what belongs to the server alone.
        system_fork: Instead of ``os.fork``, for tests.
    """

    places: Places
    grace_s: float
    close_inherited: Callable[[], None]
    system_fork: SystemFork | None = None
    running: dict[int, Child] = field(default_factory=dict)
    deaths: list[Death] = field(default_factory=list)
    endings: OrderedDict[str, Ending] = field(default_factory=OrderedDict)

    def of_run(self, run_id: str) -> Child | None:
        """Return the process of a run."""
        return next((child for child in self.running.values() if child.order.run_id == run_id), None)

    def start(self, order: Order, task: Callable[[], int]) -> Child:
        """Fork the process of a run.

        Raises:
            OSError: The system makes no more processes.
        """

        def executed() -> int:
            self.close_inherited()
            leave_home("omc-run", self.places.run_log(order.run_id))
            return task()

        child = Child(order, fork(executed, self.system_fork))
        self.running[child.pid] = child
        return child

    def terminate(self, child: Child) -> None:
        """Ask a process to end; it is killed with all it started when its grace is over."""
        if child.kill_at is None:
            child.kill_at = time.monotonic() + self.grace_s
        os.kill(child.pid, signal.SIGTERM)

    def attend(self) -> None:
        """Reap what has ended, kill what has overstayed, report what died; never waits."""
        for pid, exit_code, usage in _ended(self.running, self.deaths):
            if pid in self.running:
                self._bury(self.running.pop(pid), exit_code, usage)
            else:
                self._close_report(pid, exit_code)
        now = time.monotonic()
        for child in self.running.values():
            if child.kill_at is not None and now >= child.kill_at:
                kill_group(child.pid)
        for death in self.deaths:
            if death.reporter is None and now >= death.due_at and self._may_report():
                self._start_report(death)

    def give_up(self) -> None:
        """Kill whatever is left, for a server that ends; run monitoring finds what could not be reported."""
        for pid in [*self.running, *(death.reporter for death in self.deaths if death.reporter is not None)]:
            kill_group(pid)

    def next_due_s(self) -> float | None:
        """Return in how many seconds ``attend`` has something to do by the clock."""
        due = [child.kill_at for child in self.running.values() if child.kill_at is not None]
        due += [death.due_at for death in self.deaths if death.reporter is None and self._may_report()]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def as_document(self) -> dict[str, Any]:
        """Return what the server's next image needs to go on as the parent of the same processes."""
        return {
            "running": [asdict(child) for child in self.running.values()],
            "deaths": [asdict(death) for death in self.deaths],
            "endings": [[run_id, asdict(ending)] for run_id, ending in self.endings.items()],
        }

    def adopt(self, document: dict[str, Any]) -> None:
        """Take over what ``as_document`` wrote."""
        for fields in document["running"]:
            self.running[fields["pid"]] = Child(**{**fields, "order": Order(**fields["order"])})
        self.deaths += [Death(**{**fields, "order": Order(**fields["order"])}) for fields in document["deaths"]]
        self.endings.update((run_id, Ending(**fields)) for run_id, fields in document["endings"])

    def _may_report(self) -> bool:
        return sum(death.reporter is not None for death in self.deaths) < _REPORTERS

    def _bury(self, child: Child, exit_code: int, usage: Any) -> None:
        kill_group(child.pid)
        run_id = child.order.run_id
        self.endings[run_id] = Ending(child.pid, exit_code, round(usage.ru_utime + usage.ru_stime, 3), usage.ru_maxrss)
        while len(self.endings) > _REMEMBERED:
            self.endings.popitem(last=False)
        if exit_code in {OUTCOME_RECORDED, NOT_WANTED}:
            self.places.run_log(run_id).unlink(missing_ok=True)
            return
        log.warning("the process of a run ended without an outcome", run=run_id, pid=child.pid, exit_code=exit_code)
        self.deaths.append(Death(child.order, child.pid, exit_code))
        self.places.forget_old_logs()

    def _start_report(self, death: Death) -> None:
        try:
            death.reporter = fork(lambda: self._reported(death), self.system_fork)
        except OSError as error:
            log.warning("cannot report a dead run yet", run=death.order.run_id, reason=error.strerror)
            death.due_at = time.monotonic() + _NO_FORK_WAIT_S

    def _reported(self, death: Death) -> int:
        self.close_inherited()
        leave_home("omc-run-report", self.places.report_log)
        report_death(death.order, death.pid, death.exit_code, self.places.run_log(death.order.run_id))
        return 0

    def _close_report(self, reporter: int, exit_code: int) -> None:
        death = next(death for death in self.deaths if death.reporter == reporter)
        death.reporter = None
        death.attempts += 1
        if exit_code == 0 or death.attempts >= len(_REPORT_WAITS_S):
            self.deaths.remove(death)
        else:
            death.due_at = time.monotonic() + _REPORT_WAITS_S[death.attempts]
        if exit_code != 0:
            log.warning("cannot report a dead run", run=death.order.run_id, attempt=death.attempts, log=str(self.places.report_log))


def _ended(running: dict[int, Child], deaths: list[Death]) -> Iterator[tuple[int, int, Any]]:
    """Reap; only what is ours, so that a library's own subprocesses keep their parent's answer."""
    for pid in [*running, *(death.reporter for death in deaths if death.reporter is not None)]:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            yield pid, os.waitstatus_to_exitcode(status), usage
