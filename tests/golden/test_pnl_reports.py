"""Whole reports against files that a person has looked at; ``GOLDEN=write`` writes them anew."""

from __future__ import annotations

import importlib.util
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from omc_pipeline.pnl.report.document import Question, report_of
from omc_pipeline.pnl.report.export import as_csv
from omc_pipeline.pnl.report.periods import Window
from omc_pipeline.pnl.report.record import Record
from omc_pipeline.pnl.report.sheet import tear_sheet

FOLDER = Path(__file__).parent / "pnl_reports"
SYDNEY = ZoneInfo("Australia/Sydney")


@pytest.fixture(scope="module")
def record() -> Record:
    spec = importlib.util.spec_from_file_location("report_record", Path(__file__).with_name("report_record.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    answer: Record = module.record()
    return answer


QUESTIONS = {
    "coin": Question(),
    "month": Question(by="period"),
    "week": Question(by="period", period="week", zone=SYDNEY),
    "algorithm": Question(by="algorithm"),
    "match": Question(by="match"),
    "spring": Question(by="period", period="day", window=Window(datetime(2026, 3, 25, tzinfo=UTC))),
    "tax-2025": Question(tax_year=2025, zone=SYDNEY),
    "tax-2026": Question(tax_year=2026, zone=SYDNEY),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_csv_is_the_golden_one(name: str, record: Record) -> None:
    expect(f"{name}.csv", as_csv(report_of(record, QUESTIONS[name]).document))


@pytest.mark.parametrize("name", ["spring", "tax-2026"])
def test_the_tear_sheet_is_the_golden_one(name: str, record: Record) -> None:
    expect(f"{name}.html", tear_sheet(report_of(record, QUESTIONS[name])))


@pytest.mark.parametrize("name", ["coin", "tax-2025", "tax-2026"])
def test_the_document_is_the_golden_one(name: str, record: Record) -> None:
    document = report_of(record, QUESTIONS[name]).document
    rounded = {metric: round(value, 12) if isinstance(value, float) else value for metric, value in document["metrics"].items()}

    expect(f"{name}.json", json.dumps({**document, "metrics": rounded, "rows": len(document["rows"])}, indent=1, ensure_ascii=False) + "\n")


def expect(name: str, text: str) -> None:
    path = FOLDER / name
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
