"""News from the RSS feeds of crypto publishers: title, link and a short summary.

Source: RSS 2.0 of CoinDesk ``/arc/outboundfeeds/rss/``, Cointelegraph ``/rss`` (turns away who sends no User-Agent), Decrypt ``/feed``,
    and of any publisher that is configured; no key. The articles are copyright of their publishers: no more than a summary is kept.
Shape: ``<rss><channel><item><title/><link/><guid/><pubDate/><description/><atom:updated/></item></channel></rss>``, newest first. Title
    and description are HTML, escaped or in CDATA, with entities that may be escaped twice. One publisher uses the same guid every day
    for another item, so an item is named by guid **and** date; an item without a guid is named by its link. ``lastBuildDate`` changes
    though no item does. ``updated`` stands with or without its namespace, as RFC 822 or ISO 8601, and may precede the publication.
Units: dates in UTC; texts in one line.
Errors: HTML pages with any status; XML with an undeclared prefix, a second root or an entity of its own is refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from omc_infra.configuration import FILE_ONLY
from omc_infra.errors import PayloadChangedError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.feed_dates import feed_date
from omc_pipeline.collection.html_text import clean_line, html_line
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.parsing import ENDPOINT
from omc_pipeline.collection.source import Endpoint, Fetch, FetchContext, Parsed, Source
from omc_pipeline.collection.sweep import sweep_each
from omc_pipeline.collection.values import text
from omc_pipeline.collection.web_link import web_link
from omc_pipeline.collection.xml_body import read_xml
from omc_pipeline.ledgers.human import NEWS, News

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FEEDS = {
    "coindesk": "https://www.coindesk.com/arc/outboundfeeds/rss/",
    "cointelegraph": "https://cointelegraph.com/rss",
    "decrypt": "https://decrypt.co/feed",
}
"""Feeds that have an endpoint of their own; further ones share the endpoint ``further``."""

_NAME = "human_news"
_FEED = "feed"
_FURTHER = "further"
_UNNAMED = "unnamed"
_ATOM = "{http://www.w3.org/2005/Atom}"
_ELEMENTS = ("title", "link", "guid", "pubDate", "description", "updated")
_FEED_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_FEED_URL = re.compile(r"https://[\w.-]+(:\d{1,5})?/[^\s\"'<>#]*", re.ASCII)
_LONGEST_TITLE = 300


def _checked(feeds: dict[str, str]) -> dict[str, str]:
    for name, url in feeds.items():
        if not _FEED_NAME.fullmatch(name) or name == _FURTHER:
            raise ValueError(f"'{one_line(name, 40)}' is no name for a feed: small letters, digits and _, and not '{_FURTHER}'")
        if not _FEED_URL.fullmatch(url):
            raise ValueError(f"feed {name} must be an address like https://example.com/rss")
    if not feeds:
        raise ValueError("set at least one feed")
    return feeds


class NewsConfig(SourceConfig):
    """Options: which feeds are read."""

    feeds: Annotated[dict[str, str], AfterValidator(_checked)] = Field(
        default_factory=lambda: dict(FEEDS), description="URL of each feed, by name.", json_schema_extra=FILE_ONLY
    )
    summary_chars: int = Field(280, ge=0, le=500, description="Maximum length of an item's summary, in characters. 0: store no summary.")


def feed_hosts(config: NewsConfig) -> Mapping[str, HostPolicy]:
    """Return the policy of each configured feed: few and slow requests, with separate limits for each host."""
    return {name: _policy(name, url) for name, url in config.feeds.items()}


def _policy(name: str, url: str) -> HostPolicy:
    parts = urlsplit(url)
    return HostPolicy(
        live_urls=(f"https://{parts.netloc}",),
        sandbox_path=f"/news/{name}",
        requests_per_s=0.2,
        burst=2,
        headers={"Accept": "application/rss+xml, application/xml;q=0.9, text/xml;q=0.8"},
        max_body_bytes=8 * 1024 * 1024,
    )


def _ask(context: FetchContext, feed: str) -> Payload:
    parts = urlsplit(context.config.feeds[feed])
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return context.http.get(target, host=feed, context={_FEED: feed})


def _known(feed: str) -> Fetch:
    def fetch(context: FetchContext) -> Iterator[Payload]:
        yield _ask(context, feed)

    return fetch


def fetch_further(context: FetchContext) -> Iterator[Payload]:
    """Fetch each feed without its own endpoint; one that fails doesn't stop the others."""
    return sweep_each({feed: partial(_ask, context, feed) for feed in _further(context.config)})


def _further(config: NewsConfig) -> list[str]:
    return [feed for feed in config.feeds if feed not in FEEDS]


def parse(payload: Payload, config: NewsConfig) -> Parsed:
    """Read one row per item."""
    feed = payload.context.get(_FEED) or payload.context.get(ENDPOINT) or _UNNAMED
    root = read_xml(payload)
    channel = root.find("channel")
    if root.tag != "rss" or channel is None:
        raise PayloadChangedError(f"{_NAME}: a document <{one_line(root.tag, 60)}> that is no RSS feed with a <channel>")
    items = [_texts(item) for item in channel.iter("item")]
    if not items:
        raise PayloadChangedError(f"{_NAME}: the feed has no item")
    return read_items(items, lambda item: _news(item, feed, config.summary_chars))


def _texts(item: Element) -> dict[str, Json]:
    """Return the text of the elements that are read, by name; those of foreign namespaces (``media:title``) are others."""
    found: dict[str, Json] = {}
    for child in item:
        name = child.tag.removeprefix(_ATOM) if child.tag == f"{_ATOM}updated" else child.tag
        if name in _ELEMENTS and name not in found:
            found[name] = "".join(child.itertext())
    return found


def _news(item: Item, feed: str, summary_chars: int) -> News:
    title = html_line(str(item.get("title") or ""), _LONGEST_TITLE)
    if not title:
        raise ValueError("title is missing or empty")
    link = web_link(text(item, "link", 4_000))
    updated = str(item.get("updated") or "").strip()
    return News(
        feed=feed,
        guid=clean_line(text(item, "guid")) if str(item.get("guid") or "").strip() else link,
        published_at=feed_date(text(item, "pubDate", 60), "pubDate"),
        title=title,
        link=link,
        summary=html_line(str(item.get("description") or ""), summary_chars) or None if summary_chars else None,
        updated_at=feed_date(updated, "updated") if updated else None,
    )


def _endpoint(feed: str) -> Endpoint:
    return Endpoint(feed, cron="*/5 * * * *", every_s=300, fetch=_known(feed), is_wanted=lambda config: feed in config.feeds)


SOURCE = Source(
    name=_NAME,
    title="Crypto news",
    tables=(NEWS,),
    endpoints=(
        *map(_endpoint, FEEDS),
        Endpoint(_FURTHER, cron="*/5 * * * *", every_s=300, fetch=fetch_further, is_wanted=lambda config: bool(_further(config))),
    ),
    policy=_policy("coindesk", FEEDS["coindesk"]),
    hosts_of=feed_hosts,
    parse=parse,
    config=NewsConfig,
    homepage="https://www.coindesk.com/arc/outboundfeeds/rss/",
)
