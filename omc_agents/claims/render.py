"""Writes a brief: every sentence is a template filled from a verified claim, every claim cites its row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from omc_agents.claims.evidence import Evidence
from omc_agents.claims.fields import read_field, visible
from omc_agents.claims.kinds import KINDS
from omc_agents.claims.verify import Claim, Verification

REMARK = re.compile(
    r"No document of the filing was read; the brief says nothing of its content\."
    r"|Documents: \d+ [a-z ]+(?:, \d+ [a-z ]+)*; \d+ facts stand in them, \d+ stated ones did not and were dropped"
    r"(?:; \d+ passages were beyond the limit and were not read)?\."
    r"|Too few comparable events of the past have prices for an event study\."
    r"|No rows on [a-z]+(?: of [A-Z0-9_:]+(?:, [A-Z0-9_:]+)*)?: [a-z ]+\.",
    re.ASCII,
)
"""What a brief may say of how it was made."""
PRICES_STALE_AFTER = timedelta(hours=3)
LEDGER_OF_TABLE = {kind.table: kind.table.partition(".")[0] for kind in KINDS.values()} | {
    "pnl.position": "exchange",
    "analysis.event_study": "glass",
    "analysis.indicator": "glass",
}
_MISSING = {
    "price": "no quote of the span is known",
    "sentiment": "no score is known",
    "events": "nothing was published in the span",
    "orders": "the account has no fills",
    "profit": "no positions were computed by then",
    "chain": "no block is known",
    "flows": "the source is not configured or knows no flow of it",
    "quality": "no ledger was judged by then",
}
"""Why there may be no rows on a topic of a question."""


@dataclass(frozen=True)
class Brief:
    """A brief ready to be published; ``body`` is Markdown without links or markup from outside."""

    title: str
    body: str


@dataclass(frozen=True)
class Circumstances:
    """What a brief says of itself.

    Attributes:
        profile: Whose rows they are.
        as_of: When they were known.
        threshold: Score below which a ledger is called out.
        remarks: On how the brief was made, in code's own words.
    """

    profile: str
    as_of: datetime
    threshold: float
    remarks: Sequence[str] = ()


def render(verification: Verification, evidence: Mapping[str, Evidence], event_ref: str, circumstances: Circumstances) -> Brief:
    """Write the brief of one event.

    Args:
        verification: Its claims, in the order they are printed.
        evidence: Rows of the session by their reference.
        event_ref: Reference of the event's own row.
        circumstances: Printed, so that nobody takes sandbox rows for the market or old ones for news.
    """
    notes = (
        [] if any(KINDS[claim.kind].table == "exchange.quote" for claim in verification.claims) else ["No price is known for this event."]
    )
    return Brief(title=title_of(evidence[event_ref]), body=_body(verification, evidence, circumstances, notes))


def render_answer(
    verification: Verification, evidence: Mapping[str, Evidence], plan: Mapping[str, Any], circumstances: Circumstances
) -> Brief:
    """Write the answer to a question.

    Args:
        verification: Its claims, in the order they are printed.
        evidence: Rows of the session by their reference.
        plan: Coins, topics and span; codes only.
        circumstances: Printed, as in ``render``.
    """
    return Brief(title=title_of_plan(plan, circumstances.as_of), body=_body(verification, evidence, circumstances, ()))


def missing_remark(topic: str, coins: Sequence[str]) -> str:
    """Say that there are no rows on a topic of a question, and why that may be."""
    of = f" of {', '.join(coins)}" if coins else ""
    return f"No rows on {topic}{of}: {_MISSING[topic]}."


def title_of_plan(plan: Mapping[str, Any], as_of: datetime) -> str:
    """Return a title made of codes alone: topics, coins, span, time; of a brief that nobody asked for, what began it."""
    about = ", ".join(plan["coins"]) or "the market"
    moment = as_of.strftime("%Y-%m-%d %H:%M UTC")
    if plan.get("occasion") == "daily":
        return f"Daily market brief: {about}, {moment}"
    if plan.get("occasion") == "alert":
        return f"Quality alert: {plan.get('checked_source') or plan['ledger']}, {moment}"
    return f"Question: {', '.join(plan['topics'])} of {about}, {plan['span']}, {moment}"


def _body(verification: Verification, evidence: Mapping[str, Evidence], circumstances: Circumstances, notes: Sequence[str]) -> str:
    banner = f"**{circumstances.profile}** · as of {circumstances.as_of.strftime('%Y-%m-%d %H:%M:%S UTC')}"
    lines = [f"{number}. {claim.text} [{_cited(claim)}]" for number, claim in enumerate(verification.claims, 1)]
    dropped = sum(verification.dropped.values())
    details = [f"{dropped} drafted claims were dropped: no row bears them."] if dropped else []
    said = [*quality_lines(verification.claims, evidence, circumstances), *notes, *details]
    return "\n".join([banner, "", *lines, "", *circumstances.remarks, *said])


def title_of(event: Evidence) -> str:
    """Return a title made of codes alone: ticker, form, time."""
    shown = visible(event.table, event.row)
    what = f"form {shown['form']}" if "form" in shown else shown.get("event_type", "event").replace("_", " ")
    moment = datetime.fromisoformat(shown["published_at"]).strftime("%Y-%m-%d %H:%M UTC")
    return f"{shown.get('ticker', 'Tracked issuer')}: {what}, {moment}"


def quality_lines(claims: Sequence[Claim], evidence: Mapping[str, Evidence], circumstances: Circumstances) -> list[str]:
    """Say how far the ledgers behind the claims can be trusted: their newest scores, and prices older than three hours."""
    used = sorted({LEDGER_OF_TABLE[KINDS[claim.kind].table] for claim in claims} - {"quality"})
    scores = {
        str(row.row["ledger"]): read_field(row.table, "overall_score", row.row) for row in evidence.values() if row.table == "quality.score"
    }
    return [_score_line(ledger, scores.get(ledger), circumstances.threshold) for ledger in used] + _stale_prices(
        claims, evidence, circumstances.as_of
    )


def _score_line(ledger: str, score: object, threshold: float) -> str:
    if not isinstance(score, Decimal):
        return f"Quality of the {ledger} ledger: not judged yet."
    caution = f", below {threshold}: read its figures with care" if score < Decimal(str(threshold)) else ""
    return f"Quality of the {ledger} ledger: {score:.2f}{caution}."


def _stale_prices(claims: Sequence[Claim], evidence: Mapping[str, Evidence], as_of: datetime) -> list[str]:
    rows = [evidence[claim.ref].row for claim in claims if KINDS[claim.kind].table == "exchange.quote"]
    if not rows:
        return []
    age = as_of - max(datetime.fromisoformat(row["observed_at"]) for row in rows)
    return [f"Price ledger stale: newest quote is {age.total_seconds() / 3600:.1f} h old."] if age > PRICES_STALE_AFTER else []


def _cited(claim: Claim) -> str:
    return f"{claim.ref} against {claim.base_ref}" if claim.base_ref else claim.ref
