"""``api.alternative.me``: the fear and greed index, one value a day, everything a string."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omc_pipeline.sandbox.market import DAY_S
from omc_pipeline.sandbox.noise import wave
from omc_pipeline.sandbox.world import HISTORY, World, day_start, present

_CLASSES = ((25, "Extreme Fear"), (47, "Fear"), (55, "Neutral"), (76, "Greed"), (101, "Extreme Greed"))

_MOST_DAYS = 3_000


def routes(world: World) -> list[Route]:
    """Return the routes below ``/fng``."""

    async def index(request: Request) -> Response:
        limit = _limit(request.query_params.get("limit"))
        document = {"name": "Fear and Greed Index", "data": _days(world.seed, present(request), limit), "metadata": {"error": None}}
        return Response(json.dumps(document, indent="\t"), media_type="application/json")

    return [Route("/fng/", index), Route("/fng", index)]


def _limit(text: str | None) -> int:
    """Read ``limit``: 1 where it is missing or no number, and 0 for the days that a sandbox begins with; a greater number goes further."""
    asked = int(text) if text is not None and text.isdecimal() else 1
    return min(asked, _MOST_DAYS) if asked else HISTORY.days + 1


def _days(seed: int, now: datetime, limit: int) -> list[dict[str, str]]:
    today = day_start(now)
    rows = [_row(seed, today - timedelta(days=age)) for age in range(limit)]
    rows[0]["time_until_update"] = str(round((today + timedelta(days=1) - now).total_seconds()))
    return rows


def _row(seed: int, day: datetime) -> dict[str, str]:
    at_s = day.timestamp()
    level = 50 + 34 * wave(seed, "fng", at_s, 9 * DAY_S) + 12 * wave(seed, "fng", at_s, DAY_S)
    value = min(100, max(0, round(level)))
    label = next(name for below, name in _CLASSES if value < below)
    return {"value": str(value), "value_classification": label, "timestamp": str(round(at_s))}
