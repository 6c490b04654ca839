"""What runs are handed: the profile's database and settings, opened for the run and closed after it."""

from __future__ import annotations

import os
from contextlib import ExitStack

import dagster as dg
from pydantic import Field, PrivateAttr

from omc_infra.postgres.database import Database, open_database
from omc_infra.settings import Settings, load_settings


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The database and the settings of the process's profile."""

    variables: dict[str, str] = Field(default_factory=dict, description="Settings that win over the environment's.")

    _exits: ExitStack = PrivateAttr(default_factory=ExitStack)
    _database: Database | None = PrivateAttr(default=None)

    @property
    def settings(self) -> Settings:
        """The settings, read afresh: a run sees the environment of its own process."""
        return load_settings({**os.environ, **self.variables})

    @property
    def database(self) -> Database:
        """The open database; only within a run."""
        if self._database is None:
            raise dg.DagsterInvariantViolationError("the database is open within a run only")
        return self._database

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Open the database, starting the embedded server where it is not running."""
        self._exits = ExitStack()
        self._database = self._exits.enter_context(open_database(self.settings))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close what ``setup_for_execution`` opened."""
        self._database = None
        self._exits.close()
