"""The process of one embedded server: make its cluster, start it, know it again, clear up after a ``kill -9``, stop it.

Everything here is called by the holder of ``start.lock``, so there is one caller at a time. No shell reads a path, and
``pg_ctl`` isn't used: it hands its options through a shell, where a folder's name may hold a quote or a dollar.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from omc_infra.errors import ConfigurationError, DatabaseUnavailableError
from omc_infra.postgres.account import Account, choose_account
from omc_infra.postgres.binaries import Binaries
from omc_infra.postgres.folder import LOOPBACK, ServerFolder

ADMINISTRATOR = "omc"
MAJOR_VERSION = "18"
_READY_TIMEOUT_S = 120.0  # replaying the log after a crash may take this long on a slow disk
_STOP_TIMEOUT_S = 30.0
_INITDB_TIMEOUT_S = 120
_POLL_S = 0.01
_STARTS = 5
_FULL_BYTES = 16_384  # free space in which no server starts and no line of its log is whole
_KEPT_LOG_DAYS = 7

# Put the server in the background and say its process id. The shell's parent is gone at once, so no terminal's Ctrl-C
# reaches the server and whoever started it owes it no wait().
_DETACH = '"$@" </dev/null >start.log 2>&1 & echo $!'

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "scram_iterations": "64",  # passwords are random 256-bit keys, which stretching makes no stronger and each connection slower
    "timezone": "UTC",
    "log_checkpoints": "off",
    "logging_collector": "on",
    "log_filename": "server-%u.log",
    "log_rotation_age": "1d",
    "log_truncate_on_rotation": "on",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}  # what is committed still outlives a kill of the server


@dataclass(frozen=True)
class PidFile:
    """What ``postmaster.pid`` says; ``status`` is starting, stopping, ready or empty."""

    pid: int
    port: int
    status: str

    @classmethod
    def read(cls, path: Path) -> PidFile | None:
        """Read the file; None where there is none, or it is cut short."""
        try:
            lines = path.read_text().splitlines()
            return cls(int(lines[0]), int(lines[3]), lines[7].strip() if len(lines) > 7 else "")
        except (FileNotFoundError, IndexError, ValueError):
            return None


@dataclass(frozen=True)
class Postmaster:
    """The server of one folder; ``durable`` false trades safety on power loss for speed, for tests."""

    folder: ServerFolder
    binaries: Binaries
    durable: bool = True

    def alive(self) -> PidFile | None:
        """Return the running server's pid file, or None; a stale file, or one that names a foreign process, is none."""
        if not self.folder.data.is_dir():
            return None
        found = PidFile.read(self.folder.data / "postmaster.pid")
        return found if found and _is_marked(found.pid, self.folder.mark) else None

    def ensure_started(self) -> int:
        """Start the server unless it runs, and answer its port.

        Raises:
            DatabaseUnavailableError: It doesn't start; the message holds the server's own reason.
            ConfigurationError: The folder holds a cluster of another PostgreSQL, or no user can run the server.
        """
        running = self.alive()
        if running and running.status == "stopping":
            _wait_until(lambda: self.alive() is None, _STOP_TIMEOUT_S)
        elif running and self._answers(running):
            return running.port
        account = choose_account(self.folder, os.geteuid())
        binaries = self.binaries.runnable_by(account, self.folder)
        if not self.folder.data.is_dir():
            self._make_cluster(account, binaries)
        self._require_known_version()
        if (self.folder.data / "postmaster.pid").exists():
            self.clear_leftovers()
        return self._start(account, binaries)

    def stop(self) -> None:
        """Stop the server; connections are cut, transactions in progress rolled back. Nothing happens where none runs."""
        running = self.alive()
        if running is None:
            return
        for request in (signal.SIGINT, signal.SIGQUIT):
            with suppress(ProcessLookupError):
                os.kill(running.pid, request)
            if _wait_until(lambda: not _is_marked(running.pid, self.folder.mark), _STOP_TIMEOUT_S):
                break
        else:
            self.clear_leftovers()
        self.folder.remove_sockets()

    def clear_leftovers(self) -> None:
        """End processes of this cluster whose postmaster is gone, and remove its pid file.

        They end by themselves, but may take a moment, and a new server refuses to start while one holds the shared memory.
        """
        left = [process for process in psutil.process_iter() if _is_marked(process.pid, self.folder.mark)]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if not _wait_until(lambda: not any(_is_marked(process.pid, self.folder.mark) for process in left), _STOP_TIMEOUT_S):
            raise DatabaseUnavailableError(
                f"{self.folder.path}: processes of a crashed server are still running; stop them by hand: {[p.pid for p in left]}"
            )
        (self.folder.data / "postmaster.pid").unlink(missing_ok=True)

    def _make_cluster(self, account: Account, binaries: Binaries) -> None:
        for half_made in self.folder.path.glob("initdb-*"):
            shutil.rmtree(half_made, ignore_errors=True)
        self.folder.password()
        fresh = self.folder.path / f"initdb-{os.getpid()}-{time.monotonic_ns()}"
        command = [
            *account.prefix, str(binaries.program("initdb")), f"--pgdata={fresh}", f"--username={ADMINISTRATOR}",
            f"--pwfile={self.folder.path / 'password'}", "--auth=scram-sha-256", "--encoding=UTF8",
            "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
            *([] if self.durable else ["--no-sync"]),
        ]  # fmt: skip
        made = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            cwd=self.folder.path, env=_environment(), timeout=_INITDB_TIMEOUT_S, check=False, **account.popen_arguments(),
        )  # fmt: skip
        if made.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            reason = next((line for line in made.stderr.splitlines() if "error:" in line or "FATAL" in line), made.stderr.strip()[-200:])
            raise DatabaseUnavailableError(f"{self.folder.path}: PostgreSQL can't create its data folder: {reason}")
        fresh.rename(self.folder.data)

    def _require_known_version(self) -> None:
        found = (self.folder.data / "PG_VERSION").read_text().strip()
        if found != MAJOR_VERSION:
            raise ConfigurationError(
                f"{self.folder.data} was created by PostgreSQL {found}, but this is {MAJOR_VERSION}; use another OMC_HOME, or "
                f"dump the data with version {found} and restore it"
            )

    def _start(self, account: Account, binaries: Binaries) -> int:
        reason = ""
        for _ in range(_STARTS):
            self._tidy_logs()
            command = [*account.prefix, str(binaries.program("postgres")), "-D", str(self.folder.data), *self._options()]
            spawned = subprocess.run(
                ["/bin/sh", "-c", _DETACH, "sh", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                cwd=self.folder.path, env=_environment(), start_new_session=True, check=True, **account.popen_arguments(),
            )  # fmt: skip
            try:
                return self._wait_ready(int(spawned.stdout))
            except DatabaseUnavailableError as error:
                reason = str(error)
                self.clear_leftovers()
        raise DatabaseUnavailableError(reason)

    def _options(self) -> Iterator[str]:
        chosen = {
            **_SETTINGS,
            **({} if self.durable else _NOT_DURABLE),
            "port": str(self.folder.port()),
            "unix_socket_directories": '"{}"'.format(str(self.folder.sockets()).replace('"', '""')),
            "unix_socket_permissions": "0700",
            "log_directory": str(self.folder.logs),
            "cluster_name": self.folder.mark,
        }
        for name, value in chosen.items():
            yield from ("-c", f"{name}={value}")

    def _wait_ready(self, pid: int) -> int:
        """Wait for the server of this process to accept connections; answer its port."""
        ready: list[int] = []

        def settled() -> bool:
            found = PidFile.read(self.folder.data / "postmaster.pid")
            if found and found.pid == pid and found.status == "ready":
                ready.append(found.port)
            return bool(ready) or not _is_running(pid)

        if not _wait_until(settled, _READY_TIMEOUT_S):
            raise DatabaseUnavailableError(
                f"{self.folder.path}: PostgreSQL isn't ready after {_READY_TIMEOUT_S:.0f} s; see its log: {self.folder.logs}"
            )
        if not ready:
            raise DatabaseUnavailableError(
                f"{self.folder.path}: PostgreSQL doesn't start: {self._reason()}; see its log: {self.folder.logs}"
            )
        return ready[0]

    def _answers(self, running: PidFile) -> bool:
        """Tell whether a server that was found answers; one that was just killed is seen for a moment, then is gone."""

        def ping() -> bool:
            return psycopg.pq.PGconn.ping(f"host={LOOPBACK} port={running.port} connect_timeout=5".encode()) == psycopg.pq.Ping.OK

        _wait_until(lambda: ping() or self.alive() is None, _READY_TIMEOUT_S)
        return self.alive() is not None and ping()

    def _reason(self) -> str:
        logs = [self.folder.path / "start.log", *sorted(self.folder.logs.glob("*.log"), key=lambda log: log.stat().st_mtime)]
        lines = [line for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()[-20:]]
        said = [line for line in lines if "FATAL" in line or "PANIC" in line or "cannot" in line] or lines or ["no reason given"]
        reason, full = said[-1].strip(), os.strerror(errno.ENOSPC)
        if full not in reason and shutil.disk_usage(self.folder.path).free < _FULL_BYTES:  # the log is cut short then, too
            return f"{reason} ({full})"
        return reason

    def _tidy_logs(self) -> None:
        start_log = self.folder.path / "start.log"
        start_log.touch(mode=0o600)
        self.folder.claim(start_log)
        oldest = time.time() - (_KEPT_LOG_DAYS - 1) * 86_400
        for log in self.folder.logs.glob("server-*.log"):
            if log.stat().st_mtime < oldest:
                log.unlink()


def _environment() -> dict[str, str]:
    """Return the little a server needs: no PG* variable may change it, no key of ours has business there."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_marked(pid: int, mark: str) -> bool:
    """Tell whether a process belongs to the cluster: the server names it in its command line, its children in their titles."""
    try:
        command = psutil.Process(pid).cmdline()  # empty for a zombie
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return f"cluster_name={mark}" in command or any(part.startswith(f"postgres: {mark}: ") for part in command[:1])


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
