"""What the sensor and the job are handed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from omc_agents.models.protocol import Model
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings


@dataclass(frozen=True)
class Newsroom:
    """Settings, a way to the database, and a model; nothing is opened before it is used.

    Attributes:
        read_settings: Reads them as they are now; a run must not see those of the process it was forked from.
    """

    read_settings: Callable[[], Settings]
    open_database: Callable[[Settings], AbstractContextManager[Database]]
    make_model: Callable[[], Model]

    @property
    def settings(self) -> Settings:
        """The settings, read afresh."""
        return self.read_settings()

    def database(self) -> AbstractContextManager[Database]:
        """Open the database of the settings."""
        return self.open_database(self.settings)
