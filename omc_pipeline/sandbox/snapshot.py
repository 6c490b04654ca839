"""``hub.snapshot.org``: proposals of the asked spaces, open for five days and then closed with scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.filings import SILENCE
from omc_pipeline.sandbox.noise import between, unit
from omc_pipeline.sandbox.world import HISTORY, World, day_start, present

_MOST = 1_000
_OPEN, _WAIT = timedelta(days=5), timedelta(days=2)
_CHANCE_A_DAY = 0.1
_SPACES = {
    "aavedao.eth": "AAVE", "arbitrumfoundation.eth": "ARB", "cvx.eth": "CVX", "ens.eth": "ENS", "lido-snapshot.eth": "LDO",
    "uniswapgovernance.eth": "UNI",
}  # fmt: skip
_CHOICES = ["For", "Against", "Abstain"]


def routes(world: World) -> list[Route]:
    """Return the routes below ``/snapshot``."""

    async def graphql(request: Request) -> Response:
        try:
            variables = json.loads(await request.body())["variables"]
            spaces, after, first = list(variables["spaces"]), int(variables["after"]), int(variables["first"])
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": "unauthorized", "error_description": "invalid request"}, 400)
        if first > _MOST:
            error = {"message": "The `first` argument must not be greater than 1000"}
            return JSONResponse({"errors": [error], "data": {"proposals": None}})
        known = sorted(_proposals(world.seed, present(request)), key=lambda each: (each["created"], each["id"]))
        asked = [each for each in known if each["space"]["id"] in spaces and each["created"] > after]
        return JSONResponse({"data": {"proposals": asked[:first]}})

    return [Route("/graphql", graphql, methods=["POST"])]


def _proposals(seed: int, now: datetime) -> Iterator[dict[str, Any]]:
    for age in range(HISTORY.days + 1):
        day = day_start(now) - timedelta(days=age)
        for space, coin in _SPACES.items():
            created = day + timedelta(seconds=round(between(0, 80_000, seed, "proposal at", space, day.date())))
            is_drawn = unit(seed, "proposal", space, day.date()) < _CHANCE_A_DAY or age == HISTORY.days
            if is_drawn and created <= now - SILENCE:
                yield _proposal(seed, space, coin, created, now)


def _proposal(seed: int, space: str, coin: str, created: datetime, now: datetime) -> dict[str, Any]:
    start, end = created + _WAIT, created + _WAIT + _OPEN
    state = "pending" if now < start else "active" if now < end else "closed"
    scores = [between(1e5, 1e7, seed, "score", space, created, choice) for choice in _CHOICES] if state == "closed" else []
    return {
        "id": "0x" + hashlib.sha256(f"{seed}/{space}/{created.isoformat()}".encode()).hexdigest(),
        "title": f"[Temp check] Invented change {int(created.timestamp()) % 1_000} of {coin}",
        "body": f"# Summary\n\nInvented by the sandbox: change a parameter of **{coin}**.\n\n## Details\n\n- The vote runs five days.\n",
        "choices": _CHOICES,
        "state": state,
        "created": int(created.timestamp()),
        "start": int(start.timestamp()),
        "end": int(end.timestamp()),
        "scores": scores,
        "scores_state": "final" if scores else "",
        "scores_total": sum(scores),
        "votes": 2_211 if scores else 0,
        "quorum": 0,
        "network": "1",
        "symbol": coin,
        "space": {"id": space},
    }
