"""What is asked of catalyst: events a person can look up, told once; and their documents."""

from __future__ import annotations

from collections.abc import Mapping

from omc_pipeline.ledgers.catalyst import DOCUMENT, EVENT
from omc_pipeline.quality.check import Check, TableRules, row_check
from omc_pipeline.quality.twins import twins

DAY_S = 86400

OF_SILENCE = frozenset({"event_silence"})
"""Checks that don't concern a source whose events may not happen for months."""

# An announcement is told once; filings of one kind may come in the same hour, but each has a page of its own.
TWINS = twins("event_id", "published_at", "title", ("issuer", "event_type"), ("symbol",), "url", "form IS NULL")

RULES: Mapping[str, TableRules] = {
    EVENT.qualified: TableRules(
        is_event=True,
        window_s=90 * DAY_S,
        delay_s=6 * 3600,  # acceptance times of an undecided zone may be Eastern times read as UTC, and so 5 h early
        checks=(
            row_check(
                EVENT,
                "https",
                "url LIKE 'https://_%'",
                "Each event links to its https page.",
                needs_rows=False,
                advice="Look at the events that the check names. If the source builds links in another way now, correct its parser and "
                "run `omc replay`.",
            ),
            row_check(
                EVENT,
                "accession",
                "form IS NULL OR event_id ~ '^[0-9]{10}-[0-9]{2}-[0-9]{6}$'",
                "A filing is named by its accession number.",
                needs_rows=False,
                advice="Look at the events that the check names. EDGAR has changed its ids, or the parser reads another field: correct "
                "it and run `omc replay`.",
            ),
            row_check(
                EVENT,
                "filed_on",
                "abs(filed_on - (published_at AT TIME ZONE 'UTC')::date) <= 5",
                "The filing date lies within five days of publication.",
                severity="warning",
                at_least=0.95,
                needs_rows=False,
                advice="A few late filings are normal. If all differ, the parser reads another date: compare with the filing's page.",
            ),
            row_check(
                EVENT,
                "symbol_canonical",
                "symbol = upper(symbol)",
                "Symbols are upper case.",
                severity="warning",
                needs_rows=False,
                advice="Correct the symbols in the source's section of `omc.toml`, or the parser.",
            ),
            row_check(
                EVENT,
                "zone_decided",
                "published_zone <> 'undecided'",
                "The zone of a filing's time is known.",
                severity="info",
                at_least=0.5,
                worst=0.0,
                needs_rows=False,
                advice="Usual for filers of few filings, and for filings of before zones were decided: their times may be 4 to 5 h early. "
                "Use `recorded_at` where that matters.",
            ),
            row_check(
                EVENT,
                "impact_on_scale",
                "impact BETWEEN 1 AND 10",
                "Impacts lie in 1 to 10.",
                needs_rows=False,
                advice="Look at the events that the check names, and correct the rules that rate them in `catalyst_rules.toml`; then "
                "`omc replay`.",
            ),
            Check(
                "event_distinct",
                "accuracy",
                "critical",
                "No event is held twice: under another id with the same link, or within an hour with the same words.",
                unit="count",
                fact=f"CASE WHEN count(*) > 0 THEN (SELECT count(*) FROM ({TWINS}) AS twins) END",
                failing=f"SELECT concat_ws(' ', id, 'and', other, 'of', at, title) FROM ({TWINS}) AS twins ORDER BY at DESC",
                high=0,
                table=EVENT,
                needs_rows=False,
                advice="Compare the two pages. If they tell one event, the source publishes it under several ids: correct how the "
                "parser makes "
                "ids, then `omc replay`. A brief may have been written twice.",
            ),
            Check(
                "event_silence",
                "timeliness",
                "warning",
                "The newest event is no older than issuers are ever silent.",
                unit="s",
                fact="extract(epoch FROM :now - max(least(published_at, recorded_at)))",
                high=21 * DAY_S,
                best=14 * DAY_S,
                worst=42 * DAY_S,
                table=EVENT,
                needs_rows=False,
                advice="Compare with the issuers' pages. If they did publish, the source no longer shows it: look at its bodies. If not, "
                "wait.",
            ),
        ),
    ),
    DOCUMENT.qualified: TableRules(
        is_event=True,
        may_be_empty=True,
        window_s=7 * DAY_S,
        delay_s=6 * 3600,
        checks=(
            row_check(
                DOCUMENT,
                "fetched",
                "state = 'fetched' AND content IS NOT NULL",
                "The documents of fresh events are there.",
                severity="warning",
                dimension="completeness",
                at_least=0.8,
                needs_rows=False,
                advice="Open the url of a row that the check names. If the document is there, `omc collect catalyst_sec_edgar` asks again "
                "for those that were missing. For those that were too large, raise `document_bytes` of the source in `omc.toml`.",
            ),
        ),
    ),
}
