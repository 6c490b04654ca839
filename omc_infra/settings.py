"""The one reader of the environment: variables in, a frozen ``Settings`` out.

Everything else receives the settings, or the part it needs, as a value. The table of variables in
``docs/reference/settings.md`` is checked against this file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from omc_infra.errors import ConfigurationError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
_PREFIX = "OMC_"
_KEY_PREFIX = "OMC_KEY_"
_SANDBOX_URL = re.compile(r"^https?://[\w.\[\]:-]*[\w\]]/?$", re.ASCII)
_DATABASE_URL = re.compile(r"^postgres(ql)?://[^/?#]+/[A-Za-z_][A-Za-z0-9_$-]*(\?.*)?$")

Profile = Literal["sandbox", "live"]


def _default_home() -> Path:
    return (PROJECT_ROOT if (PROJECT_ROOT / "workspace.yaml").is_file() else Path.cwd()) / ".omc"


class Settings(BaseModel):
    """What a person may set; every field is the variable ``OMC_<NAME>``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Profile = Field("sandbox", description="`sandbox`: stand-in upstreams, nothing leaves the machine. `live`: the real APIs.")
    home: Path = Field(default_factory=_default_home, description="Folder of everything OMC keeps on this machine.")
    database_url: SecretStr | None = Field(
        None, description="`postgresql://user:password@host/database` of a server of your own; unset: an embedded one."
    )
    sandbox_url: str | None = Field(None, description="A running sandbox; unset: one is started where needed.")
    sandbox_seed: int = Field(1, description="Seed of everything the sandbox upstreams tell.")
    contact: str = Field(
        "set OMC_CONTACT to your address", description="Who upstreams may write to; sent in the User-Agent, which SEC EDGAR demands."
    )
    alert_threshold: float = Field(0.7, ge=0, le=1, description="A ledger or dimension scoring below this raises an alert.")
    fresh_event_hours: float = Field(
        24.0, gt=0, description="A catalyst event published within this many hours before we learned of it gets a brief."
    )
    user: str = Field("demo", pattern=r"^[a-z0-9_-]{1,64}$", description="Owner of the exchange account that is collected.")
    user_buckets: int = Field(
        1, ge=1, le=1024, description="Parts that the users are divided into; what is computed by user may run as a task for each part."
    )
    keep_runs_days: int = Field(
        14,
        ge=0,
        description="Days for which finished Dagster runs and events are kept, and ticks that `dagster.yaml` leaves; 0: for ever.",
    )
    keep_payloads_days: int = Field(90, ge=0, description="Days for which bodies of upstream answers can be replayed; 0: for ever.")
    keep_check_results_days: int = Field(
        30, ge=0, le=36_500, description="Days for which outcomes of single quality checks are kept; scores and alerts stay; 0: for ever."
    )
    keep_sessions_days: int = Field(
        90, ge=0, description="Days for which checkpoints and model-call texts of finished agent sessions are kept; 0: for ever."
    )
    growth_warning_gb: float = Field(20.0, gt=0, description="Growth of the database in 30 days, in GB, beyond which a check warns.")
    log_format: Literal["auto", "console", "json"] = Field("auto", description="`auto`: coloured lines on a terminal, JSON elsewhere.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line that is written.")
    keys: Mapping[str, SecretStr] = Field(default_factory=dict, description="Keys of upstreams, one variable `OMC_KEY_<NAME>` each.")

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _well_formed(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _DATABASE_URL.match(url.get_secret_value()):
            raise ValueError("must be a PostgreSQL URL with user, host and database; see docs/reference/settings.md")
        if url is not None and not _has_port(url.get_secret_value()):
            raise ValueError("its port must be a number up to 65535")
        return url

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

    def key(self, name: str) -> str | None:
        """Answer an upstream's key in clear, or None where it is not set."""
        value = self.keys.get(name.lower())
        return value.get_secret_value() if value else None

    def environ(self) -> dict[str, str]:
        """Answer the variables from which a child process reads these same settings."""
        plain = {f"{_KEY_PREFIX}{name.upper()}": value.get_secret_value() for name, value in self.keys.items()}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name == "keys" or value is None:
                continue
            plain[f"{_PREFIX}{name.upper()}"] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        return plain


def _has_port(url: str) -> bool:
    """Say whether a URL names a port that can be, or none; a list of hosts is left to the driver."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        return "," in url
    return True


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Args:
        environ: Variables to read instead of the process's own. An empty value counts as unset.

    Raises:
        ConfigurationError: A variable is unknown or malformed; the message names each, never its value.
    """
    source = os.environ if environ is None else environ
    keys = {name[len(_KEY_PREFIX) :].lower(): value for name, value in source.items() if name.startswith(_KEY_PREFIX) and value}
    fields: dict[str, object] = {
        name[len(_PREFIX) :].lower(): value
        for name, value in source.items()
        if name.startswith(_PREFIX) and not name.startswith(_KEY_PREFIX) and value
    }
    try:
        return Settings.model_validate({**fields, "keys": keys})
    except ValidationError as error:
        raise ConfigurationError("; ".join(_complaint(str(e["loc"][0]), e["type"], e["msg"]) for e in error.errors())) from None


def _complaint(field: str, kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return f"{_PREFIX}{field.upper()}: no such setting; see docs/reference/settings.md"
    return f"{_PREFIX}{field.upper()}: {message.removeprefix('Value error, ')}"
