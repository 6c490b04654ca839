"""Run many ``omc`` commands, each in a fork of one process that has everything loaded: real streams, real exit codes, a few ms each.

The process that forks reads one JSON line a command and answers with one; as a program this file is that process.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from omc_infra.settings import PROJECT_ROOT

_LOADED = (
    "sqlalchemy.dialects.postgresql.psycopg", "rich.table", "rich.markdown", "rich.progress", "pyarrow", "dagster", "great_expectations",
    "omc_pipeline.collection.discovery", "omc_pipeline.quality.run", "omc_infra.postgres.migrate", "omc_infra.services.table",
    "omc_pipeline.positions.report", "omc_pipeline.pnl.answer", "omc_agents.sessions.briefs", "omc_infra.services.platform",
)  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """What a command did; ``status`` is None where it hung and was killed."""

    status: int | None
    stdout: str
    stderr: str
    seconds: float


class Commands:
    """The process that forks; runs one command at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, arguments: Sequence[str], environ: Mapping[str, str], *, timeout_s: float = 60.0, cwd: Path = PROJECT_ROOT) -> Ran:
        """Run ``omc`` with these arguments and exactly these variables."""
        asked = {"arguments": list(arguments), "environ": dict(environ), "timeout_s": timeout_s, "cwd": str(cwd)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Ran(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def forked_commands() -> Iterator[Commands]:
    """Start the process that forks; it ends with the context."""
    command = [sys.executable, __file__]
    path = os.pathsep.join([str(PROJECT_ROOT), *filter(None, sys.path)])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        try:
            yield Commands(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


def leaf_commands(command: click.Command | None = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that is no group, with its path, as the click tree has them."""
    from omc_infra.cli import root

    found = command or root
    if not isinstance(found, click.Group):
        yield path, found
        return
    context = click.Context(found)
    for name in found.list_commands(context):
        inner = found.get_command(context, name)
        assert inner is not None
        yield from leaf_commands(inner, (*path, name))


def _serve() -> None:
    for _ in leaf_commands():
        pass
    for name in _LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_ran(json.loads(line))) + "\n")
        sys.stdout.flush()
    os._exit(0)  # what is loaded takes seconds to end, and there is nothing to save


def _ran(asked: Mapping[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _become(asked, stdout, stderr)
        status = _status(child, began + asked["timeout_s"])
        written = {}
        for name, file in (("stdout", stdout), ("stderr", stderr)):
            file.seek(0)
            written[name] = file.read().decode(errors="surrogateescape")
        return {"status": status, **written, "seconds": time.monotonic() - began}


def _status(child: int, deadline: float) -> int | None:
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _become(asked: Mapping[str, Any], stdout: IO[bytes], stderr: IO[bytes]) -> None:
    from omc_infra.cli import main

    status: object = 1
    try:
        os.setsid()
        for descriptor, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, stdout.fileno()), (2, stderr.fileno())):
            os.dup2(file, descriptor)
        sys.stdin = open(0)  # noqa: SIM115 the child's own, until it ends
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["environ"])
        sys.argv = ["omc", *asked["arguments"]]
        main()
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 what the interpreter does at its end
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    _serve()
