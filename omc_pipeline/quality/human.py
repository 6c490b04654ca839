"""What is asked of human: scores on their scale, and a scorer that is alive."""

from __future__ import annotations

from collections.abc import Mapping

from omc_pipeline.ledgers.human import SENTIMENT
from omc_pipeline.quality.check import Check, TableRules, row_check

DAY_S = 86400
ROWS_THAT_MUST_VARY = 7

RULES: Mapping[str, TableRules] = {
    SENTIMENT.qualified: TableRules(
        interval_s=DAY_S,
        delay_s=6 * 3600,
        wanted=("label",),
        checks=(
            row_check(
                SENTIMENT,
                "on_scale",
                "score BETWEEN CASE WHEN metric LIKE 'fear%' THEN 0 ELSE -100 END AND 100",
                "Fear and greed lies in 0 to 100, any other metric within 100 of zero.",
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
                advice="Compare with the source's page. If it stands still there too, its scorer is broken: pause the source with `omc "
                "sources pause`.",
            ),
        ),
    ),
}
