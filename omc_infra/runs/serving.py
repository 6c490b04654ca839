"""The server's loop: questions in, forks out, and the judgement when to reload and when to end."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import structlog

from omc_infra.runs.children import Children, Limits
from omc_infra.runs.connections import Connection, LauncherOfChild
from omc_infra.runs.forked import SystemFork
from omc_infra.runs.handover import Inheritance, Waiting, hand_over
from omc_infra.runs.places import Places
from omc_infra.runs.protocol import Document, Order
from omc_infra.runs.source_watch import SourceWatch
from omc_infra.runs.worker import work

log = structlog.get_logger()
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_TICK_S = 1.0
_IDLE_LOOK_S, _LAUNCH_LOOK_S = 5.0, 1.0
_SILENT_CLIENT_S = 10.0
_LAST_REPORTS_S = 5.0
_NO_FORK_WAIT_S = 1.0
"""Before the next attempt where the system made no more processes."""
_ORPHANED_S = 600.0
"""How long runs may go on after the last launcher has gone."""


class Server:
    """One thread that never waits but in ``select``.

    Attributes:
        refusal: Why no run is taken, or None.
        watch: Looks for changed sources once the preload is done.
        generation: How many images of this process there were before.
    """

    def __init__(
        self,
        places: Places,
        limits: Limits,
        inheritance: Inheritance,
        arguments: Sequence[str],
        system_fork: SystemFork | None = None,
    ) -> None:
        self.refusal: str | None = None
        self.watch: SourceWatch | None = None
        self.generation = inheritance.generation
        self._places, self._limits, self._arguments = places, limits, arguments
        self._listener = inheritance.listener
        self._waiting = inheritance.waiting
        self._connections = set(inheritance.connections)
        self._children = Children(places, limits.grace_s, self._close_inherited, system_fork)
        self._children.adopt(inheritance.children)
        self._answers: dict[str, Callable[[Document], dict[str, Any]]] = {
            "health": self._health,
            "terminate": self._terminate,
            "status": self._status,
            "reload": self._asked_reload,
            "stop": self._asked_stop,
        }
        self._reloading = self._retiring = self._stop_soon = False
        self._stopped_at: float | None = None
        self._fork_again_at = 0.0
        self._looked_at = self._leased_at = time.monotonic()
        self._wake_up, self._alarm = socket.socketpair()
        self._wake_up.setblocking(False)
        self._alarm.setblocking(False)
        self._selector = selectors.DefaultSelector()
        clients = [*self._connections, *(entry.connection for entry in self._waiting if entry.connection)]
        for heard in (self._listener.socket, self._wake_up):
            self._selector.register(heard, selectors.EVENT_READ)
        for client in clients:
            self._selector.register(client, selectors.EVENT_READ)

    def take_signals(self) -> None:
        """Let signals wake the loop from here on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._alarm.fileno(), warn_on_full_buffer=False)

    def descriptors(self) -> set[int]:
        """Return the files that are the server's own."""
        return (
            {self._listener.lock}
            | {key.fd for key in self._selector.get_map().values()}
            | {self._alarm.fileno(), *_own_descriptor(self._selector)}
        )

    def reload_soon(self) -> None:
        """Execute a new image before the next run is started."""
        self._reloading = True

    def stop(self) -> None:
        """Take no more runs and end those that run; ``serve`` returns when they have ended."""
        if self._stopped_at is not None:
            return
        log.info("the warm server stops", running=len(self._children.running))
        self._stopped_at = time.monotonic()
        self._retire()
        for entry in self._waiting:
            if entry.connection:
                self._drop(entry.connection)
        self._waiting.clear()
        for child in self._children.running.values():
            self._children.terminate(child)

    def serve(self) -> None:
        """Loop until stopped, or until nobody is left to serve."""
        self._leased_at = time.monotonic()
        self._start_waiting()  # what waited for this image gets it, however often the code changes
        while True:
            if self._stop_soon:
                self.stop()
            self._children.attend()
            self._start_waiting()
            self._judge()
            if self._is_done():
                break
            if self._reloading and not self._retiring:
                self._reload()
            due_s = self._children.next_due_s()
            for key, _ in self._selector.select(_TICK_S if due_s is None else min(_TICK_S, due_s)):
                self._attend(key.fileobj)
        self._children.give_up()
        log.info("the warm server has ended", generation=self.generation)

    def _asked_to_stop(self, *_: object) -> None:
        self._stop_soon = True  # and no more: a signal comes in the middle of anything

    def _attend(self, heard: object) -> None:
        if heard is self._wake_up:
            self._wake_up.recv(4096)
        elif heard is self._listener.socket:
            self._accept()
        elif isinstance(heard, Connection):
            self._hear(heard)

    def _accept(self) -> None:
        try:
            connection = Connection(self._listener.socket.accept()[0])
        except (BlockingIOError, ConnectionError):
            return  # whoever asked has gone
        except OSError as error:  # too many open files, for instance: nobody would see why runs don't start
            log.warning("cannot take a connection", reason=str(error))
            return
        self._connections.add(connection)
        self._selector.register(connection, selectors.EVENT_READ)

    def _hear(self, connection: Connection) -> None:
        is_open = connection.receive()
        entry = next((entry for entry in self._waiting if entry.connection is connection), None)
        if entry is not None:
            if connection.is_withdrawn:
                self._waiting.remove(entry)
            if connection.is_withdrawn or not is_open:
                entry.connection = None
                self._drop(connection)
            return
        try:
            question = connection.question()
            if question is not None:
                self._answer(connection, question)
            elif not is_open:
                self._drop(connection)
        except (ValueError, KeyError) as error:
            log.warning("a question that makes no sense", reason=f"{type(error).__name__}: {error}")
            self._drop(connection)

    def _answer(self, connection: Connection, question: Document) -> None:
        if question["ask"] == "launch":
            self._take(connection, Order.of_document(question))
        elif question["ask"] == "lease":
            connection.is_lease = True
            connection.answer({"state": "leased", "pid": os.getpid()})
        else:
            connection.answer(self._answers[question["ask"]](question))
            self._drop(connection)

    def _take(self, connection: Connection, order: Order) -> None:
        self._look_at_sources(_LAUNCH_LOOK_S)
        running = self._children.of_run(order.run_id)
        if running is not None or (self.refusal and not self._reloading):
            state = {"state": "running", "pid": running.pid} if running else {"state": "refused", "reason": self.refusal}
            connection.answer(state)
            self._drop(connection)
            return
        self._connections.discard(connection)
        entry = Waiting(order, connection)
        self._waiting.append(entry)
        self._start_waiting()
        if entry in self._waiting:
            connection.answer({"state": "waiting"})

    def _start_waiting(self) -> None:
        while self._waiting and self._has_a_place():
            entry = self._waiting.pop(0)
            if self.refusal:
                if entry.connection:
                    entry.connection.answer({"state": "refused", "reason": self.refusal})
                    self._drop(entry.connection)
            elif entry.connection is None or not entry.connection.is_withdrawn:
                self._start(entry.order, entry.connection)

    def _has_a_place(self) -> bool:
        is_free = len(self._children.running) < self._limits.max_children and time.monotonic() >= self._fork_again_at
        return is_free and not (self._reloading or self._retiring)

    def _start(self, order: Order, connection: Connection | None) -> None:
        """Fork the run's process; where the system makes no more of them, the launcher is told, and a run without one waits."""
        if connection:
            self._selector.unregister(connection)

        def execute() -> int:
            launcher = LauncherOfChild(connection.socket, os.getpid()) if connection else None
            return work(order, launcher.permits if launcher else dict)

        try:
            child = self._children.start(order, execute)
        except OSError as error:
            log.warning("cannot fork the process of a run", run=order.run_id, reason=error.strerror)
            self._fork_again_at = time.monotonic() + _NO_FORK_WAIT_S
            if connection is None:
                self._waiting.append(Waiting(order, None))
            else:
                connection.answer({"state": "refused", "reason": f"the system makes no more processes: {error.strerror}"})
                connection.close()
            return
        if connection:
            connection.answer({"state": "started", "pid": child.pid})
            connection.close()

    def _health(self, question: Document) -> dict[str, Any]:
        run_id = question["run_id"]
        running, ending = self._children.of_run(run_id), self._children.endings.get(run_id)
        if running:
            return {"state": "running", "pid": running.pid}
        if any(entry.order.run_id == run_id for entry in self._waiting):
            return {"state": "waiting"}
        return {"state": "ended", **asdict(ending)} if ending else {"state": "unknown"}

    def _terminate(self, question: Document) -> dict[str, Any]:
        child = self._children.of_run(question["run_id"])
        if child:
            self._children.terminate(child)
            return {"state": "signalled", "pid": child.pid}
        for entry in self._waiting:
            if entry.order.run_id == question["run_id"]:
                self._waiting.remove(entry)
                if entry.connection:
                    entry.connection.answer({"state": "dropped"})
                    self._drop(entry.connection)
                return {"state": "dropped"}
        return {"state": "unknown"}

    def _status(self, _question: Document) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "generation": self.generation,
            "refusal": self.refusal,
            "running": {child.order.run_id: child.pid for child in self._children.running.values()},
            "waiting": [entry.order.run_id for entry in self._waiting],
            "unreported": len(self._children.deaths),
            "leases": sum(connection.is_lease for connection in self._connections),
            "files": len(self.descriptors()),
        }

    def _asked_reload(self, _question: Document) -> dict[str, Any]:
        self.reload_soon()
        return {"state": "reloading"}

    def _asked_stop(self, _question: Document) -> dict[str, Any]:
        self.stop()
        return {"state": "stopping", "pid": os.getpid()}

    def _judge(self) -> None:
        now = time.monotonic()
        if any(connection.is_lease for connection in self._connections):
            self._leased_at = now
        for connection in [c for c in self._connections if not c.is_lease and now - c.opened_at > _SILENT_CLIENT_S]:
            self._drop(connection)
        self._look_at_sources(_IDLE_LOOK_S)
        if not self._retiring and not self._listener.is_reachable(self._places):
            log.info("the warm server's socket has gone; it ends after its last run")
            self._retire()
        alone_s = now - self._leased_at
        if alone_s > (_ORPHANED_S if self._is_busy() else self._limits.idle_exit_s):
            self.stop()

    def _is_busy(self) -> bool:
        return bool(self._children.running or self._waiting or self._children.deaths)

    def _is_done(self) -> bool:
        if self._stopped_at is not None and not self._children.running:
            return not self._children.deaths or time.monotonic() - self._stopped_at > self._limits.grace_s + _LAST_REPORTS_S
        return self._retiring and not self._is_busy()

    def _look_at_sources(self, every_s: float) -> None:
        now = time.monotonic()
        if self.watch is not None and now - self._looked_at >= every_s:
            self._looked_at = now
            if self.watch.has_changed():
                log.info("preloaded source has changed; the warm server loads it anew")
                self.reload_soon()

    def _reload(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        signal.set_wakeup_fd(-1)
        inheritance = Inheritance(self._listener, list(self._connections), self._waiting, self._children.as_document(), self.generation + 1)
        hand_over(inheritance, self._arguments)

    def _retire(self) -> None:
        if not self._retiring:
            self._retiring = True
            self._selector.unregister(self._listener.socket)
            self._listener.stop_listening(self._places)

    def _drop(self, connection: Connection) -> None:
        self._selector.unregister(connection)
        self._connections.discard(connection)
        connection.close()

    def _close_inherited(self) -> None:
        self._selector.close()
        for waiting in self._waiting:
            if waiting.connection:
                waiting.connection.close()
        for connection in self._connections:
            connection.close()
        self._listener.close()
        self._wake_up.close()
        self._alarm.close()


def _own_descriptor(selector: selectors.BaseSelector) -> set[int]:
    return {selector.fileno()} if isinstance(selector, selectors.EpollSelector) else set()
