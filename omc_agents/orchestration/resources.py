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
    """Settings, a way to the database, and a model; nothing is opened before it is used."""

    settings: Settings
    open_database: Callable[[Settings], AbstractContextManager[Database]]
    make_model: Callable[[], Model]

    def database(self) -> AbstractContextManager[Database]:
        """Open the database of the settings."""
        return self.open_database(self.settings)
