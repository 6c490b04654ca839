"""The environment of a service's process: what it needs, and nothing else of the person's who started the platform."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Mapping

from omc_infra.delivery.channels import KEY_PREFIX
from omc_infra.postgres.credentials import ACCESS_VARIABLE
from omc_infra.postgres.database import Database
from omc_infra.postgres.roles import Role
from omc_infra.services.table import EVERYTHING, ServiceSpec, ServiceTable
from omc_infra.settings import Settings

INHERITED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "TEMP", "TMP", "VIRTUAL_ENV", "PYTHON*",
    "LD_LIBRARY_PATH", "DYLD_*", "MALLOC_*", "SSL_CERT_*",
)  # fmt: skip
"""Patterns of the variables that every process gets where they are set."""
_NEVER = ("OMC_*", "PYTHONDONTWRITEBYTECODE", "PGPASSWORD", "PGPASSFILE", "PGUSER", "PGSERVICE*")
_OF_DAGSTER, _OF_DATABASE = ("DAGSTER_*",), ("PG*",)
ALLOCATOR = {"MALLOC_ARENA_MAX": "2"}
"""glibc gives each thread a heap of its own, which keeps what was freed; threads that share Python's lock need no more than two."""
DAGSTER_ROLE: Role = "dagster"


def service_environ(
    spec: ServiceSpec, settings: Settings, database: Database | None, dagster: Mapping[str, str], table: ServiceTable
) -> dict[str, str]:
    """Return the whole environment of a service's process.

    Args:
        spec: The service. Without roles it gets no address of a database; with Dagster's alone, only that login and no settings.
            Its ``keys`` say which keys of upstreams it gets; the addresses of channels for alerts are the platform's alone.
        settings: Of the platform, the running sandbox included.
        database: Where its roles log in; None for a service without roles.
        dagster: Variables of the Dagster instance, for services with Dagster's role.
        table: All services; one that launches runs gets the variables of every code location.
    """
    patterns = [*INHERITED, *spec.variables]
    own: dict[str, str] = {}
    if spec.roles:
        patterns += _OF_DATABASE
    if DAGSTER_ROLE in spec.roles:
        patterns += _OF_DAGSTER
        own |= dagster
    own[ACCESS_VARIABLE] = "roles"
    if reads_settings(spec):
        own |= _settings_of(spec, settings) | database_environ(spec, database)
    if spec.launches_runs:
        own |= {name: value for other in table if other.code_location for name, value in other.environ.items()}
    return {**ALLOCATOR, **_inherited(patterns), **own, **spec.environ}


def reads_settings(spec: ServiceSpec) -> bool:
    """Say whether a service's process gets the settings: one that needs keys, or the database beyond Dagster's own tables."""
    return bool(spec.keys or set(spec.roles) - {DAGSTER_ROLE})


def database_environ(spec: ServiceSpec, database: Database | None) -> dict[str, str]:
    """Return the variables by which a process logs in as the roles of its service, and as no other."""
    return database.environ(spec.roles) if database else {}


def _settings_of(spec: ServiceSpec, settings: Settings) -> dict[str, str]:
    kept = {name: key for name, key in settings.keys.items() if _is_any(name, spec.keys) and not name.startswith(KEY_PREFIX)}
    return settings.without_logins().model_copy(update={"keys": kept}).environ()


def _inherited(patterns: Iterable[str]) -> dict[str, str]:
    wanted = tuple(patterns)
    every = EVERYTHING[0] in wanted
    return {name: value for name, value in os.environ.items() if not _is_any(name, _NEVER) and (every or _is_any(name, wanted))}


def _is_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
