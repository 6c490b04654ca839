"""The section ``[agents]`` of ``omc.toml``: which model is asked, how often, and what it may cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator

from omc_agents.models.catalogue import ListedModel, listed
from omc_agents.models.exchange import is_loopback
from omc_infra.configuration import FILE_ONLY, Section
from omc_infra.settings import Settings

SECTION = "agents"
SCRIPTED = "scripted"
_FULL_NAME = r"^(scripted|(openai|anthropic|google)/[A-Za-z0-9][A-Za-z0-9._-]{0,79})$"


class AgentsSection(Section):
    """Models and money of the agents."""

    provider: Literal["scripted", "openai", "anthropic", "google"] = Field(
        "scripted", description="Provider to use. `scripted`: rules, without a model or key."
    )
    model: str = Field(
        "", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,79})?$", description="Model of the provider; `omc models list` shows them."
    )
    fallback: tuple[str, ...] = Field(
        (),
        max_length=8,
        description="Models to try in this order if the one before can't answer, each as `provider/model`. The last may be `scripted`.",
    )
    own_models: tuple[ListedModel, ...] = Field((), description="Models that the list doesn't contain, or that have other prices.")
    proxy: str = Field("", description="Proxy for calls to providers, `http://host:port`. Variables such as HTTPS_PROXY are ignored.")
    stand_in_url: str = Field(
        "",
        description="URL that `omc models stand-in` printed. The sandbox uses it instead of a provider.",
    )
    trace_endpoint: str = Field(
        "",
        description="Base URL of an OTLP/HTTP receiver, such as `http://127.0.0.1:4318`: the spans of each session are sent there, "
        "without content. Empty: none.",
    )
    attempts: int = Field(4, ge=1, le=10, description="Attempts with a model before the next one of `fallback` is tried.")
    backoff_s: float = Field(
        1.0, gt=0, le=60, description="Base of the wait between two attempts; it doubles with each attempt, with jitter."
    )
    deadline_s: float = Field(
        60.0, gt=0, le=3600, description="Time limit for one question in seconds: all attempts, waits and models together."
    )
    reading_characters: int = Field(
        60_000, ge=1_000, le=2_000_000, description="Maximum number of characters of a document that are sent to a model."
    )
    sessions_at_once: int = Field(
        4,
        ge=1,
        le=32,
        description="Sessions that may call a provider at the same time. `scripted` works on one at a time.",
    )
    document_wait_s: float = Field(
        20.0,
        ge=0,
        le=3600,
        description="Seconds for which a brief waits for the document of a new filing. After that it is written without the document.",
    )
    max_call_usd: Decimal = Field(Decimal(1), ge=0, le=10_000, description="Maximum cost of one call.", json_schema_extra=FILE_ONLY)
    approve_above_usd: Decimal = Field(
        Decimal(5),
        ge=0,
        le=100_000,
        description="Cost above which a session waits for `omc agent approve`.",
        json_schema_extra=FILE_ONLY,
    )
    max_session_calls: int = Field(100, ge=1, le=10_000, description="Maximum number of calls in one session.", json_schema_extra=FILE_ONLY)
    max_session_usd: Decimal = Field(Decimal(10), ge=0, le=100_000, description="Maximum cost of one session.", json_schema_extra=FILE_ONLY)
    max_user_day_usd: Decimal = Field(
        Decimal(20), ge=0, le=1_000_000, description="Maximum cost for one user in a UTC day.", json_schema_extra=FILE_ONLY
    )
    max_platform_day_usd: Decimal = Field(
        Decimal(50), ge=0, le=1_000_000, description="Maximum cost for all users in a UTC day.", json_schema_extra=FILE_ONLY
    )

    @field_validator("fallback")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in names if not re.fullmatch(_FULL_NAME, name)]
        if wrong:
            raise ValueError(f"must be `provider/model`, or `scripted`: {', '.join(wrong)}")
        return names

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.path not in {"", "/"}):
            raise ValueError("must be http://host:port, without user and password")
        return url

    @field_validator("trace_endpoint")
    @classmethod
    def _is_receiver(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment):
            raise ValueError("must be http://host:port or https://host, without user, password and query")
        return url.rstrip("/")

    @field_validator("stand_in_url")
    @classmethod
    def _is_here(cls, url: str) -> str:
        if url and not is_loopback(url):
            raise ValueError("must be http:// on this machine, as `omc models stand-in` prints it")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _is_whole(self) -> AgentsSection:
        if self.provider != SCRIPTED and not self.model:
            raise ValueError(f"choose a model of {self.provider}; `omc models list` shows them")
        known = {model.full_name for model in (*listed().models, *self.own_models)}
        unknown = [name for name in self.names if name != SCRIPTED and name not in known]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: not in the list of `omc models list`; `own_models` adds a model")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Full names of the models in the order in which they are asked."""
        first = SCRIPTED if self.provider == SCRIPTED else f"{self.provider}/{self.model}"
        return tuple(dict.fromkeys((first, *self.fallback)))


def config_models() -> Mapping[str, type[BaseModel]]:
    """Return the sections of this storey."""
    return {SECTION: AgentsSection}


def keys_of(settings: Settings, options: AgentsSection) -> tuple[str, ...]:
    """Return the names of the keys that the chosen models need; none in the sandbox."""
    if settings.profile == "sandbox":
        return ()
    return tuple(dict.fromkeys(name.partition("/")[0] for name in options.names if name != SCRIPTED))
