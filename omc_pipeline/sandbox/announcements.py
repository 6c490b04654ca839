"""``coinspot.zendesk.com``: the venue's help centre, whose articles are announcements; one is added every few days.

As with filings, what is drawn ends some time ago, so that nothing fresh comes unasked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.filings import SILENCE
from omc_pipeline.sandbox.noise import between, pick, unit
from omc_pipeline.sandbox.world import HISTORY, World, day_start, present

_MOST = 100
_CHANCE_A_DAY = 0.6
_COINS = (("dogwifhat", "WIF"), ("Alpha Chain", "ALPHX"), ("Bravo", "BRVO"), ("Charlie Finance", "CHRL"))
_TITLES = (
    "New Coin Listing: {name} ({token})",
    "Delisting of {name} ({token})",
    "Scheduled maintenance of {token} wallets",
    "Trading paused for {name} ({token})",
    "Introducing Recurring Buys",
    "CoinSpot news of the month",
    "Our renewed partnership with the Invented Cup",
)


def routes(world: World) -> list[Route]:
    """Return the routes below ``/coinspot_help``."""

    async def articles(request: Request) -> Response:
        page, size = (_number(request.query_params.get(name), usual) for name, usual in (("page", 1), ("per_page", 30)))
        size = min(size, _MOST)
        known = list(_articles(world.seed, present(request)))
        pages = max(1, -(-len(known) // size))
        following = f"https://coinspot.zendesk.com{request.url.path}?page={page + 1}&per_page={size}" if page < pages else None
        document = {"count": len(known), "next_page": following, "page": page, "page_count": pages, "per_page": size}
        return JSONResponse({**document, "previous_page": None, "articles": known[(page - 1) * size : page * size]})

    return [Route("/api/v2/help_center/en-us/articles.json", articles)]


def _articles(seed: int, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the articles by now, newest first."""
    for age in range(HISTORY.days + 1):
        day = day_start(now) - timedelta(days=age)
        at = day + timedelta(seconds=round(between(0, 12 * 3_600, seed, "article at", day.date())))
        if at <= now - SILENCE and (age == HISTORY.days or unit(seed, "article", day.date()) < _CHANCE_A_DAY):
            yield _article(seed, day, at)


def _article(seed: int, day: datetime, at: datetime) -> dict[str, Any]:
    name, token = pick(_COINS, seed, "article coin", day.date())
    title = pick(_TITLES, seed, "article title", day.date()).format(name=name, token=token)
    number = 4_400_000_000_000 + day.date().toordinal()
    written = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "id": number,
        "url": f"https://coinspot.zendesk.com/api/v2/help_center/en-us/articles/{number}.json",
        "html_url": f"https://coinspot.zendesk.com/hc/en-us/articles/{number}",
        "author_id": 1,
        "comments_disabled": True,
        "draft": False,
        "promoted": False,
        "position": 0,
        "vote_sum": 0,
        "vote_count": 0,
        "section_id": 2,
        "created_at": written,
        "updated_at": written,
        "edited_at": written,
        "name": title,
        "title": title,
        "source_locale": "en-us",
        "locale": "en-us",
        "outdated": False,
        "label_names": [],
        "body": _body(title, name, token, at),
    }


def _body(title: str, name: str, token: str, at: datetime) -> str:
    """Return the text of an article as the help centre's editor writes it."""
    opens = at + timedelta(days=2)
    when = f"{opens.day} {opens:%B %Y} at {opens:%H}:00 (UTC)"
    lead = f"Invented by the sandbox: this is about {name} ({token}) &amp; more."
    if title.startswith(("New Coin Listing", "Delisting", "Trading paused")):
        lead += f" The change takes effect on <strong>{when}</strong>. Please check your {token} balance before then."
    return f"<p>{lead}</p><h3>What you need to do</h3><ul><li>Nothing, if you hold no {token}.</li></ul>"


def _number(text: str | None, usual: int) -> int:
    return int(text) if text and text.isdecimal() and 0 < int(text) < 10_000 else usual
