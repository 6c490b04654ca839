"""What launchers and the warm server say to each other: JSON lines over a Unix socket, one question a connection.

A launch is a conversation, so that a run is started once whatever dies in between::

    launcher  {"ask": "launch", "run_id": ..., ...}
    server    {"state": "waiting"}                only while all places are taken
    server    {"state": "started", "pid": 123}    and the forked child says the same, whichever of them lives
    launcher  go VARIABLES | no                   "no": it took too long, the run is started otherwise

The variables, a JSON object, give the run's process its logins of the database and other secrets. Only the child reads them: the
server, from which runs of every code location fork, never holds any.

The connection is open in the server or in the child until the child has its word: a launcher that reads its end knows that
nobody will start the run. A child that reads the end instead of a word goes on, without variables: its launcher was killed, and
Dagster launches no run twice. Where the run needs the database, it then fails and says why.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

GO, NO = b"go ", b"no\n"
LONGEST_LINE = 1 << 20

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Order:
    """A run to execute.

    Attributes:
        instance_ref: Dagster's serialized reference of the instance.
        resume: Whether an earlier process of this run died and its finished steps are kept.
        launched: Kind of process, told in the run's tag.
    """

    run_id: str
    instance_ref: str
    resume: bool = False
    launched: str = "warm"

    def as_document(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Document) -> Order:
        """Read the fields that ``as_document`` wrote; others are ignored."""
        return cls(str(document["run_id"]), str(document["instance_ref"]), bool(document["resume"]), str(document["launched"]))


def line_of(document: Document) -> bytes:
    """Write one line."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def permission(variables: Mapping[str, str]) -> bytes:
    """Write the word by which a child may go on."""
    return GO + line_of(variables)


def variables_of(word: bytes) -> dict[str, str]:
    """Read the variables of a permission; none where the word is another, or was cut."""
    if not (word.startswith(GO) and word.endswith(b"\n")):
        return {}
    return {str(name): str(value) for name, value in json.loads(word[len(GO) :]).items()}


class Conversation:
    """A launcher's end of a connection; a context manager.

    Raises:
        OSError: From any method, where the server is not there, died, or did not answer in time.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        self._received = b""
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, line: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(line)

    def hear(self, timeout_s: float | None) -> dict[str, Any]:
        """Wait for the next line.

        Raises:
            ConnectionResetError: The other side closed instead.
            TimeoutError: Nothing came within ``timeout_s``; None waits for ever.
        """
        self._socket.settimeout(timeout_s)
        while b"\n" not in self._received:
            more = self._socket.recv(65_536)
            if not more:
                raise ConnectionResetError("the warm server closed the connection")
            self._received += more
        line, _, self._received = self._received.partition(b"\n")
        document: dict[str, Any] = json.loads(line)
        return document

    def is_open(self) -> bool:
        """Say whether the other side still holds its end; what it has said is thrown away."""
        self._socket.setblocking(False)
        try:
            while self._socket.recv(4096):
                pass
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


def ask(path: Path, question: Document, timeout_s: float) -> dict[str, Any] | None:
    """Put one question to a server that may not be there.

    Returns:
        Its answer, or None: no server, or one too busy to answer in time.
    """
    try:
        with Conversation(path, timeout_s) as conversation:
            conversation.say(line_of(question))
            return conversation.hear(timeout_s)
    except OSError:
        return None
