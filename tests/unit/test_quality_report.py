"""What a program reads of a run of the suites: failed checks by severity, with their rows, as the reference page describes them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from omc_pipeline.quality.report import CheckOutcome, LedgerQuality, QualityReport
from omc_pipeline.quality.score import LedgerScore

PAGE = Path(__file__).parents[2] / "docs/reference/checks.md"
NOW = datetime(2026, 11, 20, tzinfo=UTC)
KEY = "BTC AUD 2026-11-20T00:00:00+00:00"
CROSSED = CheckOutcome(
    name="quote_uncrossed", ledger="exchange", source="exchange_quotes", dimension="accuracy", severity="critical", blocking=True,
    passed=False, score=0.2, judged=True, value=0.9, observed="0.9", expected="share at least 1", rows=10, window_from=NOW,
    window_to=NOW, description="No bid is above its ask.", examples=(KEY,), advice="Compare with the venue.",
)  # fmt: skip
WORSE = replace(CROSSED, name="quote_present", dimension="completeness", score=0.0, examples=())
STUCK = replace(CROSSED, name="quote_moves", severity="warning")
NEW_KEY = replace(CROSSED, name="payload_new_keys", severity="info")
SOUND = replace(CROSSED, name="looked", passed=True, score=1.0, examples=())
REPORT = QualityReport(
    UUID(int=0), {"exchange": LedgerQuality(LedgerScore(0.0, 1.0, 0.2), [CROSSED, SOUND, STUCK, NEW_KEY, WORSE], 0.7)}, []
)


def test_failed_checks_are_listed_by_severity_the_worst_first() -> None:
    ledger = REPORT.as_document()["ledgers"]["exchange"]

    names = {severity: [finding["check"] for finding in ledger[severity]] for severity in ("issues", "warnings", "info")}
    assert names == {"issues": ["quote_present", "quote_uncrossed"], "warnings": ["quote_moves"], "info": ["payload_new_keys"]}
    assert len(ledger["checks"]) == 5


def test_a_finding_says_which_rows_fail_and_what_to_do() -> None:
    finding = REPORT.as_document()["ledgers"]["exchange"]["issues"][1]

    assert (finding["failing_rows"], finding["advice"]) == ([KEY], "Compare with the venue.")
    assert (finding["source"], finding["score"], finding["observed"]) == ("exchange_quotes", 0.2, "0.9")


def test_a_ledger_without_a_configured_source_has_no_findings_and_no_scores() -> None:
    ledger = QualityReport(UUID(int=0), {"catalyst": LedgerQuality(None, [], 0.7)}, []).as_document()["ledgers"]["catalyst"]

    assert [ledger[name] for name in ("issues", "warnings", "info", "overall_score")] == [[], [], [], None]


def test_the_reference_page_describes_exactly_the_fields_that_are_printed() -> None:
    ledger = REPORT.as_document()["ledgers"]["exchange"]

    assert _described("field of a ledger") == set(ledger)
    assert _described("field of an issue, warning or info") == set(ledger["issues"][0])


def _described(title: str) -> set[str]:
    table = PAGE.read_text().split(f"| {title} |")[1].split("\n\n")[0]
    return {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
