"""A company's proxy: it opens what is asked for by CONNECT, reads along, and answers with certificates of its own authority.

``python3 company_proxy.py FOLDER`` serves on a free port of loopback until it is ended. Files of the folder: ``port``, ``authority.pem``
(what a client must trust), ``tunnels`` (one host a line, for each connection whose client trusted us). Needs the ``openssl`` command.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import threading
from pathlib import Path


class Authority:
    """Makes a certificate for each host that is asked for, signed by an authority of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.certificate = folder / "authority.pem"
        _openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Company Proxy",
            "-keyout", folder / "authority.key", "-out", self.certificate,
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
        )  # fmt: skip

    def context(self, host: str) -> ssl.SSLContext:
        """Return the server's side of TLS for a host."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._made(host, len(self._contexts))
            return self._contexts[host]

    def _made(self, host: str, number: int) -> ssl.SSLContext:
        key, request, certificate, names = (self._folder / f"{number}.{kind}" for kind in ("key", "csr", "pem", "names"))
        names.write_text(f"subjectAltName=DNS:{host}\nextendedKeyUsage=serverAuth\n")
        _openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host[:60]}", "-keyout", key, "-out", request)
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._folder / "authority.key", "-CAcreateserial",
            "-days", "2", "-extfile", names, "-out", certificate,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


async def serve(folder: Path) -> None:
    """Listen until the process ends."""
    folder.mkdir(parents=True)
    authority, outside = Authority(folder), ssl.create_default_context()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _served(reader, writer, authority, outside, folder / "tunnels")
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:  # a client that doesn't trust us hangs up, with one of these
            sys.stderr.write(f"company proxy: {error!r}\n")
        finally:
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    (folder / "port.new").write_text(str(server.sockets[0].getsockname()[1]))
    (folder / "port.new").rename(folder / "port")
    await server.serve_forever()


async def _served(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: Authority, outside: ssl.SSLContext, tunnels: Path
) -> None:
    method, target, _ = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].decode("ascii").split(" ")
    if method != "CONNECT":
        writer.write(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        raise ValueError(f"{method} is not CONNECT")
    host, _, port = target.rpartition(":")
    context = await asyncio.to_thread(authority.context, host)
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await writer.start_tls(context)  # at once: what the client says next is its side of TLS
    with tunnels.open("a") as file:
        file.write(f"{host}\n")
    above_reader, above_writer = await asyncio.open_connection(host, int(port), ssl=outside)
    try:
        await asyncio.gather(_copied(reader, above_writer), _copied(above_reader, writer))
    finally:
        above_writer.close()


async def _copied(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(64 * 1024):
        target.write(data)
        await target.drain()
    target.close()  # TLS can't be ended in one direction


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
