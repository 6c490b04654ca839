"""Host and port or socket of one service, and the fields for its command line."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from omc_infra.settings import Settings

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ServicePlace:
    """Where one service runs.

    Attributes:
        settings: Of the platform.
        host: Address it listens on.
        port: Port it listens on, or None.
        socket: Unix socket it listens on instead of a port, or None.
        workspace: File that names the code locations to Dagster.
    """

    settings: Settings
    host: str = LOOPBACK
    port: int | None = None
    socket: Path | None = None
    workspace: Path | None = None

    @property
    def fields(self) -> dict[str, object]:
        """What a template may name: ``{python}``, ``{bin}``, ``{host}``, ``{port}``, ``{socket}``, ``{workspace}``, ``{settings.<name>}``.

        Secret settings are written as asterisks, so no command line can hold one.
        """
        return {
            "python": sys.executable,
            "bin": Path(sys.executable).parent,
            "host": self.host,
            "port": self.port,
            "socket": self.socket,
            "workspace": self.workspace,
            "settings": self.settings,
        }

    def filled(self, words: Iterable[str]) -> list[str]:
        """Return the words of a template with the values of this place."""
        return [word.format(**self.fields) for word in words]

    @property
    def url(self) -> str:
        """The base URL of the port; for a service that has one."""
        return f"http://{self.host if self.host != '0.0.0.0' else LOOPBACK}:{self.port}"  # noqa: S104 compared, not bound
