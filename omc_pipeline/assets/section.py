"""The section ``assets`` of ``omc.toml``: tickers that a user maps, and assets of the user's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from omc_infra.configuration import Section

if TYPE_CHECKING:
    from pydantic import BaseModel

SECTION = "assets"
_SYMBOL = re.compile(r"[A-Z0-9]{1,20}", re.ASCII)
_ALIAS = re.compile(r"([a-z0-9_]{1,30}|\*):[^@:\s]{1,40}(@(\d{4}-\d{2}-\d{2})?\.\.(\d{4}-\d{2}-\d{2})?)?", re.ASCII)
_CONTRACT = re.compile(r"[a-z0-9_-]{1,30}:[A-Za-z0-9]{10,100}", re.ASCII)


def _symbol_text(written: str) -> str:
    if not _SYMBOL.fullmatch(written):
        raise ValueError('must be a symbol like "BTC"')
    return written


def _alias_text(written: str) -> str:
    if not _ALIAS.fullmatch(written):
        raise ValueError('must be a venue and its ticker like "coinspot:AUS", optionally with days: "coinspot:AUS@2024-01-01.."')
    return written


def _contract_text(written: str) -> str:
    if not _CONTRACT.fullmatch(written):
        raise ValueError('must be a chain and an address like "ethereum:0x.."')
    space, _, address = written.partition(":")
    return f"{space}:{address.lower()}" if address.lower().startswith("0x") else written


OwnSymbol = Annotated[str, AfterValidator(_symbol_text)]


class OwnAsset(Section):
    """An asset that the shipped registry lacks, or that the user describes otherwise."""

    name: str = Field(min_length=1, max_length=100, description="Full name of the coin.")
    coingecko: str = Field("", max_length=100, pattern=r"^[\w.-]*$", description='Its CoinGecko id, used to get its price; "": none.')
    contracts: tuple[Annotated[str, AfterValidator(_contract_text)], ...] = Field((), description='Its contracts, each as "chain:address".')


class AssetsConfig(Section):
    """Which tickers and assets a user adds to the registry; `omc assets apply` renames what was stored under their old names."""

    aliases: dict[Annotated[str, AfterValidator(_alias_text)], OwnSymbol] = Field(
        default_factory=dict, description='Symbols by ticker, such as `"coinspot:AUS" = "AUSCASH"`. They override the built-in ones.'
    )
    own: dict[OwnSymbol, OwnAsset] = Field(
        default_factory=dict, description="Assets by symbol, each with `name`, `coingecko`, `contracts`."
    )

    @model_validator(mode="after")
    def _are_for_assets(self) -> Self:
        from omc_pipeline.assets.reading import shipped  # which reads this section

        for written, symbol in self.aliases.items():
            if symbol not in self.own and shipped().asset(symbol) is None:
                raise ValueError(f"{written} is mapped to {symbol}, but no asset has that symbol; `omc assets list` shows them")
        return self


def config_models() -> Mapping[str, type[BaseModel]]:
    """Return the section's model."""
    return {SECTION: AssetsConfig}
