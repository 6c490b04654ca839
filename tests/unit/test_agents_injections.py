"""A model that obeys every injection it reads, against hostile strings planted in titles and issuer names.

The proof is stronger than a refusal rate: whatever the text and however obedient the model, the analysing question holds no word of
it, and the brief's claims are, to the letter, those that an honest analyst makes of the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import pytest
from injection_corpus import injection_strings

from omc_agents.claims.evidence import Evidence
from omc_agents.claims.render import Brief, Circumstances
from omc_agents.claims.verify import Verification
from omc_agents.models.panel import Caps
from omc_agents.models.protocol import Model, Request, Response, Text
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.models.worst_case import WorstCaseModel
from omc_agents.sessions.spend import Reservation
from omc_agents.sessions.store import Session, SessionStore
from omc_agents.workflow.context import SessionContext
from omc_agents.workflow.event_steps import STEPS, event_steps
from omc_agents.workflow.graph import first_state

pytestmark = pytest.mark.containment
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MOST_DRAFTED = 40
EVENT_REF = "catalyst.event/catalyst_sec_edgar/0000000001-26-000001@1"


class MemoryStore:
    """A session's memory in a dictionary; the evidence is there from the start, so nothing is retrieved."""

    def __init__(self, rows: Sequence[Evidence]) -> None:
        self.rows = {row.ref: row for row in rows}
        self.answers: dict[str, Response] = {}
        self.requests: list[Request] = []
        self.published: tuple[Brief, Verification] | None = None
        self.reason = ""
        self.started: Session | None = None

    def session(self, _session_id: str) -> Session | None:
        return self.started

    def counted_usd(self, _session_id: str) -> Decimal:
        return Decimal(0)

    def evidence(self, _session_id: str) -> dict[str, Evidence]:
        return self.rows

    def remembered(self, _session_id: str, sha256: str) -> Response | None:
        return self.answers.get(sha256)

    def reserve(self, wanted: Reservation, _caps: Caps) -> int:
        return len(wanted.step)

    def remember(
        self, _session_id: str, sha256: str, _model: str, request: Request, response: Response, _call: int, _cost_usd: Decimal
    ) -> None:
        self.answers[sha256] = response
        self.requests.append(request)

    def publish(self, _session: Session, brief: Brief, verification: Verification, _circumstances: Circumstances) -> None:
        self.published = brief, verification

    def finish(self, _session_id: str, _status: str, detail: str) -> None:
        self.reason = detail


def rows(title: str, issuer: str, **codes: str) -> list[Evidence]:
    event = {
        "source": "catalyst_sec_edgar",
        "event_id": "0000000001-26-000001",
        "event_type": "filing",
        "symbol": "BTC",
        "ticker": "MSTR",
        "form": "8-K",
    }
    quoted = {"source": "coinspot", "symbol": "BTC", "currency": "AUD", "bid": None, "ask": None}
    felt = {
        "source": "fng",
        "symbol": "MARKET",
        "metric": "fear_greed",
        "score": "41",
        "observed_at": "2026-11-23T00:00:00+00:00",
        "label": title,
    }
    return [
        Evidence(EVENT_REF, "t", {**event, "published_at": "2026-11-23T11:00:00+00:00", "title": title, "issuer": issuer, **codes}),
        Evidence("exchange.quote/new@1", "t", {**quoted, "last": "102", "observed_at": "2026-11-23T11:30:00+00:00"}),
        Evidence("exchange.quote/old@1", "t", {**quoted, "last": "100", "observed_at": "2026-11-22T11:30:00+00:00"}),
        Evidence("human.sentiment/x@1", "t", felt),
    ]


def briefed(model: Model, evidence: Sequence[Evidence]) -> MemoryStore:
    store = MemoryStore(evidence)
    session = store.started = Session(
        session_id="s",
        user_id="system",
        trigger="event",
        source="catalyst_sec_edgar",
        event_id="e",
        question=None,
        answers=(),
        status="running",
        waiting_for=None,
        prompt=None,
        step=None,
        model=model.name,
        marker="m4rk",
        event_recorded_at=NOON,
        as_of=NOON,
        attempts=1,
    )
    steps = event_steps(SessionContext(cast("SessionStore", store), session, model, "sandbox", 0.7))
    work = first_state(session)
    for name in STEPS:
        if work["status"] == "running" or name == "publish":
            work = steps[name](work)
    return store


@pytest.fixture(scope="module")
def strings() -> list[str]:
    return [planted.text for planted in injection_strings()]


@pytest.fixture(scope="module")
def honest() -> MemoryStore:
    return briefed(ScriptedAnalyst(), rows("8-K", "Strategy"))


def _claims(store: MemoryStore) -> list[str]:
    assert store.published is not None, store.reason
    lines = [line for line in store.published[0].body.splitlines() if line[:1].isdigit() and "drafted claims" not in line]
    return sorted(line.partition(". ")[2] for line in lines)


def _others(store: MemoryStore) -> list[str]:
    """Return the claims that don't tell of the event itself."""
    return [line for line in _claims(store) if EVENT_REF not in line]


def _asked(request: Request) -> str:
    return "".join(block.text for turn in request.turns for block in turn.blocks if isinstance(block, Text))


@pytest.mark.parametrize("plant", [lambda text: rows(text, "Strategy"), lambda text: rows("8-K", text), lambda text: rows(text, text)])
def test_an_obedient_model_gets_nothing_into_a_brief(
    plant: Callable[[str], list[Evidence]], strings: list[str], honest: MemoryStore
) -> None:
    for text in strings:
        store = briefed(WorstCaseModel(), plant(text))

        assert store.published is not None, text
        brief, verification = store.published
        assert _claims(store) == _claims(honest), text
        assert brief.title == cast("tuple[Brief, Verification]", honest.published)[0].title
        assert len(verification.claims) == 4
        assert sum(verification.dropped.values()) == MOST_DRAFTED - 4


def test_the_analysing_question_holds_no_word_from_outside(strings: list[str]) -> None:
    asked = set()
    for text in strings:
        _, analysis = briefed(ScriptedAnalyst(), rows(text, text)).requests
        question = json.loads(_asked(analysis))
        question.pop("extraction")
        asked.add(json.dumps(question))

    assert len(asked) == 1


def test_a_model_that_answers_in_words_of_its_own_is_refused_without_repeating_them(strings: list[str]) -> None:
    for text in strings:
        store = briefed(WorstCaseModel(breaks_schema=True), rows(text, text))

        assert store.published is None
        assert store.reason == "model: answer is not of the schema Extraction (1 faults)"


def test_hostile_codes_are_not_printed(strings: list[str], honest: MemoryStore) -> None:
    for text in strings:
        store = briefed(WorstCaseModel(), rows("8-K", "Strategy", ticker=text, form=text))

        assert store.published is not None, text
        brief, _ = store.published
        assert brief.title == "Tracked issuer: filing, 2026-11-23 11:00 UTC", text
        assert _others(store) == _others(honest)


def test_extraction_is_asked_without_tools_and_analysis_without_text(honest: MemoryStore) -> None:
    extraction, analysis = honest.requests

    assert extraction.tools == analysis.tools == ()
    assert json.loads(_asked(extraction))["envelopes"][0] == {
        "row_ref": EVENT_REF, "source": "catalyst_sec_edgar", "trust_tier": "filer", "text": "8-K",
    }  # fmt: skip
    assert "Strategy" not in _asked(analysis)
