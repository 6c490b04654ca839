"""Resources of runs: the profile's database and settings, opened for the run and closed after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg
import structlog
from pydantic import Field, PrivateAttr

from omc_infra.configuration import Configuration, load_configuration
from omc_infra.errors import ConfigurationError
from omc_infra.postgres.database import Database, open_database
from omc_infra.settings import Settings, load_settings

log = structlog.get_logger()


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The database, the settings and the configuration of the process's profile.

    Within a run, each is read once, at first use. So a run uses the same configuration from start to end, and the
    next run uses the current file. Errors occur inside the step, where ``translate_failures`` handles them.
    """

    variables: dict[str, str] = Field(default_factory=dict, description="Settings that override those of the environment.")

    _exits: ExitStack | None = PrivateAttr(default=None)
    _database: Database | None = PrivateAttr(default=None)
    _settings: Settings | None = PrivateAttr(default=None)
    _configuration: Configuration | None = PrivateAttr(default=None)

    @property
    def environ(self) -> dict[str, str]:
        """The variables that settings and configuration are read from."""
        return {**os.environ, **self.variables}

    @property
    def settings(self) -> Settings:
        """The settings of the run; outside a run, the current ones."""
        if self._exits is None:
            return load_settings(self.environ)
        if self._settings is None:
            self._settings = load_settings(self.environ)
        return self._settings

    @property
    def configuration(self) -> Configuration:
        """The configuration of the run; outside a run, the current one."""
        if self._exits is None:
            return load_configuration(self.environ)
        if self._configuration is None:
            self._configuration = load_configuration(self.environ)
        return self._configuration

    @property
    def settings_at_load(self) -> Settings:
        """The settings that definitions may depend on: those that a platform reads at its start.

        They don't come from the file while a platform runs, so a mistake in the file must not take the code location away; each
        run tells it.
        """
        try:
            return load_settings(self.environ)
        except ConfigurationError as error:
            settings = load_settings(self.environ, with_file=False)
            log.warning("the configuration is wrong; runs fail until it is mended", reason=str(error))
            return settings

    @property
    def database(self) -> Database:
        """The open database; only within a run. Starts the embedded server if it is not running."""
        if self._exits is None:
            raise dg.DagsterInvariantViolationError("the database is open during a run only")
        if self._database is None:
            self._database = self._exits.enter_context(open_database(self.settings))
        return self._database

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Start a run; resources are opened at first use."""
        self._exits, self._database, self._settings, self._configuration = ExitStack(), None, None, None

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the resources of the run."""
        exits, self._exits = self._exits, None
        if exits is not None:
            exits.close()


def closed_resource(platform: Platform) -> dg.ResourceDefinition:
    """Return the platform as a resource without options.

    A launch from the UI can set the options of every resource; with options of this one it could send a run's keys and
    rows anywhere.
    """

    @dg.resource(config_schema={}, description=str(Platform.__doc__).partition("\n")[0])
    def opened(context: dg.InitResourceContext) -> Iterator[Platform]:
        one = Platform(variables=platform.variables)
        one.setup_for_execution(context)
        try:
            yield one
        finally:
            one.teardown_after_execution(context)

    return opened
