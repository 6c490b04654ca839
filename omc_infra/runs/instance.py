"""The Dagster instance in ``$OMC_HOME/dagster/<profile>``: configured by the project's ``dagster.yaml``, stored in PostgreSQL.

Dagster's tables live in the schema ``dagster`` of the profile's database. Its URL must name psycopg2: dagster-postgres binds
the parameters of NOTIFY on the client, which psycopg 3 refuses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.database import Database
from omc_infra.private import private_folder
from omc_infra.runs.lean_instance import make_sparing
from omc_infra.settings import PROJECT_ROOT, Settings
from omc_infra.terminal import one_line

if TYPE_CHECKING:
    from dagster import DagsterInstance

LauncherFields = Mapping[str, object]
AS_CONFIGURED: LauncherFields = MappingProxyType({})
_LONGEST_REASON = 500
_DAGSTER_YAML = PROJECT_ROOT / "dagster.yaml"


def dagster_home(settings: Settings) -> Path:
    """Return the folder of this profile's Dagster instance."""
    return settings.home / "dagster" / settings.profile


def instance_environ(settings: Settings, database: Database, launcher: LauncherFields | None = AS_CONFIGURED) -> dict[str, str]:
    """Prepare the instance's folder and answer the variables under which Dagster's processes find it.

    Args:
        settings: Whose instance.
        database: Where it stores.
        launcher: Fields that win over the ``run_launcher`` of ``dagster.yaml``; None: Dagster's default launcher instead of it.
    """
    home = dagster_home(settings)
    private_folder(home)
    (home / "dagster.yaml").write_text(_configured(launcher))
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_PG_URL": database.url("dagster", driver="psycopg2", search_path="dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }


@contextmanager
def open_instance(settings: Settings, database: Database, launcher: LauncherFields | None = AS_CONFIGURED) -> Iterator[DagsterInstance]:
    """Open the instance in this process, making its tables where they are missing.

    Dagster reads its configuration's variables from the process's environment, so they are set here; nothing else does.

    Raises:
        ConfigurationError: Dagster refuses the project's ``dagster.yaml``.
    """
    environ = instance_environ(settings, database, launcher)
    os.environ.update(environ)
    with _opened(Path(environ["DAGSTER_HOME"])) as instance:
        make_sparing(instance)
        yield instance


@contextmanager
def open_catalog(database: Database) -> Iterator[DagsterInstance | None]:
    """Lend the storage of the profile's instance to a process that only reports to it; the instance's folder is left as it is.

    None where there is nothing to report to: Dagster never made its tables here, or this process has no login of its role.
    """
    if "dagster" not in database.logins or not _has_tables(database):
        yield None
        return
    from dagster import DagsterInstance
    from dagster._core.instance.ref import InstanceRef

    url = database.url("dagster", driver="psycopg2", search_path="dagster")
    storage = {"postgres": {"postgres_url": url, "should_autocreate_tables": False}}
    with TemporaryDirectory() as folder:
        ref = InstanceRef.from_dir(folder, overrides={"storage": storage, "telemetry": {"enabled": False}})
        with DagsterInstance.from_ref(ref) as instance:
            yield instance


def _has_tables(database: Database) -> bool:
    with database.connect("dagster") as connection:
        row = connection.execute("SELECT to_regclass('dagster.event_logs') IS NOT NULL").fetchone()
    return bool(row and row[0])


def cancel_unfinished_runs(instance: DagsterInstance) -> int:
    """Report every unfinished run as canceled; the caller knows that no process of the platform lives.

    Returns:
        How many there were. Runs still queued are left: the next daemon starts them.
    """
    from dagster import DagsterRunStatus, RunsFilter

    dead = [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    runs = instance.get_runs(RunsFilter(statuses=dead))
    for run in runs:
        instance.report_run_canceled(run, "The platform that ran it ended.")
    return len(runs)


def _configured(launcher: LauncherFields | None) -> str:
    import yaml

    try:
        text = _DAGSTER_YAML.read_text(encoding="utf-8")
        configured = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{_DAGSTER_YAML} can't be read: {one_line(error)}") from error
    if not isinstance(configured, dict):
        raise ConfigurationError(f"{_DAGSTER_YAML}: must be a table of Dagster's settings")
    if launcher is not None and not launcher:
        return text
    if launcher is None:
        configured.pop("run_launcher", None)
    else:
        _merge(configured, launcher)
    return str(yaml.safe_dump(configured))


def _merge(configured: dict[str, Any], launcher: LauncherFields) -> None:
    own = configured.get("run_launcher")
    if not isinstance(own, dict) or not isinstance(own.setdefault("config", {}), dict):
        raise ConfigurationError(f"{_DAGSTER_YAML}: run_launcher must have module, class and config")
    own["config"].update(launcher)


def _opened(home: Path) -> DagsterInstance:
    """Open the instance of a folder with all its parts, which Dagster would otherwise make at their first use.

    What Dagster says of its configuration, over many lines, becomes one line of ours.
    """
    from dagster import DagsterError, DagsterInstance
    from dagster._check import CheckError

    try:
        instance = DagsterInstance.from_config(str(home))
        _ = instance.run_launcher, instance.run_coordinator, instance.compute_log_manager, instance.scheduler
    except (DagsterError, CheckError, ImportError, AttributeError, ConfigurationError) as error:
        raise ConfigurationError(f"{_DAGSTER_YAML}: Dagster refuses it: {one_line(error)[:_LONGEST_REASON]}") from error
    return instance
