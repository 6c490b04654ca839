"""``api.nansen.ai``: smart-money netflow by pages, with marked symbols, and what each answer cost in its headers."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.market import DAY_S, HOUR_S
from omc_pipeline.sandbox.noise import wave
from omc_pipeline.sandbox.world import World, present

_KEY = "sandbox-nansen"
_SPANS = {"1h": HOUR_S, "24h": DAY_S, "7d": 7 * DAY_S, "30d": 30 * DAY_S}
_COST, _PLAN = 5, 100_000
_TOKENS = (
    ("ethereum", "0x514910771AF9Ca656af840dff83E8264EcF986CA", "LINK", 4e6),
    ("ethereum", "0x7Fc66500c84A76Ad7e9c93437bFc5Ac33E2DDaE9", "AAVE", 2e6),
    ("ethereum", "0x5A98FcBEA516Cf06857215779Fd812CA3beF1B32", "LDO", 9e5),
    ("solana", "jtojtomepa8beP8AuQc6eXt5FriJwfFMwQx2v2f9mCL", "JTO", 1.2e6),
    ("solana", "SandboxAccMint1111111111111111111111111111", "\U0001f331 E/ACC", 3e5),
    ("solana", "SandboxWarnMint111111111111111111111111111", "\u26a0\ufe0f STONK", 2e5),
    ("base", "0x940181a94A35A4569E4529A3CDfB74e38FD98631", "AERO", 7e5),
)


def routes(world: World) -> list[Route]:
    """Return the routes below ``/nansen``."""

    async def netflow(request: Request) -> Response:
        if request.headers.get("apikey") != _KEY:
            return JSONResponse({"error": "Unauthorized", "message": "Invalid API key"}, 401)
        try:
            asked = json.loads(await request.body())
            chains, page, size = asked["chains"], int(asked["pagination"]["page"]), int(asked["pagination"]["per_page"])
        except (ValueError, KeyError, TypeError):
            details = {"error": "Unprocessable Entity", "code": "invalid_request", "param": "chains"}
            return JSONResponse(details, 422, headers=_credits(request))
        rows = [_row(world.seed, *token, present(request).timestamp()) for token in _TOKENS if token[0] in chains]
        rows.sort(key=lambda row: -row["net_flow_24h_usd"])
        shown, is_last = rows[(page - 1) * size : page * size], page * size >= len(rows)
        pagination = {"page": page, "per_page": size, "is_last_page": is_last}
        return JSONResponse({"data": shown, "pagination": pagination}, headers=_credits(request))

    return [Route("/smart-money/netflow", netflow, methods=["POST"])]


def _credits(request: Request) -> dict[str, str]:
    """Return what the answer cost, and an account that fills up again each day."""
    used = int(present(request).timestamp() % DAY_S // 900) * _COST
    details = {"cost": _COST, "used": used, "remaining": _PLAN - used}
    return {f"x-nansen-credits-{name}": str(value) for name, value in details.items()}


def _row(seed: int, chain: str, address: str, symbol: str, level_usd: float, now_s: float) -> dict[str, Any]:
    flow = {name: level_usd * wave(seed, f"{address}/{name}", now_s, period_s) for name, period_s in _SPANS.items()}
    return {
        "chain": chain,
        "token_address": address,
        "token_symbol": symbol,
        "token_sectors": [],
        **{f"net_flow_{name}_usd": round(value, 2) for name, value in flow.items()},
        "trader_count": 3 + int(abs(flow["24h"]) // 5e4),
        "token_age_days": 400,
        "market_cap_usd": round(level_usd * 1500, 2),
    }
