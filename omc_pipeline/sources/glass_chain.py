"""Latest blocks: the newest block of EVM chains with its gas and base fee, of Bitcoin and of Solana.

Source: JSON-RPC of public nodes, one POST of ``eth_getBlockByNumber ["latest", false]`` a chain; no key, limits unpublished. The nodes of a
    chain are different providers: when one fails in whatever way, the next is asked. Bitcoin: Esplora's ``GET /blocks``, newest first, of
    which the first is read. Solana: ``getSlot`` of what is final, then ``getBlock`` of that slot without its transactions.
Shape: ``{"jsonrpc": "2.0", "id": 1, "result": {"number", "hash", "timestamp", "baseFeePerGas", "gasUsed", "gasLimit", "transactions"}}``,
    numbers as hexadecimal text. Balanced nodes answer ``result: null`` with status 200 where one lags behind another. Esplora: a list of
    ``{"id", "height", "timestamp", "tx_count"}``. Solana: ``{"blockHeight", "blockTime", "blockhash"}``, numbers as such.
Units: base fee told in wei a unit of gas, kept in gwei; ``timestamp`` seconds since 1970, by the block's producer.
Errors: ``{"error": {"code", "message"}}`` with status 200 or 500; codes -32005, -32012 and -32029 are rate limits. A node that wants
    a key answers 401 with text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from pydantic import Field

from omc_infra.errors import OmcError, PayloadChangedError, RateLimitedError, UpstreamRefusedError, UpstreamUnavailableError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Source
from omc_pipeline.collection.values import EARLIEST, LATEST, described
from omc_pipeline.ledgers.glass import CHAIN_BLOCK, ChainBlock
from omc_pipeline.sources._other_chains import ASKS, SLOT, bitcoin_head, bitcoin_rows, solana_head, solana_rows

Chain = Literal["ethereum", "arbitrum", "base", "bitcoin", "solana"]

_NAME = "glass_chain"
_CHAIN = "chain"
_HEX = re.compile(r"0x[0-9a-f]{1,30}", re.ASCII)
_HASH = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_TOO_FAST = {-32005, -32012, -32029, 429}
_OF_SERVER = range(-32099, -31999)
_GWEI = Decimal(10) ** 9
_HEAD = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}


class ChainConfig(SourceConfig):
    """Options: which chains are followed."""

    chains: tuple[Chain, ...] = Field(
        ("ethereum", "arbitrum", "base", "bitcoin", "solana"), min_length=1, description="Chains to collect the latest blocks of."
    )


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch the newest block of each chain; a chain without a working node doesn't stop the others."""
    failure: OmcError | None = None
    for chain in context.config.chains:
        try:
            payloads = list(_head(context, chain))
        except OmcError as error:
            failure = failure or error
            continue
        yield from payloads
    if failure is not None:
        raise failure


def _head(context: FetchContext, chain: str) -> Iterator[Payload]:
    if chain == "bitcoin":
        yield bitcoin_head(context.http, {_CHAIN: chain})
        return
    if chain == "solana":
        yield from solana_head(context.http, {_CHAIN: chain})
        return
    host = "" if chain == "ethereum" else chain
    yield context.http.post("", json=_HEAD, host=host, repeatable=True, deadline_s=20.0, context={_CHAIN: chain})


