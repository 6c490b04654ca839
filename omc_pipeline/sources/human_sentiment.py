"""Sentiment of news titles: a score for each title, and daily means by coin and for the whole market.

Source: derived from the rows of ``human_news`` in ``human.news``; asks no upstream. The scorer is VADER with a lexicon of crypto words;
    both stand with their versions in ``model`` of each score. Another lexicon (option ``lexicon``) scores all titles anew, as new versions.
Shape: the body is what the platform wrote down of those rows: ``{"table", "window", "rows": [{"source", "feed", "guid", "title", ..}]}``.
Units: score -1 (bearish) to 1 (bullish). Metric ``title_sentiment``: the mean over the titles of one UTC day that name the coin, or over
    all titles for the symbol ``MARKET``; today's grows with each title. The coins of a title are found by keywords.
Errors: none of its own; it has rows from the first collection of news on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

from omc_infra.errors import BadInputError, PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.assets.reading import shipped
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import read_json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, History, LedgerInput, Parsed, Source
from omc_pipeline.collection.values import instant, text
from omc_pipeline.collection.window import floor
from omc_pipeline.ledgers.human import NEWS, SENTIMENT, TITLE_SCORE, WHOLE_MARKET, Sentiment, TitleScore
from omc_pipeline.sentiment.coins import coins_of
from omc_pipeline.sentiment.lexicon import lexicon_names
from omc_pipeline.sentiment.titles import Model, label_of, model_with

METRIC = "title_sentiment"

_NAME = "human_sentiment"
_NEWS = "human_news"
_FOUR_DECIMALS = Decimal("0.0001")


def _known_lexicon(name: str) -> str:
    if name not in lexicon_names():
        raise ValueError(f"must be one of {', '.join(lexicon_names())}")
    return name


def _checked_keywords(keywords: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for symbol, words in keywords.items():
        if not symbol.isalnum() or not symbol.isascii() or symbol != symbol.upper() or symbol == WHOLE_MARKET:
            raise ValueError(f"'{symbol[:20]}' is no symbol like \"BTC\"")
        if not words or not all(word.strip() == word and len(word) > 1 for word in words):
            raise ValueError(f"{symbol} needs keywords, each of at least two characters")
    return keywords


class SentimentConfig(SourceConfig):
    """Options: how titles are scored, and for which coins."""

    lexicon: Annotated[str, AfterValidator(_known_lexicon)] = Field(
        "crypto-1", description="Lexicon of crypto words to use in addition to VADER's own. `none`: only VADER's."
    )
    neutral_below: Decimal = Field(Decimal("0.05"), gt=0, le=1, description="Scores with a smaller absolute value count as neutral.")
    keywords: Annotated[dict[str, tuple[str, ...]], AfterValidator(_checked_keywords)] = Field(
        default_factory=lambda: shipped().title_words(),
        description="Words that name coins in titles. A word in capitals matches only in capitals.",
    )


def parse(payload: Payload, config: SentimentConfig) -> Parsed:
    """Compute one row per title, and one per day and symbol."""
    document = read_json(payload)
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows:
        raise PayloadChangedError(f"{_NAME}: no rows of {_NEWS}: not an input of this computation")
    try:
        model = model_with(config.lexicon)
    except BadInputError as error:
        raise PayloadChangedError(f"{_NAME}: {error}") from error
    scores: list[TitleScore] = []
    read = read_items(rows, lambda row: _scored(row, config, model, scores))
    return Parsed([*read.rows, *_means(scores, config.neutral_below)], read.rejected)


def _scored(row: Item, config: SentimentConfig, model: Model, scores: list[TitleScore]) -> TitleScore:
    """Score one title, and note the score."""
    title = text(row, "title")
    score = model.score(title)
    scored = TitleScore(
        title_source=text(row, "source", 60),
        channel=text(row, "feed", 60),
        item_id=text(row, "guid"),
        published_at=instant(row, "published_at"),
        symbols=",".join(coins_of(title, config.keywords)) or WHOLE_MARKET,
        score=score,
        label=label_of(score, config.neutral_below),
        model=model.name,
    )
    scores.append(scored)
    return scored


def _means(scores: Sequence[TitleScore], neutral_below: Decimal) -> Iterator[Sentiment]:
    """Yield the mean of each day and symbol; every title counts for the whole market."""
    of_day: dict[tuple[str, datetime], list[Decimal]] = defaultdict(list)
    for each in scores:
        for symbol in {WHOLE_MARKET, *each.symbols.split(",")}:
            of_day[symbol, floor(each.published_at, "day")].append(each.score)
    for (symbol, day), of_titles in sorted(of_day.items()):
        mean = (sum(of_titles, Decimal(0)) / len(of_titles)).quantize(_FOUR_DECIMALS, ROUND_HALF_EVEN)
        yield Sentiment(symbol, METRIC, day, mean, label_of(mean, neutral_below))


SOURCE = Source(
    name=_NAME,
    title="Sentiment of titles",
    tables=(TITLE_SCORE, SENTIMENT),
    endpoints=(Endpoint("news", cron="*/5 * * * *", every_s=300, reads=LedgerInput(NEWS, sources=(_NEWS,), step="day")),),
    parse=parse,
    config=SentimentConfig,
    history=History(first_day=date(2020, 1, 1)),
    homepage="https://github.com/cjhutto/vaderSentiment",
)
