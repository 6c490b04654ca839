"""The steps of a session. Each takes the state and returns a new one; rows, prompts and answers stay in their own tables.

A step may be killed anywhere and is then run again from its top, so each leaves its work by an insert that can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from omc_agents.claims.evidence import Evidence, canonical_sha256
from omc_agents.claims.render import Circumstances, render
from omc_agents.claims.verify import Verification, verify
from omc_agents.models.panel import Panel, as_panel
from omc_agents.models.protocol import Model, Response
from omc_agents.sessions.calls import CallLedger
from omc_agents.sessions.store import SYSTEM_USER, Session, SessionStore
from omc_agents.tools.arguments import MARKET_PROXY, SentimentSource, Timeframe, is_event_type, is_symbol
from omc_agents.tools.toolbox import DOCUMENTS_TOOL, Toolbox
from omc_agents.workflow.questions import Analysis, Extraction, analysis_request, extraction_request, read_answer
from omc_agents.workflow.reading import read_one
from omc_infra.errors import PayloadChangedError
from omc_pipeline.ledgers.glass import PROTOCOL_TVL

Work = dict[str, Any]
"""The state: ids, digests, counts and a status; a dict in one channel, so that the saver stores it apart and encrypts it whole."""
Step = Callable[[Work], Work]
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


@dataclass(frozen=True)
class SessionContext:
    """What a session is worked with."""

    store: SessionStore
    session: Session
    model: Model | Panel
    profile: str
    alert_threshold: float

    @property
    def toolbox(self) -> Toolbox:
        """The session's tools: its knowledge time, and its user where that is a person."""
        user_id = None if self.session.user_id == SYSTEM_USER else self.session.user_id
        return Toolbox(self.store.engine, self.session.as_of, user_id, self.store.token)

    @property
    def calls(self) -> CallLedger:
        """The session's models, with their memory and their money."""
        return CallLedger(self.store, self.session.session_id, as_panel(self.model))

    @property
    def evidence(self) -> dict[str, Evidence]:
        """The session's rows by reference."""
        return self.store.evidence(self.session.session_id)


def first_state(session: Session) -> Work:
    """Return the state a session starts from."""
    return {"session_id": session.session_id, "status": "running", "event_ref": "", "spend": {"input": 0, "output": 0, "calls": 0}}


def steps_of(context: SessionContext) -> Mapping[str, Step]:
    """Return the steps by name, in their order, each bound to a session."""
    bound: Mapping[str, Callable[[SessionContext, Work], Work]] = dict(
        zip(STEPS, (retrieve, extract, read, analyse, verify_claims, publish), strict=True)
    )
    return {name: _bind(step, context) for name, step in bound.items()}


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
    answer = context.calls.complete(request, "extract")
    try:
        extraction = read_answer(answer.text, Extraction)
    except PayloadChangedError as error:
        return _refused(_spent(work, answer), str(error))
    return {**_spent(work, answer), "extraction": extraction.model_dump()}


def read(context: SessionContext, work: Work) -> Work:
    """Have the event's documents read; facts that they bear become evidence, and what could not be read is counted."""
    session, evidence = context.session, context.evidence
    planned = {ref for ref, row in evidence.items() if row.tool == DOCUMENTS_TOOL}
    if not planned:
        return work
    event, calls, most = evidence[work["event_ref"]], context.calls, as_panel(context.model).reading_characters
    known = context.toolbox.get_documents(session.source, session.event_id)
    found = [read_one(each, event, session.marker, calls, most) for each in known if each.evidence.ref in planned]
    context.store.add_evidence(session.session_id, [row for each in found for row in each.facts], first=work["evidence"])
    for each in found:
        work = _spent(work, each.answer) if each.answer else work
    counts = {"facts": sum(len(each.facts) for each in found), "refused": sum(each.refused for each in found)}
    states = [each.state for each in found]
    return {**work, "reading": {"states": states, **counts, "left_out": sum(each.left_out for each in found)}}


