"""The one reader of the environment: variables and the ``[settings]`` of ``omc.toml`` in, a frozen ``Settings`` out.

Everything else receives the settings, or the part it needs, as a value. A variable wins over the file. The table of variables in
``docs/reference/settings.md`` is checked against this file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails

from omc_infra.errors import ConfigurationError
from omc_infra.mistakes import complaints, readable_message
from omc_infra.toml_file import TomlFile, read_toml

PROJECT_ROOT = Path(__file__).resolve().parent.parent
_PREFIX = "OMC_"
_KEY_PREFIX = "OMC_KEY_"
FILE_NAME = "omc.toml"
SETTINGS_TABLE = "settings"
AT_START: dict[str, Any] = {"at_start": True}
"""Marks a setting that a platform takes at its start and hands to all its processes; a change waits for the next start."""
IN_ENVIRONMENT_ONLY = {
    "home": "the file is found by it; set OMC_HOME",
    "config": "the file is found by it; set OMC_CONFIG",
    "database_url": "it holds a password; set OMC_DATABASE_URL in the environment",
    "database_access": "it belongs to one process; set OMC_DATABASE_ACCESS in the environment",
    **{
        f"database_{role}_{kind}": f"it holds a password; set OMC_DATABASE_{role.upper()}_{kind.upper()} in the environment"
        for role in ("owner", "writer", "reader", "agent", "dagster")
        for kind in ("url", "password")
    },
    "backup_key": "it is a secret; set OMC_BACKUP_KEY in the environment",
    "keys": "keys are secrets; set OMC_KEY_<NAME> in the environment",
}
_SANDBOX_URL = re.compile(r"^https?://[\w.\[\]:-]*[\w\]]/?$", re.ASCII)
_DATABASE_URL = re.compile(r"^postgres(ql)?://[^/?#]+/[A-Za-z_][A-Za-z0-9_$-]*(\?.*)?$")

Profile = Literal["sandbox", "live"]
LONGEST_DAYS = 36_500
_YEAR_HOURS = 8_784


def _default_home() -> Path:
    return (PROJECT_ROOT if (PROJECT_ROOT / "workspace.yaml").is_file() else Path.cwd()) / ".omc"


class Settings(BaseModel):
    """What a person may set; every field is the variable ``OMC_<NAME>``, and a key of ``[settings]`` where it is no secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    profile: Profile = Field(
        "sandbox",
        description="`sandbox`: simulated upstreams; nothing leaves the machine but alerts to channels that you name. `live`: the real"
        " APIs.",
        json_schema_extra=AT_START,
    )
    home: Path = Field(
        default_factory=_default_home, description="Folder in which OMC stores everything on this machine.", json_schema_extra=AT_START
    )
    config: Path | None = Field(
        None, description="The configuration file. Unset: `omc.toml` in `OMC_HOME`, if it exists.", json_schema_extra=AT_START
    )
    database_url: SecretStr | None = Field(
        None,
        description="`postgresql://user:password@host/database` of your own server. Unset: OMC runs an embedded server.",
        json_schema_extra=AT_START,
    )
    sandbox_url: str | None = Field(None, description="URL of a running sandbox. Unset: OMC starts one.", json_schema_extra=AT_START)
    sandbox_seed: int = Field(
        1, ge=-(2**63), lt=2**63, description="Seed of all data of the simulated upstreams.", json_schema_extra=AT_START
    )
    database_access: Literal["administrator", "roles"] | None = Field(
        None,
        description="`roles`: the process uses only the database roles whose `OMC_DATABASE_<ROLE>_URL` or `_PASSWORD` is set. "
        "Unset: `roles` if one of them is set and `OMC_DATABASE_URL` is not, else `administrator`.",
        json_schema_extra=AT_START,
    )
    database_owner_url: SecretStr | None = Field(
        None, description="URL with the login of role owner on your own server.", json_schema_extra=AT_START
    )
    database_writer_url: SecretStr | None = Field(
        None, description="URL with the login of role writer on your own server.", json_schema_extra=AT_START
    )
    database_reader_url: SecretStr | None = Field(
        None, description="URL with the login of role reader on your own server.", json_schema_extra=AT_START
    )
    database_agent_url: SecretStr | None = Field(
        None, description="URL with the login of role agent on your own server.", json_schema_extra=AT_START
    )
    database_dagster_url: SecretStr | None = Field(
        None, description="URL with the login of role dagster on your own server.", json_schema_extra=AT_START
    )
    database_owner_password: SecretStr | None = Field(
        None, description="Password of role owner, instead of the recorded one.", json_schema_extra=AT_START
    )
    database_writer_password: SecretStr | None = Field(
        None, description="Password of role writer, instead of the recorded one.", json_schema_extra=AT_START
    )
    database_reader_password: SecretStr | None = Field(
        None, description="Password of role reader, instead of the recorded one.", json_schema_extra=AT_START
    )
    database_agent_password: SecretStr | None = Field(
        None, description="Password of role agent, instead of the recorded one.", json_schema_extra=AT_START
    )
    database_dagster_password: SecretStr | None = Field(
        None, description="Password of role dagster, instead of the recorded one.", json_schema_extra=AT_START
    )
    agent_statement_s: float = Field(
        5.0, gt=0, le=86_400, description="Seconds after which a statement of role agent is cancelled.", json_schema_extra=AT_START
    )
    reader_statement_s: float = Field(
        1800.0, gt=0, le=86_400, description="Seconds after which a statement of role reader is cancelled.", json_schema_extra=AT_START
    )
    agent_token_minutes: float = Field(
        60.0, gt=0, le=1440, description="Minutes for which an agent run may read and write the rows of its sessions."
    )
    contact: str = Field(
        "set OMC_CONTACT to your address", description="Contact address, sent to upstreams in the User-Agent. SEC EDGAR requires it."
    )
    alert_threshold: float = Field(0.7, ge=0, le=1, description="A score of a ledger or dimension below this opens an alert.")
    fresh_event_hours: float = Field(
        24.0, gt=0, le=_YEAR_HOURS, description="An event gets a brief if it was published at most this many hours before OMC recorded it."
    )
    ui_hosts: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.:,\[\] -]*$",
        description="Other host names of the Dagster UI besides this machine's own, separated by commas, such as `omc.example.com`.",
    )
    user: str = Field(
        "demo", pattern=r"^[a-z0-9_-]{1,64}$", description="Owner of the exchange account that OMC collects.", json_schema_extra=AT_START
    )
    user_buckets: int = Field(
        1,
        ge=1,
        le=1024,
        description="Number of groups that the users are divided into. Computations per user can run as one task per group.",
        json_schema_extra=AT_START,
    )
    keep_runs_days: int = Field(
        14,
        ge=0,
        le=LONGEST_DAYS,
        description="Days for which finished Dagster runs, their events, and ticks without a rule in `dagster.yaml` are kept. 0: forever.",
    )
    keep_payloads_days: int = Field(
        90, ge=0, le=LONGEST_DAYS, description="Days for which bodies of upstream answers are kept and can be replayed. 0: forever."
    )
    keep_check_results_days: int = Field(
        30,
        ge=0,
        le=LONGEST_DAYS,
        description="Days for which results of single quality checks are kept; 0: forever. Scores and alerts are always kept.",
    )
    keep_sessions_days: int = Field(
        90,
        ge=0,
        le=LONGEST_DAYS,
        description="Days for which checkpoints and texts of model calls of finished agent sessions are kept. 0: forever.",
    )
    growth_warning_gb: float = Field(
        20.0, gt=0, le=1_000_000, description="A check warns if the database grows by more than this in 30 days, in GB."
    )
    pause_after_failures: int = Field(
        5, ge=0, le=1000, description="Number of consecutive permanent failures after which a source is paused. 0: never."
    )
    log_format: Literal["auto", "console", "json"] = Field("auto", description="`auto`: coloured lines on a terminal, JSON elsewhere.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level of the log lines that are written.")
    backup_key: SecretStr | None = Field(
        None,
        description="Key of `omc backup`: `age1...` to back up, `AGE-SECRET-KEY-1...` to restore, too; `--new-key` makes one.",
    )
    keys: Mapping[str, SecretStr] = Field(
        default_factory=dict,
        description="Keys of upstreams: one variable `OMC_KEY_<NAME>` for each, `OMC_KEY_<NAME>__<ACCOUNT>` for one account. Addresses of"
        " channels for alerts are `OMC_KEY_ALERT_<NAME>`.",
    )

    _of_file: dict[str, object] = PrivateAttr(default_factory=dict)
    """The values that came from the file, by field."""

    @field_validator("home", "config")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path else None

    @field_validator(
        "database_url", "database_owner_url", "database_writer_url", "database_reader_url", "database_agent_url", "database_dagster_url"
    )
    @classmethod
    def _well_formed(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _DATABASE_URL.match(url.get_secret_value()):
            raise ValueError("must be a PostgreSQL URL with user, host and database; see docs/reference/settings.md")
        if url is not None and not _has_port(url.get_secret_value()):
            raise ValueError("its port must be a number of at most 65535")
        return url

    @field_validator("contact")
    @classmethod
    def _in_a_header(cls, contact: str) -> str:
        if not (contact.isascii() and contact.isprintable()):
            raise ValueError("must have ASCII characters only, because it is sent in an HTTP header")
        return contact

    @field_validator("sandbox_url")
    @classmethod
    def _base(cls, url: str | None) -> str | None:
        if url is not None and not (_SANDBOX_URL.match(url) and _has_port(url)):
            raise ValueError("must be http://host:port, as `omc sandbox serve` prints it")
        return url

    @property
    def database_name(self) -> str:
        """Name of this profile's database on the embedded server."""
        return "omc" if self.profile == "live" else "omc_sandbox"

    @property
    def has_roles_only(self) -> bool:
        """Whether the process has no administrator's access to the database, only the roles it was given."""
        if self.database_access is not None:
            return self.database_access == "roles"
        return self.database_url is None and any(getattr(self, name) is not None for name in _LOGINS)

    def without_logins(self) -> Settings:
        """Return the same settings without any login of the database; ``Database.environ`` gives a process its own."""
        return self.model_copy(update={"database_url": None, "database_access": "roles", **dict.fromkeys(_LOGINS)})

    def key(self, name: str) -> str | None:
        """Return an upstream's key in clear, or None where it is not set."""
        value = self.keys.get(name.lower())
        return value.get_secret_value() if value else None

    def environ(self, keys: Collection[str] | None = None) -> dict[str, str]:
        """Return the variables from which a child process reads these same settings.

        What stands in the file is left to the file, so that a running process takes a change of it; but for the settings that a
        platform takes at its start.

        Args:
            keys: Names of the upstream keys that it needs, each with those of every account; None: all.
        """
        wanted = {name: value for name, value in self.keys.items() if keys is None or name.partition("__")[0] in keys}
        values = {f"{_KEY_PREFIX}{name.upper()}": value.get_secret_value() for name, value in wanted.items()}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if (
                name not in {"keys", "backup_key"}
                and value is not None
                and (field.json_schema_extra == AT_START or self._is_of_environment(name))
            ):
                values[f"{_PREFIX}{name.upper()}"] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        return values

    def origin(self, name: str) -> Literal["default", "file", "environment"]:
        """Say where the value of a field comes from."""
        if self._is_of_environment(name):
            return "environment"
        return "file" if name in self._of_file else "default"

    def _is_of_environment(self, name: str) -> bool:
        if name not in self.model_fields_set or (name == "keys" and not self.keys):
            return False
        return name not in self._of_file or self._of_file[name] != getattr(self, name)


_LOGINS = tuple(name for name in Settings.model_fields if re.fullmatch(r"database_[a-z]+_(url|password)", name))
LOGIN_VARIABLES = frozenset(f"{_PREFIX}{name.upper()}" for name in ("database_url", "database_access", *_LOGINS))
"""Variables by which a process is given access to the database."""


def _has_port(url: str) -> bool:
    """Say whether a URL names a port that can be, or none; a list of hosts is left to the driver."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        return "," in url
    return True


def load_settings(environ: Mapping[str, str] | None = None, *, with_file: bool = True) -> Settings:
    """Read the settings from the environment and from the ``[settings]`` of ``omc.toml``; nothing is kept between two calls.

    Args:
        environ: Variables to read instead of the process's own. An empty value counts as unset.
        with_file: Whether to read the file; without it, what it says does not count.

    Raises:
        ConfigurationError: A variable or a key is unknown or malformed; the message names each, never its value.
    """
    source = os.environ if environ is None else environ
    file = find_file(source) if with_file else None
    return read_settings(source, file)


def read_settings(environ: Mapping[str, str], file: TomlFile | None) -> Settings:
    """Read the settings from variables and a file that is read already; else as ``load_settings``."""
    keys = {name[len(_KEY_PREFIX) :].lower(): value for name, value in environ.items() if name.startswith(_KEY_PREFIX) and value}
    fields: dict[str, object] = {
        name[len(_PREFIX) :].lower(): value
        for name, value in environ.items()
        if name.startswith(_PREFIX) and not name.startswith(_KEY_PREFIX) and value
    }
    table = _settings_of(file) if file else {}
    try:
        settings = Settings.model_validate({**table, **fields, "keys": keys})
    except ValidationError as error:
        raise ConfigurationError("; ".join(map(_complaint, error.errors()))) from None
    settings._of_file = {name: getattr(settings, name) for name in table if name not in fields}
    return settings


def find_file(environ: Mapping[str, str] | None = None, *, must_exist: bool = True) -> TomlFile:
    """Read ``omc.toml``: the file that ``OMC_CONFIG`` names, else the one in ``OMC_HOME``, which may be absent.

    Args:
        environ: Variables to read instead of the process's own.
        must_exist: Whether a file that is named must be there.

    Raises:
        ConfigurationError: A named file is missing, or the file isn't well-formed.
    """
    source = os.environ if environ is None else environ
    named = source.get("OMC_CONFIG")
    path = Path(named) if named else Path(source.get("OMC_HOME") or _default_home()) / FILE_NAME
    file = read_toml(path.expanduser().absolute())
    if named and must_exist and not file.exists:
        raise ConfigurationError(f"OMC_CONFIG: there is no file {file.path}; `omc config init` writes one")
    return file


def _settings_of(file: TomlFile) -> Mapping[str, Any]:
    """Return the table of settings, proven to be well-formed by itself: a variable that wins must not hide a mistake."""
    table = file.document.get(SETTINGS_TABLE, {})
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{file.place([SETTINGS_TABLE])}: must be a table")
    for name in table:
        if name.lower() in IN_ENVIRONMENT_ONLY:
            raise ConfigurationError(f"{file.place([SETTINGS_TABLE, name])}: does not belong here: {IN_ENVIRONMENT_ONLY[name.lower()]}")
    found = complaints(Settings, table, file, (SETTINGS_TABLE,), hidden=IN_ENVIRONMENT_ONLY)
    if found:
        raise ConfigurationError("; ".join(found))
    return table


def _complaint(error: ErrorDetails) -> str:
    variable = f"{_PREFIX}{str(error['loc'][0]).upper()}"
    if error["type"] == "extra_forbidden":
        return f"{variable}: no such setting; see docs/reference/settings.md"
    return f"{variable}: {readable_message(error)}"
