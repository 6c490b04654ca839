"""What a day is a day of: a deadline, a maturity, a filing, the opening or the close of deposits, or when something takes effect."""

from __future__ import annotations

import re

from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold

DAY_UNITS = ("date", "datetime")
_SAYS = r"which\b|indicat\w+|notif\w+|stating\b|because\b"
_CLAUSE_ENDS = re.compile(rf"[;]|(?<=[a-z)”])\.(?=[A-Z])|\b(?:{_SAYS})")
_UNTIL = re.compile(
    r"(?:\b(?:until|by|no later than|not later than|on or before|before|deadline\b.{0,30}|expir\w+(?: on)?|end(?:s|ing)? on|within\b(?!.*\bfollowing\b).{0,40})"
    r"|\b(?:must|required?|regain|submit|respond|cure|complet\w+)\b[^.;]{0,60}\bprior to)\s*(?:\w+day,?\s*)?$",
    re.IGNORECASE,
)
_FILED = re.compile(r"\b(?:filed|furnished)\b(?:[^.;\d]|8-K|10-[KQ]|6-K){0,90}$", re.IGNORECASE)
_MATURES = re.compile(r"\bmatur\w+", re.IGNORECASE)
_DOOR = {
    "deposits": re.compile(r"\bdeposit\w*", re.IGNORECASE),
    "withdrawals": re.compile(r"\bwithdraw\w*", re.IGNORECASE),
    "conversion": re.compile(r"\bconvert(?:ed|s)?\b", re.IGNORECASE),
}
_ORIGINAL = re.compile(r"\b(?:original\w*|previous\w*|initial\w*)\b", re.IGNORECASE)
_WANTED = {"deadline": "deadline", "maturity": "maturity", "amends": "filing"}
_OPENS = re.compile(r"\b(?:open\w*|start\w*|resum\w*|begin\w*|enabl\w*|available|can)\b", re.IGNORECASE)
_CLOSES = re.compile(
    r"\b(?:clos\w*|ceas\w*|suspend\w*|stop\w*|halt\w*|disabl\w*|end\w*|no longer|not be|will not|unavailable)\b", re.IGNORECASE
)
_REPORT = re.compile(
    r"\b(?:\d{1,2}-[KQFS]\w*|[SF]-\d|424B\d|form|reports?|statements?|release|prospectus\w*|filing|proxy|agreement|announcement|original|notice of \w+)\b",
    re.IGNORECASE,
)


def own_clause(place: Place) -> str:
    """Return the clause of a sentence that a literal stands in: what a notice says is another one than that it came."""
    before = _CLAUSE_ENDS.split(place.before)[-1]
    return f"{before} {place.sentence[len(place.before) : len(place.sentence) - len(place.after)]} {_CLAUSE_ENDS.split(place.after)[0]}"


def event_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why a day is not one of a fact's kind, or None where it is; other facts than days pass."""
    if fact.unit not in DAY_UNITS:
        return None
    said = _said_to_be(place, fold(fact.literal))
    door, _, verb = fact.kind.partition("_")
    if door in _DOOR and verb in ("open", "close", ""):
        return None if fact.kind in said else "the words there tell of another day"
    wanted = _WANTED.get(fact.kind)
    if wanted:
        return None if wanted in said and (wanted != "filing" or _REPORT.search(fact.subject)) else f"no {wanted} is there"
    was_original = bool(_ORIGINAL.search(f"{place.before[-40:]} {fold(fact.literal)}")) and "postpon" not in fact.literal
    if was_original and "postponed" in fact.kind:
        return "it is the day before it was postponed"
    if fact.kind != "effective_date":
        return None
    return "it is not the original day" if _ORIGINAL.search(fact.subject) and not was_original else _effective(said, fact.subject)


def _effective(said: set[str], subject: str) -> str | None:
    """A day that is told as one of another kind is no day of effect, unless the subject is that very thing."""
    named = {
        "deadline": r"deadline|period|expir",
        "maturity": r"matur",
        "filing": r"fil(?:ed|ing)",
    }
    for what in said:
        own = named.get(what) or what.split("_")[0].rstrip("s")[:7]
        if not re.search(own, subject, re.IGNORECASE):
            return "the words there tell of another day"
    return None


def _said_to_be(place: Place, literal: str) -> set[str]:
    """Return the kinds of days that the words around a day mean."""
    first_digit = re.search(r"\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b|\d", literal)
    lead = f"{place.before}{literal[: first_digit.start()] if first_digit else literal}"
    lead = _CLAUSE_ENDS.split(lead)[-1]
    near = f"{lead[-140:]} {literal} {re.split(r'[.;,]', place.after)[0][:60]}"
    found = set()
    if _UNTIL.search(lead):
        found.add("deadline")
    if _MATURES.search(near):
        found.add("maturity")
    if _FILED.search(lead):
        found.add("filing")
    doors = {door: max((match.start() for match in pattern.finditer(lead)), default=-1) for door, pattern in _DOOR.items()}
    door = max(doors, key=lambda name: doors[name])
    if doors[door] >= 0:
        words = lead[max(0, doors[door] - 60) :]
        closes = bool(_CLOSES.search(words))
        found.add("conversion" if door == "conversion" else f"{door}_{'close' if closes or not _OPENS.search(words) else 'open'}")
    return found
