"""The steps of a session about a question: plan, retrieve, analyse, verify, publish.

The words of the question go to one step only, in an envelope; the others see the plan, which holds codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

from omc_agents.claims.evidence import Evidence, canonical_sha256
from omc_agents.claims.render import Circumstances, missing_remark, render_answer
from omc_agents.sessions.store import Session
from omc_agents.tools.by_topic import TOOL_OF, rows_on
from omc_agents.tracing import carried
from omc_agents.workflow.context import SessionContext, Step, Work, bound, ended, spent
from omc_agents.workflow.event_steps import verification_of, verify_claims
from omc_agents.workflow.model_answers import read_answer
from omc_agents.workflow.model_requests import answer_request
from omc_agents.workflow.plan import SPANS, Choice, Named, Plan, asked_back, coins_named, plan_of, plan_request
from omc_infra.configuration import load_configuration
from omc_infra.errors import PayloadChangedError
from omc_pipeline.assets.configured import configured_registry

ANSWER_STEPS = ("plan", "retrieve", "analyse", "verify", "publish")
MOST_ASKED_BACK = 3
_AT_ONCE = 4


def question_steps(context: SessionContext) -> Mapping[str, Step]:
    """Return the steps of a session about a question by name, in their order."""
    return bound(dict(zip(ANSWER_STEPS, (plan, retrieve, analyse, verify_claims, publish), strict=True)), context)


def plan(context: SessionContext, work: Work) -> Work:
    """Find out what is asked; what stays open is asked back, a few times."""
    registry = configured_registry(load_configuration())
    while True:
        session = context.now()
        texts = _said(session)
        named = _named(texts, [coins_named(words, registry) for text in texts for words in _spellings(text, texts)])
        answer = context.ask(plan_request(texts, named.coins, session.marker), "plan")
        try:
            planned = plan_of(read_answer(answer.text, Choice), named)
        except PayloadChangedError as error:
            return ended(spent(work, answer), "refused", str(error))
        prompt = asked_back(planned, named)
        if prompt is None:
            context.store.note_plan(session.session_id, planned.as_document())
            return {**spent(work, answer), "plan": planned.as_document()}
        if len(session.answers) >= MOST_ASKED_BACK:
            return ended(spent(work, answer), "inconclusive", f"still unclear after {MOST_ASKED_BACK} answers")
        context.pause("answer", prompt)


def retrieve(context: SessionContext, work: Work) -> Work:
    """Read the planned rows, the topics side by side, once: a session that has evidence reads no more."""
    held = list(context.evidence.values())
    if not held:
        held = _planned_rows(context, _plan(work))
        context.store.add_evidence(context.session.session_id, held)
    if not {row.tool for row in held} & {TOOL_OF[topic] for topic in _plan(work).topics}:
        return ended(work, "inconclusive", " ".join(missing_remark(topic, _plan(work).coins) for topic in _plan(work).topics))
    return {**work, "evidence": len(held), "evidence_sha256": canonical_sha256([row.sha256 for row in held])}


def analyse(context: SessionContext, work: Work) -> Work:
    """Have claims drafted from the printable columns of the evidence; the drafts stay in the call ledger."""
    request = answer_request(work["plan"], list(context.evidence.values()))
    answer = context.ask(request, "analyse")
    return {**spent(work, answer), "analysis_sha256": request.sha256(context.panel.name)}


def publish(context: SessionContext, work: Work) -> Work:
    """End the session: with its answer and claims in one transaction, or without and with the reason."""
    if work["status"] != "running":
        context.store.finish(context.session.session_id, work["status"], work["reason"])
        return work
    verification, evidence, planned = verification_of(context, work), context.evidence, _plan(work)
    found = {row.tool for row in evidence.values()}
    remarks = [missing_remark(topic, planned.coins) for topic in planned.topics if TOOL_OF[topic] not in found]
    circumstances = Circumstances(context.profile, context.session.as_of, context.alert_threshold, remarks)
    brief = render_answer(verification, evidence, work["plan"], circumstances)
    context.store.publish(context.session, brief, verification, circumstances)
    return {**work, "status": "published"}


def _said(session: Session) -> list[str]:
    return [text for text in (session.question, *session.answers) if text]


def _spellings(text: str, texts: Sequence[str]) -> Sequence[str]:
    """Return a text as it is; an answer of one word in capitals, too, since it may be a ticker."""
    return (text,) if text is texts[0] or len(text.split()) > 1 else (text, text.upper())


def _named(texts: Sequence[str], found: Sequence[Named]) -> Named:
    """Join what each text names; an answer says which of several is meant."""
    coins = dict.fromkeys(symbol for each in found for symbol in each.coins)
    unclear = next((each.unclear for each in found if each.unclear), None)
    if unclear and len(texts) > 1:
        said = {word.strip(".,!?\"'").upper() for text in texts[1:] for word in text.split()}
        chosen = [symbol for symbol in unclear.symbols if symbol in said]
        if chosen:
            return Named(tuple({**coins, **dict.fromkeys(chosen)}))
    return Named(tuple(coins), unclear)


def _plan(work: Work) -> Plan:
    held = work["plan"]
    return Plan(tuple(held["coins"]), tuple(held["topics"]), held["span"])


def _planned_rows(context: SessionContext, planned: Plan) -> list[Evidence]:
    box, span = context.toolbox, SPANS[planned.span]
    topics = planned.topics if "quality" in planned.topics else (*planned.topics, "quality")
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tools") as pool:
        found = pool.map(carried(rows_on), repeat(box), topics, repeat(planned.coins), repeat(span))
        return list({row.ref: row for rows in found for row in rows}.values())
