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
        "scripted", description="Who is asked; `scripted`: rules, no model, no key."
    )
    model: str = Field(
        "", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,79})?$", description="Which model of the provider; `omc models list` shows them."
    )
    fallback: tuple[str, ...] = Field(
        (), max_length=8, description="`provider/model`, asked in this order where the one before can't answer; `scripted` may be the last."
    )
    own_models: tuple[ListedModel, ...] = Field((), description="Models that the list doesn't have, or has with other prices.")
    proxy: str = Field(
        "", description="`http://host:port` through which providers are asked; variables such as HTTPS_PROXY count for nothing."
    )
    stand_in_url: str = Field(
        "",
        description="Where `omc models stand-in` answers on this machine; the sandbox asks it instead of a provider.",
    )
    attempts: int = Field(4, ge=1, le=10, description="Times that a model is asked before the next one of `fallback` is.")
    backoff_s: float = Field(1.0, gt=0, le=60, description="Scale of the first wait between two attempts; it doubles, with jitter.")
    deadline_s: float = Field(60.0, gt=0, le=3600, description="Seconds for one question, all attempts, waits and models together.")
    reading_characters: int = Field(60_000, ge=1_000, le=2_000_000, description="Characters of a document that a model is shown.")
    sessions_at_once: int = Field(
        4,
        ge=1,
        le=32,
        description="Sessions that ask a provider side by side; `scripted` takes one after the other.",
    )
    document_wait_s: float = Field(
        20.0, ge=0, le=3600, description="Seconds for which a brief waits for the document of a fresh filing; then it is written without."
    )
    max_call_usd: Decimal = Field(Decimal(1), ge=0, le=10_000, description="Most that one call can cost.", json_schema_extra=FILE_ONLY)
    approve_above_usd: Decimal = Field(
        Decimal(5),
        ge=0,
        le=100_000,
        description="A session that could cost more waits for `omc agent approve`.",
        json_schema_extra=FILE_ONLY,
    )
    max_session_calls: int = Field(100, ge=1, le=10_000, description="Calls of one session.", json_schema_extra=FILE_ONLY)
    max_session_usd: Decimal = Field(Decimal(10), ge=0, le=100_000, description="Spent in one session.", json_schema_extra=FILE_ONLY)
    max_user_day_usd: Decimal = Field(
        Decimal(20), ge=0, le=1_000_000, description="Spent for one user in a day of UTC.", json_schema_extra=FILE_ONLY
    )
    max_platform_day_usd: Decimal = Field(
        Decimal(50), ge=0, le=1_000_000, description="Spent for all users in a day of UTC.", json_schema_extra=FILE_ONLY
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

    @field_validator("stand_in_url")
    @classmethod
    def _is_here(cls, url: str) -> str:
        if url and not is_loopback(url):
            raise ValueError("must be http:// on this machine, as `omc models stand-in` prints it")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _is_whole(self) -> AgentsSection:
        if self.provider != SCRIPTED and not self.model:
            raise ValueError(f"model: choose a model of {self.provider}; `omc models list` shows them")
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
