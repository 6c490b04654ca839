"""What a person may choose about a source: a typed model with defaults, the section ``sources.<name>`` of the configuration.

A source subclasses ``SourceConfig`` with its watch list and options. The digest of the options in force is kept with each fetch,
and the options themselves under that digest, so that a replay parses with what was in force when the body came.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, create_model
from pydantic_core import ErrorDetails

from omc_infra.configuration import LIVE_ONLY, Section
from omc_infra.errors import BadInputError, ConfigurationError
from omc_infra.mistakes import readable_message
from omc_pipeline.assets.reading import shipped
from omc_pipeline.assets.registry import Registry

_HTTPS = re.compile(r"https://[\w.-]+(:\d{1,5})?(/[\w./~-]*)?", re.ASCII)
_SYMBOL = re.compile(r"([A-Z0-9_]{1,30}:)?[A-Z0-9.$@_*+/-]{1,40}", re.ASCII)

MAIN_HOST = "main"
"""Name under which the hosts of a source's own policy stand beside those of its ``others``."""


def _base_url(text: str) -> str:
    if not _HTTPS.fullmatch(text):
        raise ValueError("must be like https://api.example.com, without a query")
    return text.rstrip("/")


def _symbol_or_nothing(text: str) -> str:
    if text and not _SYMBOL.fullmatch(text):
        raise ValueError('must be a symbol like "BTC" or "COINSPOT:AUS", or "" for no coin')
    return text


BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""Base URL of a live host, without a slash at its end."""
Symbol = Annotated[str, AfterValidator(_symbol_or_nothing)]
"""A coin's symbol, or ``""`` for no coin."""
Hosts = dict[str, tuple[BaseUrl, ...]]
_FUTURE = (
    "Minutes by which the time of a row may be later than its fetch, to allow for wrong clocks. Rows with a later time go to quarantine."
)
_QUARANTINE = "Number of refused rows of one answer that are kept in quarantine as single rows. The rest are only counted."
_HOSTS = "Base URLs for the live profile, in order. If one is down, the next one is used."


class SourceConfig(Section):
    """Options that every source has; a source with more subclasses it, each field with a default and a description."""

    hosts: Hosts = Field(default_factory=dict, description=_HOSTS, json_schema_extra=LIVE_ONLY)
    future_min: int = Field(10, ge=0, le=1_440, description=_FUTURE)
    quarantine_rows: int = Field(1_000, ge=1, le=10_000, description=_QUARANTINE)
    _assets: Registry | None = PrivateAttr(None)

    @property
    def assets(self) -> Registry:
        """The registry in which the source looks up names: always today's, so that a replay writes the names that the ledgers have."""
        return self._assets or shipped()

    def with_assets(self, registry: Registry) -> Self:
        """Return the same options with another registry; it is no option, and no part of their digest."""
        options = self.model_copy()
        options._assets = registry
        return options


Config = TypeVar("Config", bound=SourceConfig)


def read_options(model: type[Config], overrides: Mapping[str, Any], whose: str) -> Config:
    """Validate options over a model's defaults.

    Raises:
        BadInputError: An option is unknown or malformed; one line that names each.
    """
    try:
        return model.model_validate(dict(overrides))
    except ValidationError as error:
        raise BadInputError("; ".join(_complaint(whose, each) for each in error.errors(include_url=False))) from None


def options_document(config: SourceConfig) -> str:
    """Write options as JSON, the same for equal options; which host answered decides no row, so hosts are left out."""
    return json.dumps(config.model_dump(mode="json", exclude={"hosts"}), sort_keys=True, separators=(",", ":"))


def options_digest(config: SourceConfig) -> str:
    """Return a sha256 over the options."""
    return hashlib.sha256(options_document(config).encode()).hexdigest()


def stored_options(model: type[Config], document: Mapping[str, Any], whose: str) -> Config:
    """Read options that were in force once; those that no longer exist are passed over, new ones have their defaults.

    Raises:
        ConfigurationError: A value no longer fits its option.
    """
    try:
        return model.model_validate(dict(document), extra="ignore")
    except ValidationError as error:
        details = "; ".join(_complaint(whose, each) for each in error.errors(include_url=False))
        raise ConfigurationError(f"options of an earlier fetch are no longer valid: {details}; replay with --current-options") from None


def with_default_hosts(model: type[Config], hosts: Mapping[str, tuple[str, ...]]) -> type[Config]:
    """Return the model with the given hosts as defaults, for whoever shows or writes a configuration."""
    field: Any = (Hosts, Field(default_factory=lambda: dict(hosts), description=_HOSTS, json_schema_extra=LIVE_ONLY))
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, hosts=field)


def _complaint(whose: str, error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{whose}.{where}: no such option"
    return f"{whose}.{where}: {readable_message(error)}"
