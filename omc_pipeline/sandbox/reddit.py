"""``oauth.reddit.com`` and its token endpoint: posts with invented authors, scores that grow, and posts that are taken back."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.news import COINS
from omc_pipeline.sandbox.noise import between, pick
from omc_pipeline.sandbox.world import World, present

CLIENT = "sandbox-reddit-client-id:sandbox-reddit-client-secret"
TOKEN = "sandbox-reddit-token-of-an-hour"  # noqa: S105 opens nothing
POSTS = 25
EVERY = timedelta(minutes=40)
TAKEN_BACK_AFTER = timedelta(hours=3)
_TITLES = (
    "Is {coin} done?",
    "{coin} to the moon",
    "Lost my seed words of {coin}",
    "Daily discussion of {coin}",
    "Why I sold all my {coin}",
)
_AUTHORS = ("sandbox_alice", "sandbox_bob", "sandbox_carol")


def routes(world: World) -> list[Route]:
    """Return the routes below ``/reddit``."""

    async def new(request: Request) -> Response:
        if not _is_allowed(request):
            return JSONResponse({"message": "Unauthorized", "error": 401}, 401)
        name, now = request.path_params["subreddit"], present(request)
        if name.lower().startswith("private"):
            return JSONResponse({"reason": "private", "message": "Forbidden", "error": 403}, 403)
        details = (_post(world.seed, name, slot, now) for slot in _slots(now))
        return _listing([post for post in details if post["removed_by_category"] is None])

    async def info(request: Request) -> Response:
        if not _is_allowed(request):
            return JSONResponse({"message": "Unauthorized", "error": 401}, 401)
        now = present(request)
        known = {
            f"t3_{post['id']}": post for name in _SUBREDDITS for slot in _slots(now, 200) for post in [_post(world.seed, name, slot, now)]
        }
        return _listing([known[name] for name in request.query_params.get("id", "").split(",") if name in known])

    return [Route("/r/{subreddit}/new", new), Route("/api/info", info)]


def login_routes() -> list[Route]:
    """Return the routes below ``/reddit_login``."""

    async def token(request: Request) -> Response:
        if request.headers.get("authorization") != f"Basic {base64.b64encode(CLIENT.encode()).decode()}":
            return JSONResponse({"message": "Unauthorized", "error": 401}, 401)
        return JSONResponse({"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600, "scope": "*"})

    return [Route("/api/v1/access_token", token, methods=["POST"])]


_SUBREDDITS = ("CryptoCurrency", "Bitcoin", "ethereum")


def _is_allowed(request: Request) -> bool:
    return request.headers.get("authorization") == f"Bearer {TOKEN}"


def _listing(posts: list[dict[str, Any]]) -> Response:
    children = [{"kind": "t3", "data": post} for post in posts]
    return JSONResponse(
        {"kind": "Listing", "data": {"modhash": None, "dist": len(children), "children": children, "after": None, "before": None}}
    )


def _slots(now: datetime, most: int = POSTS) -> range:
    last = int(now.timestamp() // EVERY.total_seconds()) - 1
    return range(last, last - most, -1)


def _post(seed: int, subreddit: str, slot: int, now: datetime) -> dict[str, Any]:
    created_s = slot * EVERY.total_seconds() + int(between(0, EVERY.total_seconds(), seed, subreddit, slot, "at"))
    age = timedelta(seconds=now.timestamp() - created_s)
    author, title = pick(_AUTHORS, seed, subreddit, slot, "author"), pick(_TITLES, seed, subreddit, slot, "title")
    back = _taken_back(slot) if age > TAKEN_BACK_AFTER else None
    post_id = _base36(slot * 64 + sum(map(ord, subreddit)) % 64)
    link = f"https://www.reddit.com/r/{subreddit}/comments/{post_id}/"
    score = int(min(age, timedelta(hours=12)) / timedelta(hours=1) * between(1, 40, seed, subreddit, slot, "score"))
    return {
        "id": post_id,
        "name": f"t3_{post_id}",
        "subreddit": subreddit,
        "author": "[deleted]" if back == "deleted" else author,
        "author_fullname": f"t2_{author}",
        "title": title.format(coin=pick(COINS, seed, subreddit, slot, "coin")),
        "selftext": f"[{back}]" if back else f"Asked by u/{author}. Words of a post.",
        "removed_by_category": {"deleted": "deleted", "removed": "moderator"}.get(back or ""),
        "is_self": True,
        "stickied": False,
        "created_utc": created_s,
        "edited": False,
        "score": score,
        "ups": score,
        "num_comments": score // 3,
        "permalink": link.removeprefix("https://www.reddit.com"),
        "url": link,
        "crosspost_parent_list": [],
    }


def _taken_back(slot: int) -> str | None:
    return "deleted" if slot % 8 == 0 else "removed" if slot % 8 == 4 else None


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
