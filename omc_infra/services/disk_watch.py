"""Watch for a full disk, also in PostgreSQL's log: report once when it starts and once when it ends."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

LEAST_FREE_BYTES = 256 * 1024 * 1024
"""Below this PostgreSQL may stop within minutes: it takes its log in files of 16 MB."""
_LEAST_SHARE = 0.02
_LOOK_S = 5.0
_QUIET_S = 60.0
"""PostgreSQL is believed to have room again when it has not complained for as long."""
_LONGEST_READ = 256_000
_COMPLAINT = re.compile(r"(?:ERROR|FATAL|PANIC|LOG): +(.*(?:No space left on device|Read-only file system|Disk quota exceeded).*)")


def free_bytes(folder: Path) -> tuple[int, int]:
    """Return how many bytes of a folder's disk are free for its user, and how many there are."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


class DiskWatch:
    """Looks at the disk of a home every few seconds; cheap enough to be called every second.

    Args:
        home: Whose disk.
        server_log: Folder of the embedded server's log; None where the server is somebody else's.
        free: Returns the free and all bytes of a folder's disk.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        home: Path,
        server_log: Path | None,
        free: Callable[[Path], tuple[int, int]] = free_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home, self._server_log, self._free, self._clock = home, server_log, free, clock
        self._look_at = clock()
        self._is_low = False
        self._complained_at: float | None = None
        self._read_from = {log: log.stat().st_size for log in self._logs()}

    @property
    def is_low(self) -> bool:
        """Whether the disk was nearly full at the latest look."""
        return self._is_low

    def watch(self) -> Iterator[str]:
        """Yield a line when the disk runs full, when PostgreSQL complains of it, and when either is over."""
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        yield from self._low_disk()
        yield from self._complaints(now)

    def _low_disk(self) -> Iterator[str]:
        try:
            free, whole = self._free(self._home)
        except OSError as error:
            free, whole = 0, 0
            if not self._is_low:
                yield f"the disk of {self._home} does not answer: {error.strerror}"
        is_low = free < min(LEAST_FREE_BYTES, whole * _LEAST_SHARE) or not whole
        if is_low and not self._is_low and whole:
            yield f"the disk of {self._home} is nearly full: {_readable(free)} of {_readable(whole)} are free; make room"
        elif self._is_low and not is_low:
            yield f"the disk of {self._home} has room again: {_readable(free)} are free"
        self._is_low = is_low

    def _complaints(self, now: float) -> Iterator[str]:
        found = [line for log in self._logs() for line in self._new_complaints(log)]
        if found and self._complained_at is None:
            yield f"PostgreSQL can't write: {found[-1]}"
        if found:
            self._complained_at = now
        elif self._complained_at is not None and now - self._complained_at > _QUIET_S:
            self._complained_at = None
            yield "PostgreSQL has written without complaint for a minute"

    def _new_complaints(self, log: Path) -> list[str]:
        try:
            with log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                begun = self._read_from.get(log, 0)
                begun = 0 if begun > size else begun  # a new day overwrites the log of a week ago
                file.seek(max(begun, size - _LONGEST_READ))
                text = file.read().decode(errors="replace")
        except OSError:
            return []
        self._read_from[log] = size
        return [match[1].strip() for match in _COMPLAINT.finditer(text)]

    def _logs(self) -> list[Path]:
        try:
            return sorted(self._server_log.glob("server-*.log")) if self._server_log else []
        except OSError:
            return []


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
