"""Read DefiLlama's TVL of chains: the list of all, and the history of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator

from omc_infra.errors import PayloadChangedError
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json
from omc_pipeline.collection.source import Parsed
from omc_pipeline.collection.values import amount, instant_of_epoch, optional_text, text
from omc_pipeline.ledgers.glass import ChainTvl

CHAIN = "chain"
"""Where the context of a payload names the chain that was asked for."""

_NAME = "glass_defillama"
_WRITTEN = re.compile(r"[\w .+:-]{1,60}")
_PSEUDO = {"staking", "pool2", "borrowed", "treasury", "vesting", "offers", "doublecounted", "liquidstaking", "dcandlsoverlap", "owntokens"}


def is_pseudo(name: str) -> bool:
    """Return whether a name is not a chain, but one of DefiLlama's sums, ``staking`` or ``Ethereum-staking``."""
    return name.rpartition("-")[2].lower() in _PSEUDO


def _chain_text(written: str) -> str:
    if not _WRITTEN.fullmatch(written) or is_pseudo(written):
        raise ValueError('must be a chain as DefiLlama writes it, "Ethereum", and no sum such as "staking"')
    return written


ChainName = Annotated[str, AfterValidator(_chain_text)]


def chains_now(chains: list[Json], followed: Collection[str], hour: datetime, symbol_of: Callable[[str | None], str | None]) -> Parsed:
    """Read the followed chains of ``/v2/chains``; pseudo chains and others are ignored."""
    if not any(isinstance(chain, dict) and {"name", "tvl", "tokenSymbol"} <= chain.keys() for chain in chains):
        raise PayloadChangedError(f"{_NAME}: a list, but no item has 'name', 'tvl' and 'tokenSymbol' as those of /v2/chains do")

    def tvl(chain: Item) -> ChainTvl:
        symbol = symbol_of(optional_text(chain, "tokenSymbol", 60))
        return ChainTvl(text(chain, "name", 100), hour, symbol, amount(chain, "tvl", least=0))

    return read_items((chain for chain in chains if not _is_passed_over(chain, followed)), tvl)


def chain_history(points: list[Json], chain: str) -> Parsed:
    """Read ``/v2/historicalChainTvl/{chain}``, one point per day."""
    if not any(isinstance(point, dict) and {"date", "tvl"} <= point.keys() for point in points):
        raise PayloadChangedError(f"{_NAME}: a list, but no item has 'date' and 'tvl' as the history of a chain does")
    return read_items(points, lambda point: ChainTvl(chain, instant_of_epoch(point, "date"), None, amount(point, "tvl", least=0)))


def _is_passed_over(chain: Json, followed: Collection[str]) -> bool:
    name = chain.get("name") if isinstance(chain, dict) else None
    return isinstance(name, str) and (name not in followed or is_pseudo(name))
