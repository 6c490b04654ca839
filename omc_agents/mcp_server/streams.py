"""The server's ends of its pipes, in threads that no exit waits for.

The SDK reads and writes in threads that can't be left: a client that neither writes nor closes its pipe would keep a server from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading

LONGEST_LINE_BYTES = 1_000_000
"""A longer message is dropped: no call needs it."""
_MOST_WAITING = 16
_CHUNK_BYTES = 65_536


class InputLines:
    """Lines of a file as they come, until it is closed; made inside of a running loop."""

    def __init__(self, file: int) -> None:
        self._file, self._loop = file, asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(_MOST_WAITING)
        threading.Thread(target=self._read, name="mcp input", daemon=True).start()

    def __aiter__(self) -> InputLines:
        return self

    async def __anext__(self) -> str:
        line = await self._lines.get()
        if line is None:
            raise StopAsyncIteration
        return line

    def _read(self) -> None:
        held, dropping = b"", False
        with contextlib.suppress(RuntimeError):  # the loop is closed
            while chunk := self._chunk():
                *lines, held = (held + chunk).split(b"\n")
                for line in lines:
                    if not dropping and len(line) <= LONGEST_LINE_BYTES:
                        self._put(line.decode(errors="replace"))
                    dropping = False
                if len(held) > LONGEST_LINE_BYTES:
                    held, dropping = b"", True
            self._put(None)

    def _chunk(self) -> bytes:
        try:
            return os.read(self._file, _CHUNK_BYTES)
        except OSError:
            return b""

    def _put(self, line: str | None) -> None:
        asyncio.run_coroutine_threadsafe(self._lines.put(line), self._loop).result()


class OutputLines:
    """Writes to a file, in the order of the calls; made inside of a running loop."""

    def __init__(self, file: int) -> None:
        self._file, self._loop = file, asyncio.get_running_loop()
        self._pending: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="mcp output", daemon=True).start()

    async def write(self, text: str) -> None:
        """Write a text, and wait until it is taken.

        Raises:
            BrokenPipeError: Nobody reads any more.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        self._pending.put((text.encode(errors="replace"), done))
        await done

    async def flush(self) -> None:
        """Do nothing: what is written is not held back."""

    def _write(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            while True:
                data, done = self._pending.get()
                failure: OSError | None = None
                try:
                    while data:
                        data = data[os.write(self._file, data) :]
                except OSError as error:
                    failure = error
                self._loop.call_soon_threadsafe(_settle, done, failure)


def _settle(done: asyncio.Future[None], failure: OSError | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
