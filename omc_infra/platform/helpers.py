"""Processes that a service starts for itself and does not start again: counted, so that the service can be ended when some are gone."""

from __future__ import annotations

import time

import psutil

from omc_infra.platform.supervisor import Supervisor


class LostHelpers:
    """Tells when a service has had fewer helpers than before for a while.

    Args:
        supervisor: That runs the service.
        service: Its name.
        words: What a helper's command line holds.
        patience_s: A service may be replacing its helpers by itself.
        look_s: Seconds between two looks.
    """

    def __init__(self, supervisor: Supervisor, service: str, words: str, patience_s: float = 15.0, look_s: float = 5.0) -> None:
        self._supervisor, self._service, self._words = supervisor, service, words
        self._patience_s, self._look_s = patience_s, look_s
        self._pid: int | None = None
        self._most = 0
        self._looked_at = self._whole_at = 0.0

    def are_gone(self) -> bool:
        """Look, every few seconds at the most, and say so once."""
        now = time.monotonic()
        if now - self._looked_at < self._look_s:
            return False
        self._looked_at, pid = now, self._supervisor.pid(self._service)
        if pid is None or pid != self._pid:
            self._pid, self._most, self._whole_at = pid, 0, now
            return False
        found = self._count(pid)
        if found >= self._most:
            self._most, self._whole_at = found, now
        if now - self._whole_at < self._patience_s:
            return False
        self._most, self._whole_at = 0, now
        return True

    def _count(self, pid: int) -> int:
        try:
            children = psutil.Process(pid).children()
        except psutil.NoSuchProcess:
            return 0
        return sum(self._is_helper(child) for child in children)

    def _is_helper(self, process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE and self._words in " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
