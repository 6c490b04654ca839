"""The publishers' feeds as RSS: headlines drawn from the seed, one guid that is used again every day, and a title that changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omc_pipeline.sandbox.noise import between, pick
from omc_pipeline.sandbox.world import World, day_start, present

ITEMS = 20
"""Items of a feed, newest first."""
EVERY = timedelta(minutes=50)
"""About so often a publisher has something to say."""
LIVE_FOR = timedelta(hours=6)
"""So long the title of a live item changes, every hour."""
LIVE_EACH = 4
"""Each item of so many is a live one."""

COINS = ("Bitcoin", "Ethereum", "Solana", "XRP", "Dogecoin", "Cardano", "Chainlink")
_HEADLINES = (
    "{coin} rallies to a monthly high as funds buy",
    "{coin} slides as traders take profit & wait",
    "Hackers drain a bridge of {coin}; users fear losses",
    "{coin} holds steady ahead of the Fed's decision",
    "Bank opens custody of {coin} to its clients",
    "Regulator sues a broker over {coin} products",
    "{coin} upgrade goes live without a hitch",
    "Analysts are bullish on {coin}, cautious on the rest",
)
_NAMESPACES = (
    'xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/"'
)


@dataclass(frozen=True)
class Story:
    """One item of a feed."""

    guid: str
    path: str
    title: str
    published_at: datetime
    updated_at: datetime


def routes(world: World) -> list[Route]:
    """Return the routes below ``/news``: ``/<feed>/<whatever the publisher's path is>``."""

    async def feed(request: Request) -> Response:
        if not request.headers.get("user-agent"):
            return Response("<!DOCTYPE html><html><head><title>Forbidden</title></head></html>", 403, media_type="text/html")
        name, now = request.path_params["feed"], present(request)
        return Response(_rss(name, stories(world.seed, name, now), now), media_type="application/rss+xml")

    return [Route("/{feed}/{path:path}", feed)]


def stories(seed: int, feed: str, now: datetime) -> list[Story]:
    """Return what a publisher has told by now, newest first."""
    slot = int(now.timestamp() // EVERY.total_seconds())
    details = [_story(seed, feed, slot - age, now) for age in range(ITEMS)]
    details += [_daily(feed, day_start(now) - timedelta(days=age)) for age in range(2)]
    return sorted((story for story in details if story.published_at <= now), key=lambda story: story.published_at, reverse=True)


def _story(seed: int, feed: str, slot: int, now: datetime) -> Story:
    start = datetime.fromtimestamp(slot * EVERY.total_seconds(), now.tzinfo)
    published_at = start + timedelta(seconds=round(between(0, EVERY.total_seconds() - 1, seed, feed, slot, "at")))
    title = pick(_HEADLINES, seed, feed, slot, "headline").format(coin=pick(COINS, seed, feed, slot, "coin"))
    changed_at = published_at
    if slot % LIVE_EACH == 0:
        hours = int(min(max(now - published_at, timedelta()), LIVE_FOR) / timedelta(hours=1))
        title, changed_at = f"Live: {title}, update {hours + 1}", published_at + timedelta(hours=hours)
    return Story(f"{feed}-{slot}", f"/news/{slot}", title, published_at, changed_at)


def _daily(feed: str, day: datetime) -> Story:
    at = day + timedelta(minutes=30)
    return Story(f"https://{feed}.sandbox.invalid/news/today", "/news/today", "What happened in crypto today", at, at)


def _rss(feed: str, details: list[Story], now: datetime) -> str:
    items = "\n".join(_item(feed, story) for story in details)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" {_NAMESPACES}><channel>
<title>{escape(feed)} of the sandbox</title><link>https://{feed}.sandbox.invalid</link>
<lastBuildDate>{format_datetime(now)}</lastBuildDate>
{items}
</channel></rss>"""


def _item(feed: str, story: Story) -> str:
    return f"""<item><title><![CDATA[{escape(story.title)}]]></title>
<link>https://{feed}.sandbox.invalid{story.path}?utm_source=rss&amp;utm_medium=feed</link>
<guid isPermaLink="false">{story.guid}</guid><pubDate>{format_datetime(story.published_at)}</pubDate>
<atom:updated>{format_datetime(story.updated_at)}</atom:updated>
<description><![CDATA[<p style="float:right"><img src="https://{feed}.sandbox.invalid/a.jpg"></p><p>{escape(story.title)}.</p>]]></description>
<dc:creator>Sandbox</dc:creator><content:encoded/></item>"""
