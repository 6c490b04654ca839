"""The steps of a session that a schedule or an alert began: retrieve, analyse, verify, publish.

Code made the plan when the session was opened. From there on it is worked like a question of that plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omc_agents.claims.evidence import Evidence, canonical_sha256
from omc_agents.tools.by_topic import rows_on
from omc_agents.workflow.context import SessionContext, Step, Work, bound, ended
from omc_agents.workflow.event_steps import verify_claims
from omc_agents.workflow.plan import SPANS
from omc_agents.workflow.question_steps import analyse, publish

OCCASION_STEPS = ("retrieve", "analyse", "verify", "publish")
NOTHING_KNOWN = "the ledgers hold no row on the plan"


def occasion_steps(context: SessionContext) -> Mapping[str, Step]:
    """Return the steps of such a session by name, in their order."""
    return bound(dict(zip(OCCASION_STEPS, (retrieve, analyse, verify_claims, publish), strict=True)), context)


def retrieve(context: SessionContext, work: Work) -> Work:
    """Read the planned rows, once: a session that has evidence reads no more."""
    planned = dict(context.session.plan or {})
    held = list(context.evidence.values())
    if not held:
        found = _rows_of_alert(context, planned) if planned["occasion"] == "alert" else _rows_of_day(context, planned)
        held = list({row.ref: row for row in found}.values())
        context.store.add_evidence(context.session.session_id, held)
    if not held:
        return ended({**work, "plan": planned}, "inconclusive", NOTHING_KNOWN)
    return {**work, "plan": planned, "evidence": len(held), "evidence_sha256": canonical_sha256([row.sha256 for row in held])}


def _rows_of_day(context: SessionContext, planned: Mapping[str, Any]) -> list[Evidence]:
    """Return the events of the span with the greatest impact, and what is planned else."""
    box, span = context.toolbox, SPANS[planned["span"]]
    others = [row for topic in planned["topics"] if topic != "events" for row in rows_on(box, topic, planned["coins"], span)]
    return [*box.get_top_events(span), *others]


def _rows_of_alert(context: SessionContext, planned: Mapping[str, Any]) -> list[Evidence]:
    """Return how the checks of the alert were judged last, and the newest score of each ledger."""
    box = context.toolbox
    checks = box.get_check_results(planned["ledger"], planned.get("checked_source", ""), planned["checked"])
    return [*checks, *box.get_ledger_quality()]
