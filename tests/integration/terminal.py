"""A terminal that a test opens for a process, and closes under it."""

from __future__ import annotations

import fcntl
import os
import select
import termios
import threading


class Terminal:
    """A pseudo-terminal whose output is kept; closing it hangs up on the process that it controls."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.openpty()
        self._written: list[bytes] = []
        self._is_closing = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def control(self) -> None:
        """Become the controlling terminal of a child that leads a session; called between fork and exec."""
        os.setsid()
        fcntl.ioctl(self.theirs, termios.TIOCSCTTY, 0)

    @property
    def text(self) -> str:
        """Everything that was written so far."""
        return b"".join(self._written).decode(errors="replace")

    def close(self) -> None:
        """Hang up, as when a terminal's window is closed."""
        self._is_closing.set()
        self._reader.join()
        os.close(self.theirs)
        os.close(self._ours)

    def _read(self) -> None:
        while not self._is_closing.is_set():
            if select.select([self._ours], [], [], 0.1)[0]:
                self._written.append(os.read(self._ours, 65_536))
