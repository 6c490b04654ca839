"""The code locations' servers, one each, which the Dagster UI and the daemon share.

Left to themselves both start servers of their own, and the daemon replaces its every minute; neither starts one again that was
killed. These are services of the platform: started again where they end, and started anew where the code on disk has changed.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from omc_infra.errors import RetryableError
from omc_infra.platform.supervisor import Service, Supervisor
from omc_infra.runs.places import places_of
from omc_infra.runs.source_watch import SourceWatch

READY_S = 60.0
LOOK_S = 3.0
"""Seconds between two looks at the code on disk; it is loaded again when it has not changed for as long."""


class CodeServersNotReadyError(RetryableError):
    """A code server did not come up in time; its log says why."""


class CodeServers:
    """One ``dagster api grpc`` a code location, reachable by its owner alone.

    Code that does not load is no reason for a server to end: the UI shows the location with its error.

    Args:
        supervisor: That runs them.
        dagster_home: Whose socket folder and workspace file they get.
        locations: Names of the packages whose ``definitions`` module they serve.
        environs: Variables of each location's server, such as the logins of its database roles.
    """

    def __init__(
        self, supervisor: Supervisor, dagster_home: Path, locations: Sequence[str], environs: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self._supervisor, self._locations = supervisor, tuple(locations)
        self._environs = environs or {}
        places = places_of(dagster_home)
        self._sockets = {name: places.code_socket(name) for name in self._locations}
        self._sources = SourceWatch([f"{name}.definitions" for name in self._locations], time.time_ns())
        self._has_changed, self._looked_at = False, time.monotonic()
        self.workspace = dagster_home / "workspace-shared.yaml"

    def start(self) -> None:
        """Start the servers and write the workspace that names them."""
        entries = [{"grpc_server": {"socket": str(path), "location_name": name}} for name, path in self._sockets.items()]
        self.workspace.write_text(json.dumps({"load_from": entries}))  # JSON is YAML
        for name in self._locations:
            self._supervisor.start(self._service(name))

    def await_ready(self, patience_s: float = READY_S) -> None:
        """Wait until every server takes connections; who connects earlier sees its location as failed for ten seconds.

        Raises:
            CodeServersNotReadyError: One does not in time.
        """
        deadline = time.monotonic() + patience_s
        for name, path in self._sockets.items():
            while not _listens(path):
                if time.monotonic() > deadline:
                    log = self._supervisor.log_file(_service_name(name))
                    raise CodeServersNotReadyError(f"the code server of {name} does not answer after {patience_s:.0f} s; see {log}")
                time.sleep(0.05)

    def watch(self) -> Iterator[str]:
        """Start the servers anew when the code on disk has changed, and yield a line that says so.

        Meant to be called every second or so.
        """
        now = time.monotonic()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        if self._sources.has_changed():
            self._has_changed = True
        elif self._has_changed:
            self._has_changed = False
            for name in self._locations:
                self._supervisor.restart(_service_name(name))
            yield "the code has changed; it is loaded anew"

    def _service(self, name: str) -> Service:
        command = [sys.executable, "-m", "dagster", "api", "grpc", "--socket", str(self._sockets[name])]
        command += ["--module-name", f"{name}.definitions", "--location-name", name]
        command += ["--lazy-load-user-code", "--use-python-environment-entry-point", "--log-format", "json"]
        return Service(_service_name(name), command, self._environs.get(name, {}))


def _service_name(location: str) -> str:
    return f"code-{location}"


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
