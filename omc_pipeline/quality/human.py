"""What is asked of human: scores on their scale, a scorer that is alive, and texts without markup."""

from __future__ import annotations

from collections.abc import Mapping

from omc_pipeline.ledgers.human import NEWS, POST, POST_VOTE, SENTIMENT, TITLE_SCORE
from omc_pipeline.ledgers.table import LedgerTable
from omc_pipeline.quality.check import Check, TableRules, row_check
from omc_pipeline.quality.twins import twins

HOUR_S = 3600
DAY_S = 86400
ROWS_THAT_MUST_VARY = 7
RUN_THAT_IS_STUCK = 6
"""Newest scores of a metric that are equal although earlier ones were not."""
TITLES_THAT_MUST_VARY = 30
MARKUP = "<[A-Za-z/!]"


def _clean_title(table: LedgerTable) -> Check:
    return row_check(
        table,
        "plain_title",
        f"title !~ '{MARKUP}'",
        "Titles are plain text.",
        severity="warning",
        at_least=0.98,
        needs_rows=False,
        advice="Look at the rows that the check names. The source has a new way to write titles: correct `html_line`, then `omc replay`.",
    )


_VARIETY = f"""(SELECT symbol, metric, count(DISTINCT score) AS scores, max(observed_at) AS until,
        CASE WHEN count(*) > {RUN_THAT_IS_STUCK} THEN count(DISTINCT score) FILTER (WHERE place <= {RUN_THAT_IS_STUCK}) END AS newest,
        min(observed_at) FILTER (WHERE place <= {RUN_THAT_IS_STUCK}) AS since
    FROM (SELECT *, row_number() OVER (PARTITION BY symbol, metric ORDER BY observed_at DESC) AS place FROM w) AS ranked
    GROUP BY symbol, metric HAVING count(*) >= {ROWS_THAT_MUST_VARY})"""
# The digest of a day keeps its link and its words; only what is held under another id counts.
_NEWS_TWINS = twins("guid", "published_at", "title", ("feed",), (), "", "title !~* '^live'")

