"""The server's ends of its connections: read line by line without ever waiting."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Mapping
from typing import Any

from omc_infra.runs.protocol import LONGEST_LINE, NO, line_of, variables_of


class Connection:
    """One client.

    Attributes:
        opened_at: Seconds of the monotonic clock.
        is_lease: Whether it only says, by staying open, that a launcher lives.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.opened_at = time.monotonic()
        self.is_lease = False
        self.received = b""

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self.socket.fileno()

    def receive(self) -> bool:
        """Take what has come; False where the other side has closed, or says more than a question can be."""
        try:
            more = self.socket.recv(65_536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.received += more
        return bool(more) and len(self.received) <= LONGEST_LINE

    def question(self) -> dict[str, Any] | None:
        """Take the next whole line; None where none has come.

        Raises:
            ValueError: It is no JSON object.
        """
        line, end, rest = self.received.partition(b"\n")
        if not end:
            return None
        self.received = rest
        document = json.loads(line)
        if not isinstance(document, dict):
            raise ValueError("a question is an object")  # noqa: TRY004 malformed, like any other text that is no question
        return document

    @property
    def is_withdrawn(self) -> bool:
        """Say whether the launcher no longer wants its run."""
        return self.received.startswith(NO)

    def answer(self, document: Mapping[str, Any]) -> None:
        """Send an answer; a client that has gone misses it."""
        with contextlib.suppress(OSError):
            self.socket.send(line_of(document))

    def close(self) -> None:
        """Close this end."""
        self.socket.close()


class LauncherOfChild:
    """A launcher's connection in the hands of the run's own process.

    It says that it was started, as the server does: whichever of them dies first, the launcher hears the other.
    """

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self._socket = sock
        sock.setblocking(True)
        with contextlib.suppress(OSError):
            sock.sendall(line_of({"state": "started", "pid": pid}))

    def permits(self) -> Mapping[str, str] | None:
        """Wait for the launcher's word and return the variables that come with it, or None where the run isn't wanted.

        A launcher that was killed will not start the run otherwise, so it goes on, with no variables.
        """
        word = bytearray()
        with contextlib.suppress(OSError):
            while not word.endswith(b"\n"):
                more = self._socket.recv(65_536)
                if not more:
                    break
                word += more
        self._socket.close()
        return None if word == NO else variables_of(bytes(word))
