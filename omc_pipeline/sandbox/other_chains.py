"""Heads of Bitcoin as Esplora servers give them, and of Solana by JSON-RPC."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.noise import between
from omc_pipeline.sandbox.world import World, present

_GENESIS_S = 1_600_000_000
_BITCOIN_S, _BLOCKS = 600, 10
_SLOTS_A_SECOND = 2.5
_SKIPPED = 0.05
_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def esplora_routes(world: World) -> list[Route]:
    """Return the routes below ``/esplora``."""

    async def blocks(request: Request) -> Response:
        tip = int(present(request).timestamp() - _GENESIS_S) // _BITCOIN_S
        return JSONResponse([_bitcoin_block(world.seed, height) for height in range(tip, tip - _BLOCKS, -1)])

    return [Route("/blocks", blocks)]


def solana_routes(world: World) -> list[Route]:
    """Return the routes below ``/solana``."""

    async def node(request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return JSONResponse({"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": None})
        head, newest = {"jsonrpc": "2.0", "id": asked.get("id")}, _slot(present(request).timestamp())
        if asked.get("method") == "getSlot":
            return JSONResponse({**head, "result": newest})
        if asked.get("method") != "getBlock":
            return JSONResponse({**head, "error": {"code": -32601, "message": "Method not found"}})
        slot = asked["params"][0]
        if not isinstance(slot, int) or slot > newest:
            return JSONResponse({**head, "error": {"code": -32004, "message": f"Block not available for slot {slot}"}})
        return JSONResponse({**head, "result": _solana_block(world.seed, slot)})

    return [Route("/rpc", node, methods=["POST"])]


def _slot(now_s: float) -> int:
    return int((now_s - _GENESIS_S) * _SLOTS_A_SECOND)


def _bitcoin_block(seed: int, height: int) -> dict[str, Any]:
    return {
        "id": _hash(seed, height),
        "height": height,
        "version": 0x20000000,
        "timestamp": _GENESIS_S + height * _BITCOIN_S,
        "tx_count": int(between(1_500, 4_500, seed, "bitcoin", height)),
        "size": 1_650_000,
        "weight": 3_992_000,
        "merkle_root": _hash(seed, height, "root"),
        "previousblockhash": _hash(seed, height - 1),
        "mediantime": _GENESIS_S + (height - 5) * _BITCOIN_S,
        "nonce": height * 7_919 % 2**32,
        "bits": 386_053_475,
        "difficulty": 1.4e14,
    }


def _solana_block(seed: int, slot: int) -> dict[str, Any]:
    return {
        "blockHeight": int(slot * (1 - _SKIPPED)),
        "blockTime": int(_GENESIS_S + slot / _SLOTS_A_SECOND),
        "blockhash": _base58(seed, slot),
        "parentSlot": slot - 1,
        "previousBlockhash": _base58(seed, slot - 1),
    }


def _hash(seed: int, *names: object) -> str:
    digest = hashlib.sha256("/".join(map(str, (seed, "bitcoin", *names))).encode()).hexdigest()
    return "0" * 19 + digest[19:]


def _base58(seed: int, slot: int) -> str:
    number = int.from_bytes(hashlib.sha256(f"{seed}/solana/{slot}".encode()).digest())
    return "".join(_DIGITS[number // 58**place % 58] for place in range(43))