RULES: Mapping[str, TableRules] = {
    SENTIMENT.qualified: TableRules(
        interval_s=DAY_S,
        delay_s=6 * HOUR_S,
        wanted=("label",),
        keeps_things=False,  # a coin that no title names today is no gap
        checks=(
            row_check(
                SENTIMENT,
                "on_scale",
                "score BETWEEN CASE WHEN metric LIKE 'fear%' THEN 0 WHEN metric LIKE 'title%' THEN -1 ELSE -100 END"
                " AND CASE WHEN metric LIKE 'title%' THEN 1 ELSE 100 END",
                "Fear and greed lies in 0 to 100, the sentiment of titles in -1 to 1, any other metric within 100 of zero.",
                advice="Look at the rows that the check names. The source has changed its scale: correct the parser, and give the metric "
                "a new name.",
            ),
            Check(
                "sentiment_varies",
                "accuracy",
                "critical",
                "No metric repeats one score for ever, as a broken scorer does.",
                fact=f"""(SELECT min(least(scores, newest)) FROM {_VARIETY} AS metrics)""",
                failing=f"""SELECT concat_ws(' ', symbol, metric, 'unchanged from', since, 'to', until) FROM {_VARIETY} AS metrics
                    WHERE least(scores, newest) < 2""",
                low=2,
                unit="count",
                table=SENTIMENT,
                needs_rows=False,
                advice="Compare with the source's page. If it stands still there too, its scorer is broken: pause the source with "
                "`omc sources pause`.",
            ),
        ),
    ),
    NEWS.qualified: TableRules(
        is_event=True,
        window_s=3 * DAY_S,
        delay_s=2 * HOUR_S,  # publishers date an item when they plan it, and release it later
        checks=(
            _clean_title(NEWS),
            row_check(
                NEWS,
                "link",
                "link ~ '^https?://[^ ]+$'",
                "Each item links to its article.",
                needs_rows=False,
                advice="Look at the rows that the check names, and correct how the feed's links are read.",
            ),
            row_check(
                NEWS,
                "untracked",
                "link !~* '[?&]utm_'",
                "No link tracks its reader.",
                severity="warning",
                at_least=0.98,
                needs_rows=False,
                advice="Look at the rows that the check names: a publisher has a new parameter; add it in `web_link`.",
            ),
            Check(
                "news_distinct",
                "accuracy",
                "warning",
                "No item comes twice within an hour under two ids.",
                unit="count",
                fact=f"CASE WHEN count(*) > 0 THEN (SELECT count(*) FROM ({_NEWS_TWINS}) AS twins) END",
                failing=f"SELECT concat_ws(' ', id, 'and', other, 'of', at, title) FROM ({_NEWS_TWINS}) AS twins ORDER BY at DESC",
                high=0,
                best=0,
                worst=10,
                table=NEWS,
                needs_rows=False,
                advice="Open both links. A publisher may have changed its item and given it a new id; sentiment counts it twice. If it "
                "happens "
                "to many, correct how the feed's ids are read.",
            ),
            Check(
                "news_silence",
                "timeliness",
                "warning",
                "Some publisher has said something lately.",
                unit="s",
                fact="extract(epoch FROM :now - max(least(published_at, recorded_at)))",
                high=12 * HOUR_S,
                best=6 * HOUR_S,
                worst=36 * HOUR_S,
                table=NEWS,
                needs_rows=False,
                advice="See with `omc sources` which feed fails. If all answer, open one: its publisher may have moved it.",
            ),
        ),
    ),
    TITLE_SCORE.qualified: TableRules(
        is_event=True,
        window_s=3 * DAY_S,
        delay_s=3 * HOUR_S,
        checks=(
            row_check(
                TITLE_SCORE,
                "on_scale",
                "score BETWEEN -1 AND 1",
                "Scores lie in -1 to 1.",
                needs_rows=False,
                advice="The scorer is broken: look at `model` of the rows that the check names, and pause `human_sentiment`.",
            ),
            row_check(
                TITLE_SCORE,
                "label_agrees",
                "CASE label WHEN 'bullish' THEN score > 0 WHEN 'bearish' THEN score < 0 ELSE label = 'neutral' END",
                "The label agrees with the sign of the score.",
                advice="The scorer is broken: look at `model` of the rows that the check names, and pause `human_sentiment`.",
                needs_rows=False,
            ),
            Check(
                "title_score_varies",
                "accuracy",
                "critical",
                "The scorer tells titles apart.",
                fact=f"""least(CASE WHEN count(*) >= 50 THEN count(DISTINCT score) END, (SELECT CASE WHEN count(DISTINCT score) = 1 AND
                    count(*) = {TITLES_THAT_MUST_VARY} THEN 1 END FROM (SELECT score FROM w ORDER BY published_at DESC
                    LIMIT {TITLES_THAT_MUST_VARY}) AS newest))""",
                low=5,
                unit="count",
                table=TITLE_SCORE,
                needs_rows=False,
                advice="Score a title by hand. If all get one score, the lexicon or the library is broken: pause `human_sentiment`.",
            ),
        ),
    ),
    POST.qualified: TableRules(
        is_event=True,
        may_be_empty=True,
        window_s=3 * DAY_S,
        delay_s=2 * HOUR_S,
        checks=(
            _clean_title(POST),
            row_check(
                POST,
                "link",
                "link ~ '^https?://[^ ]+$'",
                "Each post has a link.",
                needs_rows=False,
                advice="Look at the rows that the check names, and correct how the source's links are read.",
            ),
            row_check(
                POST,
                "erased",
                "removed IS NULL OR (title = '[erased]' AND text IS NULL)",
                "Of a post that was taken back no word is kept.",
                advice="Look at the rows that the check names: words were stored after their post was taken back. "
                "Erase them, and find out which source does it.",
                needs_rows=False,
            ),
        ),
    ),
    POST_VOTE.qualified: TableRules(
        is_event=True,
        may_be_empty=True,
        window_s=3 * DAY_S,
        delay_s=DAY_S,
        checks=(
            row_check(
                POST_VOTE,
                "counts",
                "votes >= 0 OR kind = 'score'",
                "Only a score is ever below zero.",
                severity="warning",
                needs_rows=False,
                advice="Look at the rows that the check names: the source counts something new under this name.",
            ),
        ),
    ),
}
