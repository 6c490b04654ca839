"""A server's state carried over the execution of its new image: descriptors stay open, what they are for is written down."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from omc_infra.runs.connections import Connection
from omc_infra.runs.listening import Listener
from omc_infra.runs.protocol import Order

_FLAG = "--handover"


@dataclass
class Waiting:
    """A run that waits for a place; its launcher's connection, or None where that has died: the run is started nevertheless."""

    order: Order
    connection: Connection | None


@dataclass
class Inheritance:
    """What a server's next image starts with.

    Attributes:
        connections: All but those of ``waiting``.
        children: See ``Children.as_document``.
        generation: How many images there were before.
    """

    listener: Listener
    connections: list[Connection] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    children: dict[str, Any] = field(default_factory=lambda: {"running": [], "deaths": [], "endings": []})
    generation: int = 0


def hand_over(inheritance: Inheritance, arguments: Sequence[str]) -> NoReturn:
    """Replace this process's image by a fresh one that finds the inheritance."""
    listener = inheritance.listener
    document = {
        "listener": {"socket": listener.socket.fileno(), "lock": listener.lock, "identity": listener.identity},
        "connections": [_describe(connection) for connection in inheritance.connections],
        "waiting": [{"order": asdict(w.order), "connection": w.connection and _describe(w.connection)} for w in inheritance.waiting],
        "children": inheritance.children,
        "generation": inheritance.generation,
    }
    with tempfile.TemporaryFile() as will:
        will.write(json.dumps(document).encode())
        will.flush()
        clients = [*inheritance.connections, *(w.connection for w in inheritance.waiting if w.connection)]
        for file in (will.fileno(), listener.socket.fileno(), listener.lock, *(client.fileno() for client in clients)):
            os.set_inheritable(file, True)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "omc_infra.runs.warm_server", *arguments, _FLAG, str(will.fileno())])  # noqa: S606


def inherited(will: int) -> Inheritance:
    """Read what the image before left, and keep its descriptors from processes started here."""
    with os.fdopen(will, "rb") as file:
        file.seek(0)
        document = json.load(file)
    numbers = document["listener"]
    os.set_inheritable(numbers["lock"], False)
    return Inheritance(
        Listener(_socket(numbers["socket"]), numbers["lock"], numbers["identity"]),
        [_connection(fields) for fields in document["connections"]],
        [Waiting(Order(**w["order"]), _connection(w["connection"]) if w["connection"] else None) for w in document["waiting"]],
        document["children"],
        document["generation"],
    )


def _describe(connection: Connection) -> dict[str, Any]:
    return {
        "file": connection.fileno(),
        "opened_at": connection.opened_at,
        "is_lease": connection.is_lease,
        "received": connection.received.decode("latin-1"),
    }


def _connection(fields: dict[str, Any]) -> Connection:
    connection = Connection(_socket(fields["file"]))
    connection.opened_at = fields["opened_at"]
    connection.is_lease = fields["is_lease"]
    connection.received = fields["received"].encode("latin-1")
    return connection


def _socket(file: int) -> socket.socket:
    found = socket.socket(fileno=file)
    found.set_inheritable(False)
    found.setblocking(False)
    return found
