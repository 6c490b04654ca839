"""Human: what people say. News, posts and sentiment scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from omc_pipeline.ledgers.table import LedgerTable, Row

WHOLE_MARKET = "MARKET"
"""The symbol of rows that speak of the whole market."""
ERASED = "[erased]"
"""The title of a post that was taken back."""


@dataclass(frozen=True, slots=True)
class Sentiment(Row):
    """One score of one metric for one symbol.

    Attributes:
        symbol: Coin that the score is about; ``MARKET`` for the whole market.
        metric: What is measured, such as ``fear_greed``; the docstring of its source gives the scale.
        observed_at: The source's time of the score; for a daily score, 00:00 UTC of the day.
        score (the metric's scale): The score; fear and greed goes from 0 (fear) to 100 (greed), the sentiment of titles from -1 to 1.
        label: The source's label of the score, such as ``Greed``; NULL if it gives none.
    """

    symbol: str
    metric: str
    observed_at: datetime
    score: Decimal
    label: str | None


@dataclass(frozen=True, slots=True)
class News(Row):
    """One item of a news feed. Its text belongs to the publisher: only title, link and a short summary are kept.

    Attributes:
        feed: Name of the feed, as it is configured.
        guid: The publisher's id of the item; some publishers reuse an id for another item.
        published_at: The publisher's date of the item, UTC.
        title: One line without markup; a changed title is a new version.
        link: URL of the article, without tracking parameters.
        summary: First words of its description in one line; NULL where it has none.
        updated_at: When the publisher last changed it, UTC; may be before ``published_at``. NULL if the feed doesn't say.
    """

    feed: str
    guid: str
    published_at: datetime
    title: str
    link: str
    summary: str | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class TitleScore(Row):
    """The sentiment of one title, with the model that computed it.

    Attributes:
        title_source: Source of the title.
        channel: Feed or forum of the title.
        item_id: The source's id of the item.
        published_at: Date of the item, UTC.
        symbols: Coins that the title names, sorted and separated by commas; ``MARKET`` if it names none.
        score (-1 to 1): The sentiment, from negative to positive.
        label: ``bullish``, ``bearish`` or ``neutral``.
        model: The model with its version, and the lexicon with its version.
    """

    title_source: str
    channel: str
    item_id: str
    published_at: datetime
    symbols: str
    score: Decimal
    label: str
    model: str


@dataclass(frozen=True, slots=True)
class Post(Row):
    """One post of a forum or an aggregator. If its author or a moderator deletes it, its text is erased in all versions.

    Attributes:
        post_id: The source's id of the post.
        channel: Where it was posted: a subreddit, or the domain of the publisher.
        published_at: When, UTC.
        title: One line without markup; ``[erased]`` if the post was deleted.
        link: URL that it points to, or of the post itself.
        text: First words of its text in one line; NULL where it has none.
        symbols: Coins that it is about, according to the source: upper case, sorted, separated by commas; NULL if there are none.
        removed: Why it is no longer there: ``deleted`` by its author, ``removed`` by others; NULL if it still exists.
    """

    post_id: str
    channel: str
    published_at: datetime
    title: str
    link: str
    text: str | None
    symbols: str | None
    removed: str | None


def erased(post: Post, removed: str | None) -> Post:
    """Return a post without title, link, text and coins."""
    return replace(post, title=ERASED, link=f"https://www.reddit.com/comments/{post.post_id}", text=None, symbols=None, removed=removed)


@dataclass(frozen=True, slots=True)
class PostVote(Row):
    """Number of votes of one kind of a post; each change is a new version, so the versions are the history.

    Attributes:
        post_id: The post.
        kind: What is counted, in the source's terms: ``positive``, ``score``, ``comments``.
        published_at: When the post was published, UTC.
        votes (votes): The count; a score may be negative.
    """

    post_id: str
    kind: str
    published_at: datetime
    votes: int


SENTIMENT = LedgerTable("human", "sentiment", Sentiment, key=("symbol", "metric", "observed_at"), clock="observed_at")
Sentiment.table = SENTIMENT
NEWS = LedgerTable("human", "news", News, key=("feed", "guid", "published_at"), clock="published_at")
News.table = NEWS
TITLE_SCORE = LedgerTable(
    "human", "title_score", TitleScore, key=("title_source", "channel", "item_id", "published_at"), clock="published_at"
)
TitleScore.table = TITLE_SCORE
POST = LedgerTable("human", "post", Post, key=("post_id",), clock="published_at")
Post.table = POST
POST_VOTE = LedgerTable("human", "post_vote", PostVote, key=("post_id", "kind"), clock="published_at")
PostVote.table = POST_VOTE
TABLES = (SENTIMENT, NEWS, TITLE_SCORE, POST, POST_VOTE)
