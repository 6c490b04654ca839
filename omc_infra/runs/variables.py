"""What a run's own process is given when it is launched: the logins of its code location's database roles, and its secrets.

A storey names a function for its code location under the entry point group ``omc.run_variables``; the location's name is the entry's.
A location without one gets no login at all. What is given goes from the launcher to the run's process and nowhere else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import structlog

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.database import Database, open_database
from omc_infra.settings import Settings, load_settings

if TYPE_CHECKING:
    from dagster import DagsterRun

log = structlog.get_logger()
GROUP = "omc.run_variables"


@dataclass(frozen=True)
class StartingRun:
    """A run that is about to be launched."""

    run_id: str
    job: str
    config: Mapping[str, Any]


RunVariables = Callable[[StartingRun, Database, Settings], Mapping[str, str]]
"""Returns the variables of one run. The database is open with the launcher's logins."""


class Handover:
    """Makes the variables of runs; its database is opened for the first run that needs it and kept until ``close``.

    Args:
        read_settings: Read the launcher's settings; by default from its variables and the configuration file, as they are then.
    """

    def __init__(self, read_settings: Callable[[], Settings] | None = None) -> None:
        self._read_settings = read_settings or _settings_now
        self._exits = ExitStack()
        self._lock = threading.Lock()
        self._database: Database | None = None

    def variables_of(self, run: DagsterRun) -> dict[str, str]:
        """Return what a run is given; empty where nobody names its code location.

        Raises:
            ConfigurationError: The launcher itself lacks a login that the run needs.
            DatabaseUnavailableError: The server doesn't answer.
        """
        location = location_of(run)
        named = entry_points(group=GROUP, name=location) if location else ()
        for entry in named:
            make: RunVariables = entry.load()
            config = run.run_config if isinstance(run.run_config, Mapping) else {}
            return dict(make(StartingRun(run.run_id, run.job_name, config), *self._open()))
        return {}

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database = None
            self._exits.close()

    def _open(self) -> tuple[Database, Settings]:
        settings = self._read_settings()  # as they are now; the database stays what it was at the start
        with self._lock:
            if self._database is None:
                self._database = self._exits.enter_context(open_database(settings))
            return self._database, settings


def _settings_now() -> Settings:
    """Read the settings as they are; a mistake in the file must not keep a run from starting: the run itself tells it."""
    try:
        return load_settings()
    except ConfigurationError as error:
        log.warning("the configuration is wrong; runs are started without the file", reason=str(error))
        return load_settings(with_file=False)


def location_of(run: DagsterRun) -> str | None:
    """Return the name of a run's code location, or None for a run that was made within one process."""
    origin = run.remote_job_origin
    return origin.repository_origin.code_location_origin.location_name if origin else None
