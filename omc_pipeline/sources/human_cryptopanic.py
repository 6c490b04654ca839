"""Posts that CryptoPanic gathers from publishers, with the votes of its readers.

Source: CryptoPanic v2, ``GET https://cryptopanic.com/api/<plan>/v2/posts/?auth_token=..&page=N``; the plan of the key (``developer`` or
    ``growth``) is part of the path. Each page costs a call of the plan's monthly quota.
Shape: ``{"next", "previous", "results": [{"id", "title", "published_at", "created_at", "url", "original_url", "description", "kind",
    "source": {"domain"}, "instruments": [{"code"}], "votes": {"positive", "negative", ..}, "panic_score"}]}``, newest first. Version 1
    calls the instruments ``currencies``; they may be missing or empty, and codes needn't be letters. Titles hold HTML. ``next`` holds the
    token. ``published_at`` may be later than ``created_at``. Fields depend on the plan.
Units: votes in counts by kind, each change a version; ``panic_score`` 0 to 100.
Errors: ``{"status": "api_error", "info"}`` or ``{"detail"}``. 429 without Retry-After, or 403, that names the monthly quota: no call for a
    day. 403 ``error code: 1010`` is the guard before the API, and passes. 401: the key or its plan is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from omc_infra.configuration import FILE_ONLY
from omc_infra.errors import AccessDeniedError, OmcError, PayloadChangedError, RateLimitedError, UpstreamRefusedError
from omc_infra.http import HostPolicy, QueryKey
from omc_infra.payload import Payload
from omc_pipeline.assets.registry import Registry
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.html_text import html_line
from omc_pipeline.collection.items import Item, read_items, refusal
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.paging import by_cursor
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Rejected, Source
from omc_pipeline.collection.values import described, instant, text
from omc_pipeline.collection.web_link import web_link
from omc_pipeline.ledgers.human import POST, POST_VOTE, Post, PostVote

DAY_S = 86_400.0
GUARD_S = 300.0
"""So long nothing is asked after the guard before the API turned us away."""
MOST_VOTES = 2_000_000_000

_NAME = "human_cryptopanic"
_TOKEN = re.compile(rb"""(auth_token(?:=|%3[dD]))[^&"'\\\s<>]+""")
_QUOTA = re.compile(rb"quota|monthly limit|requests limit", re.IGNORECASE)
_GUARD = re.compile(rb"error code:?\s*1010", re.IGNORECASE)
_DENIED = re.compile(r"token|credential|plan|unauthori[sz]ed|forbidden", re.IGNORECASE)
_CODE = re.compile(r"[^\s,\x00-\x1f\x7f]{1,20}")
_VENUE = "cryptopanic"
_KIND = re.compile(r"[a-z][a-z_]{0,29}")
_LONGEST_TITLE, _LONGEST_TEXT = 300, 280