def error_of(_status: int, body: bytes) -> OmcError | None:
    """Return the failure that a node's answer is, whatever its status; None for a block, and for what is no JSON-RPC."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return _failure(document) if isinstance(document, dict) and "jsonrpc" in document else None


def _failure(document: Mapping[str, Any]) -> OmcError | None:
    details = document.get("error")
    if isinstance(details, dict):
        code, said = details.get("code"), f"error {one_line(str(details.get('code')), 20)}: {one_line(str(details.get('message')))}"
        if code in _TOO_FAST:
            return RateLimitedError(said)
        return UpstreamUnavailableError(said) if code in _OF_SERVER else UpstreamRefusedError(said)
    if "result" in document and document["result"] is None:
        return UpstreamUnavailableError("no block: its result is null")
    return None


def parse(payload: Payload, _config: ChainConfig) -> Parsed:
    """Read one row per block."""
    document = read_json(payload)
    if isinstance(document, list) and payload.context.get(_CHAIN, "bitcoin") == "bitcoin":
        return bitcoin_rows(document)
    if not isinstance(document, dict) or "jsonrpc" not in document:
        raise PayloadChangedError(f"{_NAME}: no 'jsonrpc': not an answer of a node")
    failure = _failure(document)
    if failure is not None:
        raise type(failure)(f"{_NAME}: the node reports {failure}")
    if payload.context.get(ASKS) == SLOT:
        return Parsed(())
    result = document.get("result")
    if not isinstance(result, dict):
        raise PayloadChangedError(f"{_NAME}: result is {described(result)}, not a block")
    if payload.context.get(_CHAIN) == "solana":
        return solana_rows(result)
    return read_items([result], partial(_block, chain=payload.context.get(_CHAIN, "ethereum")))


def _block(block: Item, chain: str) -> ChainBlock:
    number, seconds, transactions = _number(block, "number"), _number(block, "timestamp"), block.get("transactions")
    block_hash = block.get("hash")
    if not isinstance(block_hash, str) or not _HASH.fullmatch(block_hash):
        raise ValueError("hash is no hash of a block: is it pending?")
    if not EARLIEST.timestamp() <= seconds < LATEST.timestamp() or number >= 2**31:
        raise ValueError(f"number {number} or timestamp {seconds} can't be those of a block")
    count = len(transactions) if isinstance(transactions, list) else None
    if count is None:
        raise ValueError(f"transactions is {described(transactions)}, not a list")
    return ChainBlock(
        chain=chain,
        block_hash=block_hash,
        number=number,
        observed_at=datetime.fromtimestamp(seconds, UTC),
        base_fee_gwei=None if block.get("baseFeePerGas") is None else _amount(block, "baseFeePerGas") / _GWEI,
        gas_used=_amount(block, "gasUsed"),
        gas_limit=_amount(block, "gasLimit"),
        transactions=count,
    )


def _amount(block: Mapping[str, Json], name: str) -> Decimal:
    number = _number(block, name)
    if number >= 10**20:
        raise ValueError(f"{name} {number} is too large")
    return Decimal(number)


def _number(block: Mapping[str, Json], name: str) -> int:
    written = block.get(name)
    if not isinstance(written, str) or not _HEX.fullmatch(written):
        raise ValueError(f"{name} is {described(written)}, not a hexadecimal number")
    return int(written, 16)


def _nodes(sandbox_path: str, *urls: str, others: Mapping[str, HostPolicy] | None = None) -> HostPolicy:
    return HostPolicy(
        live_urls=urls,
        sandbox_path=sandbox_path,
        requests_per_s=1.0,
        burst=3,
        attempts=2,
        timeout_s=5.0,
        error_of=error_of,
        are_apart=True,
        others=others or {},
    )


SOURCE = Source(
    name=_NAME,
    title="Latest blocks",
    tables=(CHAIN_BLOCK,),
    endpoints=(Endpoint("heads", cron="* * * * *", every_s=60, fetch=fetch),),
    policy=_nodes(
        "/evm/ethereum",
        "https://ethereum-rpc.publicnode.com",
        "https://eth.merkle.io",
        "https://1rpc.io/eth",
        others={
            "arbitrum": _nodes("/evm/arbitrum", "https://arbitrum-one-rpc.publicnode.com", "https://1rpc.io/arb"),
            "base": _nodes("/evm/base", "https://base-rpc.publicnode.com", "https://1rpc.io/base"),
            "bitcoin": _nodes("/esplora", "https://mempool.space/api", "https://blockstream.info/api"),
            "solana": _nodes("/solana/rpc", "https://api.mainnet-beta.solana.com", "https://solana-rpc.publicnode.com"),
        },
    ),
    parse=parse,
    config=ChainConfig,
    homepage="https://ethereum.org/developers/docs/apis/json-rpc/",
)
