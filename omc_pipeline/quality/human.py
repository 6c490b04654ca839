"""What is asked of human: scores on their scale, a scorer that is alive, and texts without markup."""

from __future__ import annotations

from collections.abc import Mapping

from omc_pipeline.ledgers.human import NEWS, POST, POST_VOTE, SENTIMENT, TITLE_SCORE
from omc_pipeline.ledgers.table import LedgerTable
from omc_pipeline.quality.check import Check, TableRules, row_check

HOUR_S = 3600
DAY_S = 86400
ROWS_THAT_MUST_VARY = 7
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
                fact=f"""(SELECT min(scores) FROM (SELECT count(DISTINCT score) AS scores FROM w GROUP BY symbol, metric
                    HAVING count(*) >= {ROWS_THAT_MUST_VARY}) AS metrics)""",
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
                fact="CASE WHEN count(*) >= 50 THEN count(DISTINCT score) END",
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
