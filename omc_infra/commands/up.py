"""``omc up``: the platform on this machine until Ctrl-C, or one of its services alone."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path

import click
from rich.text import Text

from omc_infra.cli import emit, json_option
from omc_infra.settings import load_settings
from omc_infra.signals import ending_signals, leave_terminal
from omc_infra.terminal import open_console

UI = "dagster-webserver"


class Port(click.ParamType[tuple[str, int]]):
    """``NAME=N``, or ``N`` for the Dagster UI."""

    name = "port"

    def convert(self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Return the service's name and its port."""
        if isinstance(value, tuple):
            return value
        name, _, number = value.rpartition("=")
        if not number.isdecimal() or int(number) > 65535:
            self.fail(f"{value!r} is not a port, or NAME=port, from 0 to 65535", param, ctx)
        return name, int(number)


@click.command(epilog="With --only, the exit code is the service's.")
@click.option(
    "--port",
    "ports",
    type=Port(),
    multiple=True,
    metavar="[NAME=]N",
    help=(
        "Port of a service; without a name, of the Dagster UI (3000). If it is taken, the next free port is used; 0: any free "
        "port. Repeatable."
    ),
)
@click.option("--only", metavar="NAME", help="Run one service alone in the foreground, as in a container; `omc status` lists the names.")
@click.option("--host", help="With --only: address to listen on.  [default: 127.0.0.1]")
@click.option("--workspace", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="With --only: Dagster's workspace file.")
@json_option
def up(*, ports: tuple[tuple[str, int], ...], only: str | None, host: str | None, workspace: Path | None, as_json: bool) -> None:
    """Run the platform: PostgreSQL, sandbox upstreams, code servers, Dagster UI and daemon; Ctrl-C stops all."""
    stopped = stopping_event()
    if only is not None:
        from omc_infra.services.single import run_only

        chosen = dict(ports)
        raise click.exceptions.Exit(run_only(load_settings(), only, host, chosen.get(only, chosen.get("")), workspace, stopped))
    if host or workspace:
        raise click.UsageError("--host and --workspace go with --only")
    _run({name or UI: port for name, port in ports}, stopped, as_json=as_json)


def _run(ports: dict[str, int], stopped: threading.Event, *, as_json: bool) -> None:
    from omc_infra.services.platform import open_platform
    from omc_infra.services.table import load_services

    console = open_console(stderr=True)
    settings, table = load_settings(), load_services()
    for name in ports:
        if table[name].port is None:
            raise click.UsageError(f"service {name} has no port")
    with open_platform(settings, table=table) as platform:
        console.print("Starting; a new database, or much that is due, can take a minute.", style="dim")
        with console.status("Collecting what is due"):
            failures = platform.start_all(ports, stopped)
        with console.status("Waiting for the services"):
            platform.await_healthy(stopped)
        addresses = platform.addresses()
        entries = platform.entries()
        if as_json:
            emit({"profile": settings.profile, **addresses, "open": entries})
        console.print(Text.assemble(("OMC", "bold"), " is up · profile ", (settings.profile, "bold")))
        for name, address in addresses.items():
            if address is None:
                continue
            console.print(f"  {name:<10} {entries.get(name, address)}", soft_wrap=True)
        for name, port in platform.moved_ports(ports).items():
            console.print(f"Port {port} is taken, so {name} has the next free one.")
        for failure in failures:
            console.print(f"Started, but {failure}", style="yellow", soft_wrap=True)
        console.print("Ctrl-C stops everything.")
        while not stopped.wait(1.0):
            for line in platform.watch():
                with contextlib.suppress(OSError):  # where the console is a file on a disk that is full
                    console.print(line, style="yellow", soft_wrap=True)
        with contextlib.suppress(OSError):
            console.print("Stopping ...")
    with contextlib.suppress(OSError):
        console.print("Stopped.")


def stopping_event() -> threading.Event:
    """Return an event that is set by Ctrl-C, SIGTERM and a hang-up; a hang-up that is ignored, as by nohup, stays ignored."""
    stopped = threading.Event()

    def stop(number: int, _frame: object) -> None:
        if number == signal.SIGHUP:
            leave_terminal()
        stopped.set()

    for number in ending_signals():
        signal.signal(number, stop)
    return stopped
