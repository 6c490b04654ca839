"""The steps of a session about an event. Each takes the state and returns a new one; rows, prompts and answers stay in their own tables.

A step may be killed anywhere and is then run again from its top, so each leaves its work by an insert that can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from omc_agents.claims.evidence import Evidence, canonical_sha256
from omc_agents.claims.render import Circumstances, render
from omc_agents.claims.verify import Draft, Verification, repaired, verify
from omc_agents.models.failures import RefusalError
from omc_agents.models.protocol import Response
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.sessions.spend import SpendCapError
from omc_agents.sessions.store import Session
from omc_agents.tools.arguments import MARKET_PROXY, SentimentSource, Timeframe, is_event_type, is_symbol
from omc_agents.tools.toolbox import DOCUMENTS_TOOL, EVENT_STUDY
from omc_agents.workflow.context import SessionContext, Step, Work, bound, ended, spent
from omc_agents.workflow.model_answers import read_answer
from omc_agents.workflow.model_requests import Analysis, Extraction, analysis_request, extraction_request, repair_request
from omc_agents.workflow.reading import read_one
from omc_infra.errors import BadInputError, PayloadChangedError
from omc_pipeline.ledgers.glass import PROTOCOL_TVL

STEPS = ("retrieve", "extract", "read", "analyse", "verify", "publish")
NO_CLAIM = "no claim is borne by a row"
_READ_AS = {
    "read": "read",
    "missing": "not there when asked",
    "too_large": "too large to keep",
    "not_text": "not text",
    "unreadable": "without readable text",
    "no_answer": "to which the model gave no usable answer",
    "over_cap": "whose reading could have cost more than allowed",
}


def event_steps(context: SessionContext) -> Mapping[str, Step]:
    """Return the steps of a session about an event by name, in their order."""
    return bound(dict(zip(STEPS, (retrieve, extract, read, analyse, verify_claims, publish), strict=True)), context)


def retrieve(context: SessionContext, work: Work) -> Work:
    """Read the fixed plan of rows, once: a session that has evidence reads no more."""
    held = list(context.evidence.values())
    if not held:
        held = _planned_rows(context)
        context.store.add_evidence(context.session.session_id, held)
    return {**work, "event_ref": held[0].ref, "evidence": len(held), "evidence_sha256": canonical_sha256([row.sha256 for row in held])}


def extract(context: SessionContext, work: Work) -> Work:
    """Have the outside text of the event classified into enumerations."""
    request = extraction_request(context.evidence[work["event_ref"]], context.session.marker)
    answer = context.ask(request, "extract")
    try:
        extraction = read_answer(answer.text, Extraction)
    except PayloadChangedError as error:
        return ended(spent(work, answer), "refused", str(error))
    return {**spent(work, answer), "extraction": extraction.model_dump()}


def read(context: SessionContext, work: Work) -> Work:
    """Have the event's documents read; facts that they bear become evidence, and what could not be read is counted."""
    session, evidence = context.session, context.evidence
    planned = {ref for ref, row in evidence.items() if row.tool == DOCUMENTS_TOOL}
    if not planned:
        return work
    event, most = evidence[work["event_ref"]], context.panel.reading_characters
    known = context.toolbox.get_documents(*subject_of(session))
    found = [read_one(each, event, session.marker, context.ask, most) for each in known if each.evidence.ref in planned]
    context.store.add_evidence(session.session_id, [row for each in found for row in each.facts], first=work["evidence"])
    for each in found:
        work = spent(work, each.answer) if each.answer else work
    counts = {"facts": sum(len(each.facts) for each in found), "refused": sum(each.refused for each in found)}
    states = [each.state for each in found]
    return {**work, "reading": {"states": states, **counts, "left_out": sum(each.left_out for each in found)}}


def analyse(context: SessionContext, work: Work) -> Work:
    """Have claims drafted from the printable columns of the evidence; the drafts stay in the call ledger."""
    request = analysis_request(Extraction(**work["extraction"]), work["event_ref"], list(context.evidence.values()))
    answer = context.ask(request, "analyse")
    return {**spent(work, answer), "analysis_sha256": request.sha256(context.panel.name)}


def verify_claims(context: SessionContext, work: Work) -> Work:
    """Hold the drafts against the evidence, once with those that a model corrected; without a claim that stands nothing is published."""
    try:
        verification = verification_of(context, work)
        if verification.repairable:
            work = _with_repair(context, work, verification)
            verification = verification_of(context, work)
    except PayloadChangedError as error:
        return ended(work, "refused", str(error))
    counted = {**work, "verified": len(verification.claims), "dropped": dict(verification.dropped)}
    return counted if verification.claims else ended(counted, "inconclusive", f"{NO_CLAIM}; dropped: {dict(verification.dropped)}")


