"""The models that can be chosen, with context size and dated prices; read from ``catalogue.toml`` beside this file and ``omc.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from omc_agents.models.protocol import Usage
from omc_infra.errors import ConfigurationError

PER_TOKENS = 1_000_000
Provider = Literal["openai", "anthropic", "google"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(_Data):
    """US dollars for a million tokens."""

    input_usd: Decimal = Field(ge=0)
    output_usd: Decimal = Field(ge=0)
    cached_read_usd: Decimal | None = Field(None, ge=0, description="Unset: same as input.")
    cached_write_usd: Decimal | None = Field(None, ge=0, description="Unset: same as input.")
    above_input_tokens: int = Field(0, ge=0, description="Price of the whole call if its input is longer than this.")
    valid_from: date | None = None

    @property
    def highest_input_usd(self) -> Decimal:
        """Most that a token of the input can cost."""
        return max(self.input_usd, self.cached_read_usd or self.input_usd, self.cached_write_usd or self.input_usd)


class ListedModel(_Data):
    """One model, its size and prices."""

    provider: Provider
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
    context_tokens: int = Field(gt=0)
    prices: tuple[Price, ...] = Field(min_length=1)

    @property
    def full_name(self) -> str:
        """Provider and model."""
        return f"{self.provider}/{self.name}"

    def price(self, day: date, input_tokens: int) -> Price:
        """Return the price of a call on a day with an input of some length."""
        valid = [price for price in self.prices if price.valid_from is None or price.valid_from <= day]
        if not valid:
            raise ConfigurationError(f"{self.full_name}: no price is known for {day}")
        newest = max(price.valid_from or date.min for price in valid)
        tiers = [price for price in valid if (price.valid_from or date.min) == newest and price.above_input_tokens <= input_tokens]
        if not tiers:
            raise ConfigurationError(f"{self.full_name}: no price is known for an input of {input_tokens} tokens")
        return max(tiers, key=lambda price: price.above_input_tokens)

    def cost_usd(self, usage: Usage, day: date) -> Decimal:
        """Return what a call cost; tokens that the provider counts beyond its parts cost the highest price there is."""
        read = usage.input + usage.cached_read + usage.cached_write
        price = self.price(day, read)
        spent = (
            usage.input * price.input_usd
            + usage.cached_read * _or(price.cached_read_usd, price.input_usd)
            + usage.cached_write * _or(price.cached_write_usd, price.input_usd)
            + (usage.output + usage.reasoning) * price.output_usd
            + max(0, usage.unattributed) * max(price.highest_input_usd, price.output_usd)
        )
        return spent / PER_TOKENS

    def worst_cost_usd(self, most_input_tokens: int, most_output_tokens: int, day: date) -> Decimal:
        """Return the most that a call can cost, whichever price its length leads to."""
        prices = [self.price(day, tokens) for tokens in {0, most_input_tokens, *self._steps(most_input_tokens)}]
        return max(most_input_tokens * price.highest_input_usd + most_output_tokens * price.output_usd for price in prices) / PER_TOKENS

    def _steps(self, most: int) -> set[int]:
        return {price.above_input_tokens for price in self.prices if price.above_input_tokens <= most}


class ProviderData(_Data):
    """Where a provider is asked, and where a person gets a key and reads its prices."""

    base_url: str
    keys_at: str
    prices_at: str


class Catalogue(_Data):
    """The list, the day it was made and what it was made from."""

    as_of: date
    source: str
    providers: Mapping[Provider, ProviderData]
    models: tuple[ListedModel, ...]

    def with_models(self, own: Sequence[ListedModel]) -> Catalogue:
        """Return the list with a user's own models; one of the same name replaces the listed one."""
        named = {model.full_name: model for model in (*self.models, *own)}
        return self.model_copy(update={"models": tuple(named.values())})

    def model(self, full_name: str) -> ListedModel:
        """Return a model by provider and name.

        Raises:
            ConfigurationError: It is not in the list, so that nobody knows what it costs.
        """
        found = next((model for model in self.models if model.full_name == full_name), None)
        if found is None:
            raise ConfigurationError(
                f"model {full_name!r} is not in the list; `omc models list` shows them, and `own_models` in [agents] of omc.toml adds one"
            )
        return found


@cache
def listed() -> Catalogue:
    """Return the list as it came with this release."""
    return Catalogue.model_validate(tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text("utf-8")))


def _or(price: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if price is None else price
