"""The check of a proof holds each fact of a filing against the passage that its row quotes."""

from __future__ import annotations

from typing import Any

import pytest

from omc_agents.claims.evidence import Evidence
from omc_agents.claims.proof import Proof, ProofBrief, ProofClaim, ProofRow, ProofSession, faults_of, seal

EVENT = Evidence(
    "catalyst.event/catalyst_sec_edgar/1-31-1@1", "get_catalyst_events", {"source": "catalyst_sec_edgar", "event_id": "1-31-1"}
)
REF = "catalyst.document/catalyst_sec_edgar/1-31-1/main/p3/f0@1"
FAULT = f"row {REF}: its literal does not stand in its passage"
TEXT = "EXTC Stock | 120,500 | the Company acquired 1,250 bitcoins"


def faults(**changes: Any) -> list[str]:
    stated = {"event_id": "1-31-1", "ticker": "EXTC", "fact": "coins_purchased", "subject": "BTC", "value": "1250", "unit": "BTC"}
    fact = Evidence(REF, "read", {**stated, "passage": 3, "literal": "acquired 1,250 bitcoins", "passage_text": TEXT, **changes})
    row = {name: value for name, value in fact.row.items() if value is not None}
    rows = [Evidence(fact.ref, fact.tool, row), EVENT]
    proof = Proof(
        format="omc-proof/1",
        session=ProofSession(
            session_id="s", user_id="u", source="catalyst_sec_edgar", event_id="1-31-1", model="m", as_of="2031-01-01T00:00:00+00:00"
        ),
        event_ref=EVENT.ref,
        brief=ProofBrief(title="t", body="b", profile="p", alert_threshold=0.5, remarks=[], dropped=0),
        claims=[ProofClaim(kind="document_fact", ref=REF, base_ref=None, field="value", value="1250", text="")],
        rows=[ProofRow(ref=each.ref, tool=each.tool, row=dict(each.row), sha256=each.sha256) for each in rows],
        sha256="",
    )  # fmt: skip
    return faults_of(seal(proof))


def test_a_literal_of_the_passage_is_no_fault() -> None:
    assert FAULT not in faults()
    assert FAULT not in faults(literal="EXTC Stock 120,500")


@pytest.mark.parametrize("changes", [
    {"literal": "acquired 9,250 bitcoins"}, {"literal": "250 bitcoins"}, {"literal": ""}, {"literal": None}, {"passage_text": None},
    {"passage_text": "The Company acquired nothing."},
])  # fmt: skip
def test_a_literal_that_is_not_in_the_passage_is_a_fault(changes: dict[str, Any]) -> None:
    assert FAULT in faults(**changes)
