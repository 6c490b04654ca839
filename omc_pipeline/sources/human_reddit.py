"""Posts of configured subreddits with the history of their scores; deleted posts are erased.

Source: Reddit, ``GET https://oauth.reddit.com/r/<subreddit>/new?limit=100&raw_json=1`` and ``/api/info?id=t3_a,t3_b`` for posts that are
    known, up to 100; OAuth2 client credentials from ``www.reddit.com/api/v1/access_token``. 100 requests a minute. Commercial use needs
    an agreement with Reddit. Reddit wants a User-Agent ``<platform>:<app id>:<version> (by /u/<name>)``: option ``agent``.
Shape: ``{"kind": "Listing", "data": {"children": [{"kind": "t3", "data": {"id", "subreddit", "title", "selftext", "url", "permalink",
    "created_utc", "score", "num_comments", "removed_by_category", "crosspost_parent_list"}}]}}``; pinned posts first; ``created_utc``
    with a fraction of zero; fields grow over the years. A post taken back leaves ``/new`` in silence, so known ones are asked for again.
Units: ``score`` (ups less downs, fuzzed by Reddit) and ``comments`` in counts, each change a version.
Errors: ``{"json": {"errors": [[code, text, field]]}}`` and ``{"error": 403, "message", "reason"}``, also with status 200; an HTML page
    of the guard with status 200. Names of authors are cut out before a body is stored, those of crossposts, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field

from omc_infra.errors import OmcError, PayloadChangedError, UpstreamRefusedError
from omc_infra.http import HostPolicy, OAuth2ClientCredentials
from omc_infra.http.failures import failure
from omc_infra.payload import Payload
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.html_text import clean_line, html_line, shortened
from omc_pipeline.collection.items import Item, read_items, refusal
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Rejected, Source
from omc_pipeline.collection.sweep import sweep_each
from omc_pipeline.collection.values import amount, described, instant_of_epoch, text
from omc_pipeline.collection.web_link import web_link
from omc_pipeline.ledgers.human import POST, POST_VOTE, Post, PostVote, erased
from omc_pipeline.sources._reddit import scrubbed, taken_back

IDS_A_REQUEST = 100

_NAME = "human_reddit"
_SITE = "https://www.reddit.com"
_SUBREDDIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{1,20}")
_POST_ID = re.compile(r"[a-z0-9]{1,15}")
_COUNTS = {"score": "score", "num_comments": "comments"}
_LONGEST_TITLE, _LONGEST_TEXT, _MOST_VOTES = 300, 500, 2_000_000_000


def _checked(subreddits: tuple[str, ...]) -> tuple[str, ...]:
    wrong = next((name for name in subreddits if not _SUBREDDIT.fullmatch(name)), None)
    if wrong is not None or not subreddits or len({name.lower() for name in subreddits}) != len(subreddits):
        raise ValueError(f"must be different names of subreddits such as Bitcoin{f', not {one_line(wrong, 40)!r}' if wrong else ''}")
    return subreddits


class RedditConfig(SourceConfig):
    """Options: which subreddits are read, and how long their posts are read again."""

    subreddits: Annotated[tuple[str, ...], AfterValidator(_checked)] = Field(
        ("CryptoCurrency", "Bitcoin", "ethereum"), description="Subreddits to collect new posts of."
    )
    watch_days: int = Field(
        3, ge=0, le=30, description="Number of days for which known posts are read again, to update scores and find deleted posts."
    )
    agent: str = Field(
        "",
        max_length=120,
        pattern=r"^[ -~]*$",
        description="User-Agent in the form that Reddit requires: `<platform>:<app id>:<version> (by /u/<name>)`.",
    )


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch the new posts of each subreddit, then the known ones; a private subreddit doesn't stop the others."""
    config: RedditConfig = context.config
    asks = {f"r/{name}": partial(_ask, context, f"/r/{name}/new", {"limit": "100"}) for name in config.subreddits}
    known = sorted(_known(context, config))
    for at in range(0, len(known), IDS_A_REQUEST):
        ids = ",".join(f"t3_{post_id}" for post_id in known[at : at + IDS_A_REQUEST])
        asks[f"known posts {at + 1} and on"] = partial(_ask, context, "/api/info", {"id": ids})
    return sweep_each(asks)


def _known(context: FetchContext, config: RedditConfig) -> list[str]:
    since = context.now - timedelta(days=config.watch_days)
    return [row["post_id"] for row in context.held(POST, since) if row["removed"] is None] if config.watch_days else []


