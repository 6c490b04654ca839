"""Latest blocks of chains without gas: Bitcoin from Esplora, Solana by JSON-RPC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from omc_infra.errors import PayloadChangedError
from omc_infra.http import HttpClient
from omc_infra.payload import Payload
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.collection.source import Parsed
from omc_pipeline.collection.values import described, instant_of_epoch
from omc_pipeline.ledgers.glass import ChainBlock

ASKS = "asks"
"""Where the context of a payload says that it only names the slot to ask for next."""
SLOT = "slot"

_NAME = "glass_chain"
_BITCOIN_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SOLANA_HASH = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}", re.ASCII)
_FINALIZED = {"commitment": "finalized"}
_ABOUT = {**_FINALIZED, "transactionDetails": "none", "rewards": False, "maxSupportedTransactionVersion": 0}


def bitcoin_head(http: HttpClient, context: dict[str, str]) -> Payload:
    """Ask for the newest blocks of Bitcoin."""
    return http.get("/blocks", host="bitcoin", deadline_s=20.0, context=context)


def solana_head(http: HttpClient, context: dict[str, str]) -> Iterator[Payload]:
    """Ask for the newest slot of Solana that is final, and for the block in it."""
    answer = _post(http, "getSlot", [_FINALIZED], {**context, ASKS: SLOT})
    yield answer
    slot = _result(read_json(answer))
    if isinstance(slot, bool) or not isinstance(slot, int):
        raise PayloadChangedError(f"{_NAME}: Solana's slot is {described(slot)}, not a whole number")
    yield _post(http, "getBlock", [slot, _ABOUT], context)


def bitcoin_rows(blocks: list[Json]) -> Parsed:
    """Read the newest of Bitcoin's blocks.

    Raises:
        PayloadChangedError: There is none.
    """
    known = [block for block in blocks if isinstance(block, dict) and {"id", "height", "timestamp"} <= block.keys()]
    if not known:
        raise PayloadChangedError(f"{_NAME}: a list, but no item has 'id', 'height' and 'timestamp' as blocks of Bitcoin do")
    return read_items([max(known, key=_height)], _bitcoin_block)


def solana_rows(block: Item) -> Parsed:
    """Read a block of Solana."""
    return read_items([dict(block)], _solana_block)


def _height(block: Item) -> int:
    height = block["height"]
    return height if isinstance(height, int) and not isinstance(height, bool) else -1


def _bitcoin_block(block: Item) -> ChainBlock:
    return _block("bitcoin", block, "id", _BITCOIN_HASH, "height", "timestamp", _count(block, "tx_count"))


def _solana_block(block: Item) -> ChainBlock:
    return _block("solana", block, "blockhash", _SOLANA_HASH, "blockHeight", "blockTime", None)


def _block(chain: str, block: Item, named: str, form: re.Pattern[str], number: str, clock: str, transactions: int | None) -> ChainBlock:
    block_hash = block.get(named)
    if not isinstance(block_hash, str) or not form.fullmatch(block_hash):
        raise ValueError(f"{named} is {described(block_hash)}, not the hash of a block")
    return ChainBlock(chain, block_hash, _count(block, number), instant_of_epoch(block, clock), None, None, None, transactions)


def _count(block: Item, name: str) -> int:
    value = block.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError(f"{name} is {described(value)}, not a count")
    return value


def _post(http: HttpClient, method: str, params: list[Any], context: dict[str, str]) -> Payload:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return http.post("", json=request, host="solana", repeatable=True, deadline_s=20.0, context=context)


def _result(document: Any) -> Any:
    return document.get("result") if isinstance(document, dict) else None
