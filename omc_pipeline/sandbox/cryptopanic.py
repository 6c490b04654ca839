"""``cryptopanic.com``: gathered posts whose votes grow, for whoever has the sandbox's key and one of the two plans."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.news import stories
from omc_pipeline.sandbox.noise import between, pick, unit
from omc_pipeline.sandbox.world import World, iso_ms, present

KEY = "sandbox-cryptopanic"
TIERS = ("developer", "growth")
PAGE = 20
PUBLISHERS = ("alpha", "beta", "gamma")
_VOTES_GROW_FOR = timedelta(hours=8)
_KINDS = ("negative", "positive", "important", "liked", "disliked", "lol", "toxic", "saved", "comments")
_CODES = {"Bitcoin": "BTC", "Ethereum": "ETH", "Solana": "SOL", "XRP": "XRP", "Dogecoin": "DOGE"}


def routes(world: World) -> list[Route]:
    """Return the routes below ``/cryptopanic``."""

    async def posts(request: Request) -> Response:
        plan, asked = request.path_params["plan"], request.query_params
        if asked.get("auth_token") != KEY or plan not in TIERS:
            return JSONResponse({"status": "api_error", "info": "Token not found"}, 401)
        number = int(asked["page"]) if asked.get("page", "").isdecimal() else 1
        details = [post for post in _posts(world.seed, present(request)) if _is_wanted(post, asked.get("currencies"))]
        page = details[(number - 1) * PAGE : number * PAGE]
        link = f"https://cryptopanic.com/api/{plan}/v2/posts/?auth_token={KEY}&page={number + 1}"
        return JSONResponse({"next": link if len(details) > number * PAGE else None, "previous": None, "results": page})

    return [Route("/api/{plan}/v2/posts/", posts)]


def _posts(seed: int, now: datetime) -> list[dict[str, Any]]:
    details = [(story, publisher) for publisher in PUBLISHERS for story in stories(seed, f"{publisher}_gathered", now) if "-" in story.guid]
    details.sort(key=lambda each: each[0].published_at, reverse=True)
    return [_post(seed, story.guid, story.title, story.published_at, publisher, now) for story, publisher in details]


def _post(seed: int, guid: str, title: str, published_at: datetime, publisher: str, now: datetime) -> dict[str, Any]:
    number = int(guid.rpartition("-")[2]) * len(PUBLISHERS) + PUBLISHERS.index(publisher)
    post: dict[str, Any] = {
        "id": number,
        "title": title.replace("&", "&amp;"),
        "description": f"<p>{title}.</p>",
        "published_at": iso_ms(published_at),
        "created_at": iso_ms(published_at - timedelta(seconds=round(between(-60, 60, seed, number, "created")))),
        "kind": "news",
        "source": {"title": publisher.title(), "region": "en", "domain": f"{publisher}.sandbox.invalid", "type": "feed"},
        "original_url": f"https://{publisher}.sandbox.invalid/{number}?utm_source=cryptopanic",
        "url": f"https://cryptopanic.com/news/{number}/click/",
        "votes": _votes(seed, number, now - published_at),
    }
    codes = [code for coin, code in _CODES.items() if coin in title]
    if codes or unit(seed, number, "instruments") < 0.5:
        post["instruments"] = [{"code": code, "title": code} for code in codes]
    return post


def _votes(seed: int, number: int, age: timedelta) -> dict[str, int]:
    """Return counts that grow each hour of the first hours of a post."""
    hours = int(min(age, _VOTES_GROW_FOR) / timedelta(hours=1))
    return {kind: int(hours * pick((0, 0, 1, 2, 5), seed, number, kind)) for kind in _KINDS}


def _is_wanted(post: dict[str, Any], currencies: str | None) -> bool:
    codes = {each["code"] for each in post.get("instruments", [])}
    return not currencies or bool(codes & set(currencies.split(",")))
