"""``/_control``: what the real upstreams lack; tells the sandbox to misbehave or to publish a filing."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_infra.errors import BadInputError
from omc_pipeline.sandbox.faults import FAULT_KINDS, Fault, Faults
from omc_pipeline.sandbox.filings import ISSUERS, announce
from omc_pipeline.sandbox.world import World, iso_ms

_LONGEST_S, _OLDEST_HOURS = 3600, 24 * 365


def routes(world: World, faults: Faults, upstreams: frozenset[str], home_id: str) -> list[Route]:
    """Return the routes below ``/_control``; ``home_id`` tells whose sandbox it is."""

    async def health(_request: Request) -> Response:
        return JSONResponse(
            {"status": "ok", "home": home_id, "seed": world.seed, "now": iso_ms(world.clock()), "upstreams": sorted(upstreams)}
        )

    async def list_faults(_request: Request) -> Response:
        return JSONResponse({"faults": faults.waiting()})

    async def add_fault(request: Request) -> Response:
        asked = await _asked(request)
        upstream, kind = asked.get("upstream"), str(asked.get("kind"))
        if upstream not in upstreams or kind not in FAULT_KINDS:
            return _bad(f"upstream must be one of {', '.join(sorted(upstreams))}, and kind one of {', '.join(FAULT_KINDS)}")
        try:
            fault = Fault(kind, int(asked.get("count", 1)), float(asked.get("seconds", 1)), float(asked.get("hours", 6)))  # type: ignore[arg-type] # checked above
        except (ValueError, TypeError):
            return _bad("count, seconds and hours are numbers")
        if fault.count < 1 or not 0 <= fault.seconds <= _LONGEST_S or not 0 <= fault.hours <= _OLDEST_HOURS:
            return _bad(f"count must be at least 1, seconds from 0 to {_LONGEST_S}, hours from 0 to {_OLDEST_HOURS}")
        faults.add(upstream, fault)
        return JSONResponse({"faults": faults.waiting()})

    async def clear_faults(_request: Request) -> Response:
        faults.clear()
        return JSONResponse({"faults": {}})

    async def add_filing(request: Request) -> Response:
        return _published(world, await _asked(request))

    return [
        Route("/health", health),
        Route("/faults", list_faults, methods=["GET"]),
        Route("/faults", add_fault, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        Route("/filings", add_filing, methods=["POST"]),
    ]


def _published(world: World, asked: dict[str, Any]) -> Response:
    cik = str(asked["cik"]).zfill(10) if "cik" in asked else None
    if cik is not None and cik not in ISSUERS:
        return _bad(f"cik must be one of {', '.join(ISSUERS)}")
    try:
        filing = announce(world, cik, asked.get("form"), asked.get("items"))
    except BadInputError as error:
        return _bad(str(error))
    return JSONResponse({"accession_number": filing.accession_number, "cik": filing.cik, "accepted_at": iso_ms(filing.accepted_at)})


async def _asked(request: Request) -> dict[str, Any]:
    try:
        document = json.loads(await request.body() or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _bad(message: str) -> Response:
    return JSONResponse({"error": message}, 400)