def analyse(context: SessionContext, work: Work) -> Work:
    """Have claims drafted from the printable columns of the evidence; the drafts stay in the call ledger."""
    request = analysis_request(Extraction(**work["extraction"]), work["event_ref"], list(context.evidence.values()))
    answer = context.calls.complete(request, "analyse")
    return {**_spent(work, answer), "analysis_sha256": request.sha256(context.model.name)}


def verify_claims(context: SessionContext, work: Work) -> Work:
    """Hold the drafts against the evidence; without a claim that stands the session is refused."""
    try:
        verification = _verification(context, work)
    except PayloadChangedError as error:
        return _refused(work, str(error))
    counted = {**work, "verified": len(verification.claims), "dropped": dict(verification.dropped)}
    return counted if verification.claims else _refused(counted, f"{NO_CLAIM}; dropped: {dict(verification.dropped)}")


def publish(context: SessionContext, work: Work) -> Work:
    """End the session: with its brief and claims in one transaction, or refused with the reason."""
    if work["status"] == "refused":
        context.store.finish(context.session.session_id, "refused", work["reason"])
        return work
    verification, evidence = _verification(context, work), context.evidence
    remarks = reading_remarks(evidence[work["event_ref"]], work.get("reading") or {})
    circumstances = Circumstances(context.profile, context.session.as_of, context.alert_threshold, remarks)
    brief = render(verification, evidence, work["event_ref"], circumstances)
    context.store.publish(context.session, brief, verification, circumstances)
    return {**work, "status": "published"}


def reading_remarks(event: Evidence, reading: Mapping[str, Any]) -> list[str]:
    """Say what was read of the event's documents, and what was not."""
    if event.row["event_type"] != "filing":
        return []
    states = list(reading.get("states", ()))
    if not states:
        return ["No document of the filing was read; the brief says nothing of its content."]
    parts = [f"{states.count(state)} {_READ_AS[state]}" for state in dict.fromkeys(states)]
    facts = f"{reading['facts']} facts stand in them, {reading['refused']} stated ones did not and were dropped"
    left_out = f"; {reading['left_out']} passages were beyond the limit and were not read" if reading["left_out"] else ""
    return [f"Documents: {', '.join(parts)}; {facts}{left_out}."]


def _planned_rows(context: SessionContext) -> list[Evidence]:
    box, event = context.toolbox, context.toolbox.event(context.session.source, context.session.event_id)
    symbol, event_type = event.row["symbol"] or "", event.row["event_type"] or ""
    symbol = symbol if is_symbol(symbol) else None  # outside text where a code belongs narrows nothing, and ends no session
    event_type = event_type if is_event_type(event_type) else None
    related = [row for row in box.get_catalyst_events(symbol, event_type) if row.row["published_at"] < event.row["published_at"]]
    rows = [
        event,
        *(each.evidence for each in box.get_documents(context.session.source, context.session.event_id)),
        *related,
        *(row for row in box.get_price_data(symbol or MARKET_PROXY, Timeframe.DAY) if row.table != PROTOCOL_TVL.qualified),
        *box.get_sentiment_data(None, SentimentSource.FEAR_GREED),
        *box.get_order_history(),
        *box.get_ledger_quality(),
    ]
    return list({row.ref: row for row in rows}.values())


def _verification(context: SessionContext, work: Work) -> Verification:
    answer = context.store.remembered(context.session.session_id, work["analysis_sha256"])
    if answer is None:
        raise PayloadChangedError(f"call ledger: no answer to {work['analysis_sha256']} in session {context.session.session_id}")
    return verify(read_answer(answer.text, Analysis).drafts(), context.evidence, work["event_ref"])


def _refused(work: Work, reason: str) -> Work:
    return {**work, "status": "refused", "reason": reason[:500]}


def _spent(work: Work, answer: Response) -> Work:
    spend = work["spend"]
    usage = answer.usage
    return {**work, "spend": {"input": spend["input"] + usage.input, "output": spend["output"] + usage.output, "calls": spend["calls"] + 1}}


def _bind(step: Callable[[SessionContext, Work], Work], context: SessionContext) -> Step:
    return lambda work: step(context, work)
