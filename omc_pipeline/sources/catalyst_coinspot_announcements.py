"""Announcements of CoinSpot's help centre: listings, delistings, maintenance, changes of trading, features.

Source: Zendesk help centre, ``GET https://coinspot.zendesk.com/api/v2/help_center/en-us/articles.json``, no key; sorted by the last
    update, newest first, at most 100 articles a page. The API shows the published body only. No recording of CoinSpot's own was found;
    the shape is Zendesk's documented one (looked at 2026-11-27).
Shape: ``{"count", "page", "page_count", "per_page", "next_page", "articles": [{"id", "title", "html_url", "created_at", "updated_at",
    "draft", "body", "label_names", ...}]}``; ``body`` is HTML. An article is an event by its id, and its body the event's document;
    a changed title, kind or body is a new version.
Units: times ISO 8601 in UTC; ``published_at`` is when the article was created. Kind, coins and impact (1 to 10) follow from the title by
    the rules of ``catalyst_rules.toml``; coins that the title doesn't name are looked for in the text of listings and delistings.
Errors: ``{"error": "...", "description": "..."}``; an HTML page where the help centre is restricted or moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from html import unescape

from pydantic import Field

from omc_infra.errors import PayloadChangedError, UpstreamRefusedError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.assets.registry import Registry
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Source
from omc_pipeline.collection.values import described, instant, optional_text, text
from omc_pipeline.ledgers.catalyst import DOCUMENT, EVENT, CatalystEvent
from omc_pipeline.sources._catalyst_rules import announcement_rule, checked_impact, tokens_in
from omc_pipeline.sources._coinspot import symbol_of
from omc_pipeline.sources._event_texts import with_texts

_NAME = "catalyst_coinspot_announcements"
_VENUE = "CoinSpot"
_ARTICLES = "/api/v2/help_center/en-us/articles.json"
_PAGE_ROWS = 100
_READ_CHARACTERS = 20_000
_LONGEST_ITEMS = 300
_TAG = re.compile(r"<[^>]{0,2000}>")
_OVERLAP = timedelta(days=1)
_SPEAKS_OF_COINS = frozenset({"listing", "delisting", "trading"})


class AnnouncementsConfig(SourceConfig):
    """Options: how far back the help centre is read."""

    pages: int = Field(10, ge=1, le=100, description="Maximum number of pages of 100 articles to read if the ledger has none yet.")


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch the articles that were updated since a day ago; all articles if the ledger has none."""
    since = None if context.since is None else context.now - _OVERLAP
    for page in range(1, context.config.pages + 1):
        asked = {"sort_by": "updated_at", "sort_order": "desc", "per_page": str(_PAGE_ROWS), "page": str(page)}
        payload = context.http.get(_ARTICLES, params=asked)
        yield payload
        document = _document(payload)
        if not document.get("next_page") or (since is not None and _reaches(document, since)):
            return


def parse(payload: Payload, config: AnnouncementsConfig) -> Parsed:
    """Read one event per article, and its text as the event's document."""
    articles = _document(payload)["articles"]
    items = articles if isinstance(articles, list) else []
    return with_texts(read_items(items, partial(_event, assets=config.assets)), items, lambda item: str(item.get("id")), "body")


def _document(payload: Payload) -> Item:
    document = read_json(payload)
    if isinstance(document, dict) and isinstance(error := document.get("error"), (str, dict)):
        details = error if isinstance(error, str) else str(error.get("title", "unnamed"))
        raise UpstreamRefusedError(f"{_NAME}: the help centre reports: {one_line(details)}")
    if not isinstance(document, dict) or not isinstance(document.get("articles"), list):
        raise PayloadChangedError(f"{_NAME}: no list 'articles': not an answer of a help centre")
    return document


def _reaches(document: Item, since: datetime) -> bool:
    """Whether a page goes back to a time; articles without a readable one count as newer."""
    articles = document["articles"]
    return any(_updated_before(article, since) for article in (articles if isinstance(articles, list) else ()))


def _updated_before(article: Json, since: datetime) -> bool:
    try:
        return isinstance(article, dict) and instant(article, "updated_at") < since
    except ValueError:  # its row is refused with a reason of its own
        return False


def _event(article: Item, assets: Registry) -> CatalystEvent:
    number, title = article.get("id"), " ".join(text(article, "title", 500).split())
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise ValueError(f"id is {described(number)}, not the number of an article")
    if article.get("draft") is True:
        raise ValueError("a draft, not published")
    rule = announcement_rule(title)
    tokens = tokens_in(title) or (tokens_in(_json_value(article)) if rule.type in _SPEAKS_OF_COINS else [])
    published_at = instant(article, "created_at")
    coins = [symbol_of(assets, token, published_at) for token in tokens]
    return CatalystEvent(
        event_id=str(number),
        event_type=rule.type,
        symbol=coins[0] if len(coins) == 1 else None,
        ticker=None,
        issuer=_VENUE,
        title=title,
        form=None,
        items=",".join(tokens)[:_LONGEST_ITEMS] or None,
        url=_link(article, number),
        filed_on=None,
        published_at=published_at,
        impact=checked_impact(rule.impact),
    )


def _json_value(article: Item) -> str:
    body = article.get("body")
    return unescape(_TAG.sub(" ", body[:_READ_CHARACTERS])) if isinstance(body, str) else ""


def _link(article: Item, number: int) -> str:
    written = optional_text(article, "html_url", 500) or ""
    return written if written.startswith("https://") else f"https://coinspot.zendesk.com/hc/en-us/articles/{number}"


SOURCE = Source(
    name=_NAME,
    title="CoinSpot announcements",
    tables=(EVENT, DOCUMENT),
    endpoints=(Endpoint("articles", cron="* * * * *", every_s=60, fetch=fetch),),
    policy=HostPolicy(live_urls=("https://coinspot.zendesk.com",), sandbox_path="/coinspot_help", requests_per_s=1.0, burst=2),
    parse=parse,
    config=AnnouncementsConfig,
    homepage="https://developer.zendesk.com/api-reference/help_center/help-center-api/articles/",
)
