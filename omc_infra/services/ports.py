"""Free ports on loopback."""

from __future__ import annotations

import socket

from omc_infra.services.place import LOOPBACK

_TRIED = 100


def free_port() -> int:
    """Return a loopback port that is free now; a service keeps it over its restarts."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def free_port_from(first: int) -> int:
    """Return the first free loopback port from ``first`` on, or any where ``first`` is 0."""
    for port in range(first, first + _TRIED) if first else ():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex((LOOPBACK, port)):
                return port
    return free_port()
