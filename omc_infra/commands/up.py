"""``omc up``: the platform on this machine until Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from urllib.error import URLError
from urllib.request import urlopen

import click
from rich.console import Console

from omc_infra.cli import emit, json_option
from omc_infra.settings import load_settings

READY_S = 120.0


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=3000,
    show_default=True,
    help="Port of the Dagster UI; the next free one where it is taken.",
)
@json_option
def up(*, port: int, as_json: bool) -> None:
    """Run PostgreSQL, the sandbox upstreams, the Dagster UI and daemon; Ctrl-C stops all."""
    from omc_agents.demonstration.catch_up import collect_due
    from omc_agents.platform import free_port_from, open_platform

    console = Console(stderr=True)
    settings = load_settings()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with open_platform(settings) as platform:
        chosen = free_port_from(port)
        url = f"http://127.0.0.1:{chosen}"
        platform.start_webserver(chosen)
        with console.status("Collecting what is due"):
            failures = collect_due(platform)
        platform.start_daemon()
        with console.status("Waiting for the Dagster UI"):
            _await(f"{url}/server_info", stopped)
        addresses = {
            "dagster": url,
            "sandbox": platform.settings.sandbox_url,
            "postgres": f"{platform.database.address.host}:{platform.database.address.port}/{platform.database.name} (omc db url)",
            "logs": str(settings.home / "logs"),
        }
        if as_json:
            emit({"profile": settings.profile, **addresses})
        console.print(f"[bold]OMC[/bold] is up · profile [bold]{settings.profile}[/bold]")
        for name, address in addresses.items():
            console.print(f"  {name:<10} {address}", highlight=False)
        if chosen != port and port:
            console.print(f"Port {port} is taken, so the Dagster UI has the next free one.")
        for failure in failures:
            console.print(f"At the start {failure}", style="yellow", highlight=False)
        console.print("Ctrl-C stops everything.")
        while not stopped.wait(1.0):
            for line in platform.watch():
                console.print(line, style="yellow", highlight=False)
        console.print("Stopping ...")
    console.print("Stopped.")


def _await(url: str, stopped: threading.Event) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and not stopped.is_set():
        try:
            with urlopen(url, timeout=2):  # noqa: S310 our own loopback server
                return
        except (URLError, OSError):
            time.sleep(0.3)