def _ask(context: FetchContext, path: str, params: Mapping[str, str]) -> Payload:
    headers = {"User-Agent": context.config.agent} if context.config.agent else {}
    return context.http.get(path, params={**params, "raw_json": "1"}, headers=headers, conditional=False)


def parse(payload: Payload, _config: RedditConfig) -> Parsed:
    """Read one row per post, and one per post and count."""
    document = read_json(payload)
    if not isinstance(document, dict):
        raise PayloadChangedError(f"{_NAME}: a list instead of a listing")
    reported = _reported(document)
    if reported is not None:
        raise reported
    data = document.get("data")
    children = data.get("children") if isinstance(data, dict) and document.get("kind") == "Listing" else None
    if not isinstance(children, list):
        raise PayloadChangedError(f"{_NAME}: no listing of posts")
    votes: list[PostVote] = []
    unfit: list[Rejected] = []
    posts = read_items(map(_inner, children), lambda item: _post(item, votes, unfit))
    return Parsed([*posts.rows, *votes], [*posts.rejected, *unfit])


def _inner(child: Json) -> Json:
    """Return the post in a listing's child; what is no post is left to be refused."""
    return child["data"] if isinstance(child, dict) and child.get("kind") == "t3" and isinstance(child.get("data"), dict) else child


def _reported(document: Mapping[str, Json]) -> OmcError | None:
    """Return the error in an answer, with any status."""
    inner = document.get("json")
    if isinstance(inner, dict) and inner.get("errors"):
        return UpstreamRefusedError(f"{_NAME}: Reddit reports: {one_line(str(inner['errors']))}")
    status = document.get("error")
    if status is None:
        return None
    said = one_line(" ".join(str(document[name]) for name in ("error", "message", "reason") if document.get(name)))
    details = f"{_NAME}: Reddit reports: {said or 'an error without a text'}"
    is_status = isinstance(status, int) and not isinstance(status, bool) and 400 <= status < 600
    return (failure(status, details) if is_status else None) or UpstreamRefusedError(details)  # type: ignore[arg-type] # checked above


def _post(item: Item, votes: list[PostVote], unfit: list[Rejected]) -> Post:
    post_id = text(item, "id", 20)
    if not _POST_ID.fullmatch(post_id):
        raise ValueError(f"id {one_line(post_id, 20)!r} is no name of a post")
    reason = taken_back(item)
    title = clean_line(text(item, "title", 2_000))
    if not title:
        raise ValueError("title is empty")
    words = item.get("selftext")
    post = Post(
        post_id=post_id,
        channel=text(item, "subreddit", 60),
        published_at=_created(item),
        title=shortened(title, _LONGEST_TITLE),
        link=f"{_SITE}/comments/{post_id}" if reason else _link(item, post_id),
        text=(html_line(words, _LONGEST_TEXT) or None) if isinstance(words, str) else None,
        symbols=None,
        removed=reason,
    )
    votes += _votes(item, post, unfit)
    return erased(post, reason) if reason else post


def _created(item: Item) -> datetime:
    """Return the time of a count of seconds that is written with a fraction of zero."""
    return instant_of_epoch({"created_utc": int(amount(item, "created_utc"))}, "created_utc")


def _link(item: Item, post_id: str) -> str:
    url = item.get("url")
    return web_link(url) if isinstance(url, str) and url.startswith("http") else f"{_SITE}/comments/{post_id}"


def _votes(item: Item, post: Post, unfit: list[Rejected]) -> Iterator[PostVote]:
    for name, kind in _COUNTS.items():
        count = item.get(name)
        if isinstance(count, bool) or not isinstance(count, int) or abs(count) > _MOST_VOTES:
            unfit.append(refusal(f"{name} is {described(count)}, not a count", {"id": post.post_id, name: count}))
        else:
            yield PostVote(post.post_id, kind, post.published_at, count)


SOURCE = Source(
    name=_NAME,
    title="Reddit posts",
    tables=(POST, POST_VOTE),
    endpoints=(Endpoint("posts", cron="*/15 * * * *", every_s=900, fetch=fetch),),
    policy=HostPolicy(
        live_urls=("https://oauth.reddit.com",),
        sandbox_path="/reddit",
        requests_per_s=1.0,
        burst=5,
        auth=OAuth2ClientCredentials("/api/v1/access_token", "reddit_client_id", "reddit_client_secret", host="login"),
        others={"login": HostPolicy(live_urls=(_SITE,), sandbox_path="/reddit_login", requests_per_s=0.5, burst=2)},
    ),
    parse=parse,
    config=RedditConfig,
    scrub=scrubbed,
    homepage="https://www.reddit.com/dev/api/",
    keys_at="https://www.reddit.com/prefs/apps",
)
