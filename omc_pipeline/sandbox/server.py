"""The sandbox as a server on loopback: in a thread of this process, or as a process of its own."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omc_infra.clock import Clock, utc_now
from omc_infra.errors import ConfigurationError
from omc_infra.settings import Settings
from omc_pipeline.sandbox.running import running_sandbox, state_file

if TYPE_CHECKING:
    import uvicorn

HOST = "127.0.0.1"
_START_WITHIN_S = 15
_LONGEST_PREFIX = 100


@contextmanager
def serving(settings: Settings, clock: Clock = utc_now) -> Iterator[str]:
    """Return the base URL of a running sandbox: the one that ``settings.sandbox_url`` names, or a platform runs on this home, or a new one.

    A new one gets a free port, keeps its state in the settings' home, and stops with the block.
    """
    found = settings.sandbox_url or running_sandbox(settings)
    if found:
        yield found.rstrip("/")
        return
    listener = _listener(0)
    server = _server(settings.sandbox_seed, clock, state_file(settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=5)


def serve(
    seed: int,
    port: int,
    state: Path | None,
    announce_port: Path | None,
    *,
    on_listen: Callable[[str], None] = lambda _url: None,
    clock: Clock = utc_now,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        seed: As in ``create_app``.
        port: 0 takes a free one.
        state: As in ``create_app``.
        announce_port: File that gets the port, whole at once, as soon as connections are accepted.
        on_listen: Told the base URL at the same moment.
        clock: As in ``create_app``.

    Raises:
        ConfigurationError: The port is taken, or its file can't be written.
    """
    listener = _listener(port)
    bound = listener.getsockname()[1]

    def announce() -> None:
        if announce_port:
            _write_whole(announce_port, f"{bound}\n")
        on_listen(f"http://{HOST}:{bound}")

    server = _server(seed, clock, state, announce)
    # A signal may come before uvicorn has taken over; Python would then warn of its coroutine on stderr.
    warnings.filterwarnings("ignore", "coroutine 'Server.serve' was never awaited", RuntimeWarning)
    server.run(sockets=[listener])


def _server(seed: int, clock: Clock, state: Path | None, announce: Callable[[], None] = lambda: None) -> uvicorn.Server:
    import uvicorn

    from omc_pipeline.sandbox.app import create_app

    class Announced(uvicorn.Server):
        """Announces itself once it handles signals: who reads the announcement may send one at once."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            announce()

    config = uvicorn.Config(
        create_app(seed, clock, state),
        loop="asyncio",
        http="h11",  # pure Python, and a cut answer ends in a dropped connection
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # a fault that drops the connection is no error of the server
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=0,  # who still reads a slow answer is cut off
    )
    return Announced(config)


def _listener(port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off; else each answer waits 40 ms for a delayed ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"sandbox: port {port} of {HOST} is taken; choose another, or 0 for a free one") from error
    listener.listen(128)
    return listener


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_WITHIN_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise ConfigurationError("sandbox: the server did not start; run `omc sandbox serve` to see why")
        time.sleep(0.005)


def _write_whole(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:_LONGEST_PREFIX]}.")
        with os.fdopen(handle, "w") as out:
            out.write(text)
        Path(name).replace(file)
    except OSError as error:
        raise ConfigurationError(f"the port can't be written to {file}: {error.strerror}") from error
