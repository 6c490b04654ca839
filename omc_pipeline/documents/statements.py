"""Values that are words: a rule, a ticker, a name, a role, a status. Each has a form, and its words stand in the literal."""

from __future__ import annotations

import re

from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.wording import words_stand

_TITLE = re.compile(
    r"\b(?:officer|president|director|head|chair\w*|advis[eo]r\w*|member|employee|manager|managing|secretary|treasurer|counsel|partner"
    r"|consultant|founder|trustee|controller|executive|chief|C[EFOTI]O|committee|board)\b",
    re.IGNORECASE,
)
_PERSON = re.compile(r"[A-Z][\w.’'-]*(?:\s+[A-Z][\w.’'-]*){1,4}(?:,\s*(?:Jr|Sr|II|III|[A-Z]{2,4})\.?)?")
_FORMS = {
    "ticker": re.compile(r"[A-Z0-9][A-Z0-9.:/-]{0,14}"),
    "rule": re.compile(r"(?=.*\d).{1,60}"),
    "venue": re.compile(r"[^/\d]{2,60}"),
    "pairs": re.compile(r"[\w.]+\s?[/-]\s?[\w.]+(?:,\s*[\w.]+\s?[/-]\s?[\w.]+)*"),
    "role": re.compile(rf".*{_TITLE.pattern}.*", re.IGNORECASE),
    "status": re.compile(r"(?!.*\d{3})(?!.*\b(?:Inc|Corp|LLC|Ltd|N\.V|S\.A|plc)\b).{1,80}"),
}
"""The form that a value has, by its unit: a company's name or a rule's number is no status."""
_OUTCOMES = {
    "outcome": r"pass|approv|execut|reject|defeat|elect|fail|adopt|withdr|enact|accept|not ",
    "terminated": r"terminat|cancel|end",
    "paused": r"paus|suspend|halt|stop",
    "compliance": r"regain|complian|compl(?:y|ies|ied)|met|satisf|lost|not ",
    "listing_status": r"list|delist|suspend|halt|trad|transfer",
    "bankruptcy": r"chapter|bankrupt|insolven|receiver|liquidat|protection",
}
"""Words of which one is in a status, by a part of the kind's name."""
_STATUS = re.compile(
    r"(?:not )?(?:passed|executed|approved|rejected|terminated|regained|paused|effective|accepted|remains listed|chapter \d+)",
    re.IGNORECASE,
)
_NO = re.compile(r"\b(?:not|no|non|never)\b", re.IGNORECASE)
_OF_PERSONS = ("officer_", "director_", "executive_", "insider_")


def is_person(text: str) -> bool:
    """Whether a text has the form of a person's name: two to five capitalised words without a title."""
    return bool(_PERSON.fullmatch(text)) and not _TITLE.search(text)


def has_title(text: str) -> bool:
    """Whether a text names an office, such as *Chief Financial Officer*."""
    return bool(_TITLE.search(text))


def is_of_persons(kind: str) -> bool:
    """Whether a kind is told of persons and their offices."""
    return kind.startswith(_OF_PERSONS) or kind == "committee"


def statement_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why a literal does not state a value that is words, or None where it does."""
    form = _FORMS.get(fact.unit)
    if form and not form.fullmatch(fact.value):
        return f"this is no {fact.unit}"
    outcome = next((words for part, words in _OUTCOMES.items() if part in fact.kind), None)
    if fact.unit == "status" and outcome and not re.search(outcome, fact.value, re.IGNORECASE):
        return "this kind has no such status"
    literal = fold(fact.literal)
    if fact.unit in ("rule", "ticker"):
        return None if _stands_whole(fact.value, literal) else "the passage does not say this value"
    if fact.unit == "name":
        return _name_refusal(fact, literal)
    if fact.unit in ("role", "status"):
        value = _NO.sub(" ", fact.value)
        return None if words_stand(value, literal, most=0.75 if fact.unit == "role" else 0.5) else "the passage does not say this value"
    text = " ".join(passage.text for passage in document.passages) if fact.unit == "venue" else f"{literal} {place.sentence}"
    return None if words_stand(fact.value, text, most=0.5) else "the passage does not say this value"


def _name_refusal(fact: DocumentFact, literal: str) -> str | None:
    if not re.match(r"[A-Z0-9]", fact.value) or _STATUS.fullmatch(fact.value):
        return "this is no name"
    if is_of_persons(fact.kind) and fact.kind != "committee" and not is_person(fact.value):
        return "this is no person"
    if fact.value == fact.subject and not is_of_persons(fact.kind):
        return "the value only repeats the subject"
    if is_of_persons(fact.kind) and is_person(fact.subject) and is_person(fact.value) and fact.subject != fact.value:
        return "another person is named there"
    return None if words_stand(fact.value, literal, most=1) else "the passage does not say this value"


def _stands_whole(value: str, text: str) -> bool:
    """Whether a text has a value letter by letter, not as a part of a longer number or word."""
    return bool(re.search(rf"(?<![\w(.]){re.escape(value.replace(' ', ''))}(?![\w(])", text.replace(" ", ""))) or bool(
        re.search(rf"(?<![\w]){re.escape(value)}(?![\w(])", text)
    )