class CryptoPanicConfig(SourceConfig):
    """Options: which posts are collected, and the plan."""

    plan: Literal["developer", "growth"] = Field("developer", description="Plan that the key belongs to.", json_schema_extra=FILE_ONLY)
    currencies: tuple[str, ...] = Field((), description="Coins to collect posts about, such as BTC. Empty: all coins.")
    pages: int = Field(
        1, ge=1, le=10, description="Maximum number of pages of one collection. Each page costs one call of the plan's quota."
    )


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch the newest posts, as many pages as the options allow, because votes of known posts change."""
    config: CryptoPanicConfig = context.config
    fixed = {"currencies": ",".join(config.currencies)} if config.currencies else {}

    def ask(page: str | None) -> Payload:
        params = {**fixed, **({"page": page} if page else {})}
        return context.http.get(f"/api/{config.plan}/v2/posts/", params=params, conditional=False)

    yield from islice(by_cursor(ask, _next_page, most=config.pages + 1), config.pages)


def _next_page(payload: Payload) -> str | None:
    """Return the number of the next page; its link has the token and is never followed."""
    link = _document(payload).get("next")
    pages = parse_qs(urlsplit(link).query).get("page", []) if isinstance(link, str) else []
    return pages[0] if pages and pages[0].isdecimal() else None


def parse(payload: Payload, config: CryptoPanicConfig) -> Parsed:
    """Read one row per post, and one per post and kind of vote."""
    results = _document(payload).get("results")
    if not isinstance(results, list):
        raise PayloadChangedError(f"{_NAME}: no list 'results'")
    votes: list[PostVote] = []
    unfit: list[Rejected] = []
    posts = read_items(results, lambda item: _post(item, votes, unfit, config.assets))
    return Parsed([*posts.rows, *votes], [*posts.rejected, *unfit])


def _document(payload: Payload) -> Mapping[str, Json]:
    document = read_json(payload)
    if not isinstance(document, dict):
        raise PayloadChangedError(f"{_NAME}: a list instead of an object")
    if "results" not in document:
        said = document.get("info") or document.get("detail") or document.get("error")
        if isinstance(said, str) and said.strip():
            raise _reported(one_line(said), payload.body)
    return document


def _reported(said: str, body: bytes) -> OmcError:
    details = f"{_NAME}: the API reports: {said}"
    if _QUOTA.search(body):
        return RateLimitedError(details, retry_after_s=DAY_S)
    return AccessDeniedError(f"{details}; is OMC_KEY_CRYPTOPANIC of the plan?") if _DENIED.search(said) else UpstreamRefusedError(details)


def _post(item: Item, votes: list[PostVote], unfit: list[Rejected], assets: Registry) -> Post:
    number = item.get("id")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 10**18:
        raise ValueError(f"id is {described(number)}, not a whole number above zero")
    title = html_line(str(item["title"]), _LONGEST_TITLE) if isinstance(item.get("title"), str) else ""
    if not title:
        raise ValueError("title is missing or empty")
    description, origin = item.get("description"), item.get("original_url")
    published_at = instant(item, "published_at" if item.get("published_at") is not None else "created_at")
    post = Post(
        post_id=str(number),
        channel=_domain(item),
        published_at=published_at,
        title=title,
        link=web_link(origin if isinstance(origin, str) and origin.strip() else text(item, "url", 4_000)),
        text=(html_line(description, _LONGEST_TEXT) or None) if isinstance(description, str) else None,
        symbols=_symbols(item, assets, published_at),
        removed=None,
    )
    votes += _votes(item, post, unfit)
    return post


def _domain(item: Item) -> str:
    source = item.get("source")
    return text(source, "domain", 100).lower() if isinstance(source, dict) else text(item, "domain", 100).lower()


def _symbols(item: Item, assets: Registry, at: datetime) -> str | None:
    """Return the symbols of the coins a post is about, ``CRYPTOPANIC:CODE`` of those unknown; None where there is none."""
    named = item.get("instruments") or item.get("currencies")
    codes = [each.get("code") for each in named if isinstance(each, dict)] if isinstance(named, list) else []
    written = (code for code in codes if isinstance(code, str) and _CODE.fullmatch(code.strip()))
    known = {symbol for code in written if (symbol := _symbol(code, assets, at))}
    return ",".join(sorted(known)[:20]) or None


def _symbol(code: str, assets: Registry, at: datetime) -> str | None:
    try:
        return assets.symbol_of(_VENUE, code, at)
    except ValueError:  # the post is good without it
        return None


def _votes(item: Item, post: Post, unfit: list[Rejected]) -> Iterator[PostVote]:
    """Yield the valid counts; invalid ones are findings and don't affect the post or other counts."""
    held = item.get("votes")
    counts: dict[str, Json] = dict(held) if isinstance(held, dict) else {}
    if held is not None and not isinstance(held, dict):
        unfit.append(refusal(f"votes is {described(held)}, not an object", {"id": item.get("id"), "votes": held}))
    if item.get("panic_score") is not None:
        counts["panic_score"] = item["panic_score"]
    for kind, count in counts.items():
        if not _KIND.fullmatch(kind) or isinstance(count, bool) or not isinstance(count, int) or abs(count) > MOST_VOTES:
            unfit.append(refusal(f"votes {one_line(kind, 40)!r} is {described(count)}, not a count", {"id": item.get("id"), kind: count}))
        else:
            yield PostVote(post.post_id, kind, post.published_at, count)


def ban_of(status: int, body: bytes) -> float | None:
    """Return the seconds for which nothing may be asked: a day after the quota's end, minutes after the guard's refusal."""
    if status in (402, 403, 429) and _QUOTA.search(body[:4096]):
        return DAY_S
    return GUARD_S if status == 403 and _GUARD.search(body[:4096]) else None


def without_tokens(body: bytes) -> bytes:
    """Remove the token from the links in a body."""
    return _TOKEN.sub(rb"\1[redacted]", body)


SOURCE = Source(
    name=_NAME,
    title="CryptoPanic posts",
    tables=(POST, POST_VOTE),
    endpoints=(Endpoint("posts", cron="*/5 * * * *", every_s=300, fetch=fetch),),
    policy=HostPolicy(
        live_urls=("https://cryptopanic.com",),
        sandbox_path="/cryptopanic",
        requests_per_s=0.5,
        burst=2,
        auth=QueryKey("auth_token", "cryptopanic"),
        secret_parameters=("auth_token",),
        ban_of=ban_of,
    ),
    parse=parse,
    config=CryptoPanicConfig,
    scrub=without_tokens,
    homepage="https://cryptopanic.com/developers/api/",
)
