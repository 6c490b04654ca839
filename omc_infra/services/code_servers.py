"""The code locations' servers, one each, which the Dagster UI and the daemon share.

Left to themselves both start servers of their own, and the daemon replaces its every minute; neither starts one again that was
killed. These are services of the platform: started again where they end, and started anew where the code on disk has changed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omc_infra.private import private_folder
from omc_infra.runs.places import places_of
from omc_infra.runs.source_watch import SourceWatch
from omc_infra.services.health import ListeningHealth
from omc_infra.services.table import ServiceSpec, ServiceTable

LOOK_S = 3.0
"""Seconds between two looks at the code on disk; it is loaded again when it has not changed for as long."""


def code_server(location: str, **fields: Any) -> ServiceSpec:
    """Return the service that serves a code location, reachable by its owner alone unless it is given a port.

    Code that does not load is no reason for it to end: the UI shows the location with its error.

    Args:
        location: Package whose ``definitions`` module is served.
        fields: Further fields of the service, such as roles and environ.
    """
    command = ("{python}", "-m", "dagster", "api", "grpc", "--module-name", f"{location}.definitions", "--location-name", location)
    quiet = ("--lazy-load-user-code", "--use-python-environment-entry-point", "--log-format", "json")
    return ServiceSpec(
        name=f"code-{location}",
        title=f"Dagster code location {location}",
        command=command + quiet,
        on_socket=("--socket", "{socket}"),
        on_port=("--host", "{host}", "--port", "{port}"),
        health=ListeningHealth(),
        code_location=location,
        variables=("GRPC_*",),
        **{"needs": ("postgres",), **fields},
    )


def socket_of(spec: ServiceSpec, dagster_home: Path) -> Path:
    """Return the Unix socket of a code location's server; its folder is made, and only its owner may enter it."""
    return places_of(dagster_home).code_socket(spec.code_location or spec.name)


def write_workspace(dagster_home: Path, table: ServiceTable) -> Path:
    """Write the file that names the sockets of a table's code servers to Dagster, and return it."""
    entries = [
        {"grpc_server": {"socket": str(socket_of(spec, dagster_home)), "location_name": spec.code_location}}
        for spec in table
        if spec.code_location
    ]
    file = dagster_home / "workspace-shared.yaml"
    private_folder(file.parent)
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps({"load_from": entries}))  # JSON is YAML
    draft.replace(file)
    return file


class CodeWatch:
    """Notices that the code of served locations has changed on disk.

    Args:
        services: Name of the service that serves each location, by location.
    """

    def __init__(self, services: Mapping[str, str]) -> None:
        self.services: Sequence[str] = tuple(services.values())
        self._sources = SourceWatch([f"{name}.definitions" for name in services], time.time_ns())
        self._has_changed, self._looked_at = False, time.monotonic()

    def changed(self) -> Iterator[str]:
        """Yield the services to start anew, once after each change; meant to be called every second or so."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        if self._sources.has_changed():
            self._has_changed = True
        elif self._has_changed:
            self._has_changed = False
            yield from self.services
