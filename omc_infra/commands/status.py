"""``omc status``: check that all services run and work."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from omc_infra.cli import emit, json_option
from omc_infra.settings import load_settings
from omc_infra.tables import print_rows
from omc_infra.terminal import open_console

if TYPE_CHECKING:
    from rich.console import Console

    from omc_infra.services.status import PlatformReport, ServiceReport

_RUN_BY = {"platform": "running", "itself": "running on its own", "elsewhere": "elsewhere", "nobody": "not running"}


@click.command(epilog="Exit code 1: a service that should run doesn't work.")
@json_option
def status(*, as_json: bool) -> None:
    """Check every service of the platform. Starts nothing."""
    from omc_infra.services.status import platform_report
    from omc_infra.services.table import load_services

    settings, table = load_settings(), load_services()
    report = platform_report(settings, table)
    entries = {spec.name: spec.entry for spec in table if spec.entry}
    links = [
        f"http://{service.address}{entries[service.name](settings)}"
        for service in report.services
        if service.pid and service.name in entries
    ]
    if as_json:
        emit({**dataclasses.asdict(report), "healthy": report.healthy})
    else:
        _print(open_console(), report, links)
    if not report.healthy:
        raise click.exceptions.Exit(1)


def _print(console: Console, report: PlatformReport, links: Sequence[str]) -> None:
    print_rows(console, [_row(service) for service in report.services], f"Services · profile {report.profile}")
    database = report.database
    state = database.reason or f"at revision {database.revision}"
    console.print(f"Database: {database.address} · {state}" if database.address else f"Database: {state}")
    console.print(f"Platform: {report.holder or 'none runs on this database'}")
    for link in links:
        console.print(f"Open: {link}", soft_wrap=True)
    for finding in report.findings:
        console.print(finding, style="yellow")
    for service in report.services:
        if service.log and not service.healthy:
            console.print(f"Log of {service.name}: {service.log}", style="dim")


def _row(service: ServiceReport) -> dict[str, str]:
    return {
        "service": service.name,
        "state": _RUN_BY[service.run_by],
        "health": "healthy" if service.healthy else service.reason or "–",
        "address": service.address or "–",
        "process": str(service.pid or "–"),
        "since": _shown(service.since),
        "restarts": "–" if service.restarts is None else str(service.restarts),
    }


def _shown(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "–"
