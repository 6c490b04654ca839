"""Public nodes of chains of the Ethereum kind: the newest block by JSON-RPC, errors within status 200."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.market import DAY_S
from omc_pipeline.sandbox.noise import between, wave
from omc_pipeline.sandbox.world import World, present

_CHAINS = {"ethereum": (12, 36_000_000, 60_000_000), "arbitrum": (1, 30_000_000, 2**50), "base": (2, 60_000_000, 240_000_000)}
"""Seconds between blocks, gas that they use about, and the most that they take."""
_GENESIS_S = 1_600_000_000


def routes(world: World) -> list[Route]:
    """Return the routes below ``/evm``."""

    async def node(request: Request) -> Response:
        chain = request.path_params["chain"]
        try:
            asked = json.loads(await request.body())
        except ValueError:
            asked = None
        if chain not in _CHAINS or not isinstance(asked, dict):
            return JSONResponse({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "invalid request"}})
        head = {"jsonrpc": "2.0", "id": asked.get("id")}
        if asked.get("method") != "eth_getBlockByNumber":
            return JSONResponse({**head, "error": {"code": -32601, "message": f"the method {asked.get('method')} does not exist"}})
        return JSONResponse({**head, "result": _block(world.seed, chain, present(request).timestamp())})

    return [Route("/{chain}", node, methods=["POST"])]


def _block(seed: int, chain: str, now_s: float) -> dict[str, Any]:
    block_s, usual, most = _CHAINS[chain]
    number = int(now_s - _GENESIS_S) // block_s
    at_s = _GENESIS_S + number * block_s
    fee_wei = int(1e9 * (1.2 + wave(seed, f"{chain}/fee", at_s, DAY_S / 24)))
    transactions = int(between(3, 12, seed, chain, "transactions", number))
    return {
        "number": hex(number),
        "hash": _hash(seed, chain, number),
        "parentHash": _hash(seed, chain, number - 1),
        "timestamp": hex(at_s),
        "baseFeePerGas": hex(fee_wei),
        "gasUsed": hex(int(usual * between(0.4, 1.2, seed, chain, "gas", number))),
        "gasLimit": hex(most),
        "transactions": [_hash(seed, chain, number, index) for index in range(transactions)],
        "uncles": [],
    }


def _hash(seed: int, *names: object) -> str:
    return "0x" + hashlib.sha256("/".join(map(str, (seed, *names))).encode()).hexdigest()
