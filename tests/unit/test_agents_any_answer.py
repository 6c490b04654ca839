"""Whatever a model answers, the checks return: a claim or a fact that can't stand is refused, and takes nothing else with it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omc_agents.claims.evidence import Evidence
from omc_agents.claims.fields import FIELDS
from omc_agents.claims.kinds import KINDS
from omc_agents.claims.safety import unsafe_reason
from omc_agents.claims.verify import Draft, verify
from omc_agents.claims.vocabularies import FACTS
from omc_agents.workflow.model_answers import read_answer
from omc_agents.workflow.model_requests import Analysis, Extraction, Reading
from omc_agents.workflow.reading import accepted_facts
from omc_infra.errors import PayloadChangedError
from omc_pipeline.documents.fact import MODALITIES, DocumentFact
from omc_pipeline.documents.reader import read_document

pytestmark = pytest.mark.containment
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).isoformat()
EVENT = "catalyst.event/catalyst_sec_edgar/0000000001-26-000001@1"
ROWS = {
    row.ref: row
    for row in [
        Evidence(
            EVENT, "t", {"source": "s", "event_id": "0000000001-26-000001", "event_type": "filing", "form": "8-K", "published_at": NOON}
        ),
        Evidence("exchange.quote/a@1", "t", {"source": "s", "symbol": "BTC", "currency": "AUD", "last": "102", "observed_at": NOON}),
        Evidence("catalyst.document/a@1", "t", {"event_id": "1", "fact": "holdings", "value": "5", "unit": "BTC", "published_at": NOON}),
    ]
}
DOCUMENT = read_document(
    b"<p>During the week ended November 22, 2026 Acme Corp (ACME) bought 2,590 bitcoins for $250.9 million. A bid of at least 900"
    b" SELLNOW is required. Holdings increased by 50 DUMPIT per PANIC.</p>"
    b"<table><tr><td>in millions</td><td>Cash</td></tr><tr><td>2026</td><td>12</td></tr></table>"
)
ODD = st.sampled_from(
    [
        *(
            "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00:00+23:59",
            "20260101T1",
            "2026-13-45",
            "2026-Q9",
            "as of 9999-99-99",
            "5 to 1e9999999",
        ),
        *(
            "1e9999999",
            "-1e-9999999",
            "sNaN",
            "NaN",
            "Infinity",
            "-0",
            "9" * 60,
            "1_000",
            "٣",
            " 5 ",
            "\x00",
            "\ud800",
            "\u202e9",
            "(",
            "[a-",
            "",
        ),
    ]
)
TEXT = ODD | st.text(max_size=60)


def words(*known: str) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(known)) | TEXT


@pytest.mark.slow
@given(
    st.lists(
        st.builds(
            Draft,
            kind=words(*KINDS),
            ref=words(*ROWS),
            field=words(*{name for fields in FIELDS.values() for name in fields}),
            value=TEXT,
            base_ref=st.none() | words(*ROWS),
        ),
        max_size=8,
    )
)
@example(
    [
        Draft("event_filed", EVENT, "published_at", value)
        for value in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "20260101T1")
    ]
)
def test_any_drafts_are_verified_or_dropped(drafts: list[Draft]) -> None:
    verification = verify(drafts, ROWS, EVENT)

    assert len(verification.claims) + sum(verification.dropped.values()) == len(drafts)
    assert not [claim for claim in verification.claims if unsafe_reason(claim.text)]


PASSAGE_WORDS = ("900", "2,590", "50", "12", "$250.9 million", "SELLNOW", "DUMPIT", "PANIC", "ACME", "November 22, 2026", "BTC", "USD")
FACT = st.builds(
    DocumentFact,
    kind=words(*FACTS),
    subject=words(*PASSAGE_WORDS),
    value=words(*PASSAGE_WORDS, "2590", "250900000"),
    unit=words("USD", "BTC", "shares", "%", "date", "datetime", "period", "venue", "rule", "USD per BTC", "SELLNOW", "DUMPIT per PANIC"),
    passage=st.integers(0, 5) | st.just(1_000_000),
    literal=words(*PASSAGE_WORDS),
    period=TEXT,
    modality=st.none() | words(*MODALITIES),
    negated=st.booleans(),
)


@settings(max_examples=400)
@given(FACT)
@example(DocumentFact("threshold", "SELLNOW", "1e9999999", "SELLNOW", 0, "900"))
@example(DocumentFact("coins_purchased", "BTC", "1e9999999", "BTC", 0, "2,590 bitcoins"))
@example(DocumentFact("coins_purchased", "BTC", "sNaN", "BTC", 0, "2,590 bitcoins"))
def test_any_fact_is_accepted_or_refused(fact: DocumentFact) -> None:
    for kept in accepted_facts([fact], DOCUMENT):
        assert kept.passage in {passage.number for passage in DOCUMENT.passages}


@pytest.mark.parametrize("unit", ["SELLNOW", "SELLALL", "DUMPIT per PANIC", "BTC per PANIC"])
def test_a_unit_in_words_of_its_own_is_not_printed(unit: str) -> None:
    row = Evidence("catalyst.document/b@1", "read", {"fact": "threshold", "value": "900", "unit": unit, "ticker": "MSTR"})

    verification = verify([Draft("document_fact", row.ref, "value", "900")], {row.ref: row}, EVENT)

    assert dict(verification.dropped) == {"row has an unprintable column": 1}


def test_a_number_too_long_to_be_written_out_is_not_printed() -> None:
    row = Evidence("catalyst.document/b@1", "read", {"fact": "threshold", "value": "1e9999999", "unit": "USD", "ticker": "MSTR"})

    assert not verify([Draft("document_fact", row.ref, "value", "1e9999999")], {row.ref: row}, EVENT).claims


@pytest.mark.parametrize("unit", ["USD", "BTC", "shares", "%", "USD per BTC", "USD per share", "EH/s"])
def test_the_units_of_documents_are_printed(unit: str) -> None:
    row = Evidence("catalyst.document/b@1", "read", {"fact": "threshold", "value": "900", "unit": unit, "ticker": "MSTR"})

    assert f"900 {unit}" in verify([Draft("document_fact", row.ref, "value", "900")], {row.ref: row}, EVENT).claims[0].text


@pytest.mark.parametrize("schema", [Extraction, Reading, Analysis])
@given(
    answer=st.text()
    | st.sampled_from(["[" * 100_000, '{"claims": ' * 5_000, '{"claims": [' + "9" * 10_000 + "]}", '"\\ud800"', "\x00", "nul"])
)
def test_any_answer_is_of_the_schema_or_refused(schema: type[Analysis], answer: str) -> None:
    said = ""
    try:
        read_answer(answer, schema)
    except PayloadChangedError as error:
        said = str(error)

    assert re.fullmatch(rf"(model: answer is not of the schema {schema.__name__} \(\d+ faults\))?", said)