def publish(context: SessionContext, work: Work) -> Work:
    """End the session: with its brief and claims in one transaction, or without and with the reason."""
    if work["status"] != "running":
        context.store.finish(context.session.session_id, work["status"], work["reason"])
        return work
    verification, evidence = verification_of(context, work), context.evidence
    event = evidence[work["event_ref"]]
    remarks = [*reading_remarks(event, work.get("reading") or {}), *study_remarks(event, evidence.values())]
    circumstances = Circumstances(context.profile, context.session.as_of, context.alert_threshold, remarks)
    brief = render(verification, evidence, work["event_ref"], circumstances)
    context.store.publish(context.session, brief, verification, circumstances)
    return {**work, "status": "published"}


def reading_remarks(event: Evidence, reading: Mapping[str, Any]) -> list[str]:
    """Say what was read of the event's documents, and what was not."""
    states = list(reading.get("states", ()))
    if not states and event.row["event_type"] != "filing":
        return []
    if not states:
        return ["No document of the filing was read; the brief says nothing of its content."]
    parts = [f"{states.count(state)} {_READ_AS[state]}" for state in dict.fromkeys(states)]
    facts = f"{reading['facts']} facts stand in them, {reading['refused']} stated ones did not and were dropped"
    left_out = f"; {reading['left_out']} passages were beyond the limit and were not read" if reading["left_out"] else ""
    return [f"Documents: {', '.join(parts)}; {facts}{left_out}."]


def study_remarks(event: Evidence, evidence: Iterable[Evidence]) -> list[str]:
    """Say where an event about a coin has no event study."""
    if not event.row.get("symbol") or any(row.table == EVENT_STUDY for row in evidence):
        return []
    return ["Too few comparable events of the past have prices for an event study."]


def _planned_rows(context: SessionContext) -> list[Evidence]:
    box, (source, event_id) = context.toolbox, subject_of(context.session)
    event = box.event(source, event_id)
    symbol, event_type = event.row["symbol"] or "", event.row["event_type"] or ""
    symbol = symbol if is_symbol(symbol) else None  # outside text where a code belongs narrows nothing, and ends no session
    event_type = event_type if is_event_type(event_type) else None
    related = [row for row in box.get_catalyst_events(symbol, event_type) if row.row["published_at"] < event.row["published_at"]]
    rows = [
        event,
        *(each.evidence for each in box.get_documents(source, event_id)),
        *related,
        *(row for row in box.get_price_data(symbol or MARKET_PROXY, Timeframe.DAY) if row.table != PROTOCOL_TVL.qualified),
        *(row for span in (Timeframe.DAY, Timeframe.WEEK) for row in box.get_market_candles(symbol or MARKET_PROXY, span)),
        *box.get_event_study(event),
        *box.get_indicators(symbol or MARKET_PROXY),
        *box.get_sentiment_data(None, SentimentSource.FEAR_GREED),
        *box.get_order_history(),
        *box.get_ledger_quality(),
    ]
    return list({row.ref: row for row in rows}.values())


def subject_of(session: Session) -> tuple[str, str]:
    """Return source and id of the event that a session is about."""
    if session.source is None or session.event_id is None:
        raise BadInputError(f"session {session.session_id} is about no event")
    return session.source, session.event_id


def verification_of(context: SessionContext, work: Work) -> Verification:
    """Hold the recorded drafts against the evidence; a question has no event of its own.

    Raises:
        PayloadChangedError: The answer is not of the schema, or retention let go of it.
    """
    evidence, event_ref = context.evidence, work["event_ref"]
    first = verify(_drafts(context, work["analysis_sha256"]), evidence, event_ref)
    if "repair_sha256" not in work:
        return first
    return repaired(first, corrected(context.store.remembered(context.session.session_id, work["repair_sha256"])), evidence, event_ref)


def corrected(answer: Response | None) -> list[Draft]:
    """Return the drafts that a model wrote in place of refused ones; an answer of no use corrects nothing."""
    try:
        return read_answer(answer.text, Analysis).drafts() if answer else []
    except PayloadChangedError:
        return []


def _drafts(context: SessionContext, request_sha256: str) -> list[Draft]:
    answer = context.store.remembered(context.session.session_id, request_sha256)
    if answer is None:
        raise PayloadChangedError(f"call ledger: no answer to {request_sha256} in session {context.session.session_id}")
    return read_answer(answer.text, Analysis).drafts()


def _with_repair(context: SessionContext, work: Work, first: Verification) -> Work:
    """Give refused drafts back to the model, once, as far as no cap and no approval stands in the way; rules have nothing better to say."""
    request = repair_request(first.repairable, work["event_ref"], list(context.evidence.values()))
    if context.panel.name == ScriptedAnalyst.name or context.needs_approval(request):
        return work
    try:
        answer = context.ask(request, "repair")
    except (SpendCapError, RefusalError):
        return work
    return {**spent(work, answer), "repair_sha256": request.sha256(context.panel.name)}
