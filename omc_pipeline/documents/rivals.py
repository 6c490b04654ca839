"""What else than a fact's subject the words at its figure name: another class of shares, another row, the whole of another part."""

from __future__ import annotations

import re

from omc_pipeline.documents.coins import coins_in, is_coin
from omc_pipeline.documents.events import DAY_UNITS
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.names import is_thing
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.vocabulary import OF_SECURITIES, kind_of
from omc_pipeline.documents.wording import words, words_stand

_CLASS = re.compile(r"\b(?:preferred|common|ordinary|notes|warrants)\b")
_NAMED_SECURITY = re.compile(
    r"\b(?:Series [\w-]+|Class [A-Z]|series [A-Z]\b|class [A-Z]\b|[A-Z]{3,5}|[Cc]ommon|[Oo]rdinary|[Pp]referred)\b[\w\s-]*?\b(?:[Ss]tock|[Ss]hares)\b"
)
_LABEL = re.compile(r"(?:^|[.;)A-Za-z](?=[A-Z]))(?P<label>[A-Z][\w\s-]{3,60}):\s*$")


def rival_refusal(place: Place, fact: DocumentFact) -> str | None:
    """Say what a literal, its label or the words behind it name instead of the subject; None where they name nothing else."""
    literal = fold(fact.literal)
    return _other_security(place, fact, literal) or _other_name(place, fact, literal) or _other_whole(place, fact, literal)


def _other_security(place: Place, fact: DocumentFact, literal: str) -> str | None:
    classes, said = set(_CLASS.findall(fact.subject.lower())), _CLASS.findall(literal.lower())
    if not said and fact.kind in ("programme_size", "securities_offered", "securities_sold", "proceeds"):
        said = _CLASS.findall(place.before.lower())[-1:]
    if classes and said and not classes & set(said):
        return "another security is named there"
    is_of_class = kind_of(fact.kind).of == "party" and (fact.kind in OF_SECURITIES or fact.kind == "shares_outstanding")
    is_other = is_of_class and _NAMED_SECURITY.search(literal) and not words_stand(fact.subject, literal, most=0.5)
    return "another security is named there" if is_other else None


def _other_name(place: Place, fact: DocumentFact, literal: str) -> str | None:
    subject = fact.subject
    listed = [part.strip() for part in subject.split(",")]
    if len(listed) > 1 and fact.unit not in DAY_UNITS and 0 < sum(part in literal for part in listed) < len(listed):
        return "only one of them is named there"
    longer = re.search(rf"\b{re.escape(subject)}\s+[A-Z]\w+", literal) if " " in subject else None
    if longer and is_thing(longer[0]) and literal.count(subject) == 1:
        return "something of a longer name is named there"
    label = _LABEL.search(place.before)
    if fact.kind == "threshold" and label and not set(words(subject)) <= set(words(label["label"])):
        return "the label there names something else"
    is_of_role = fact.kind.endswith(("_appointment", "_role"))
    was_theirs = is_of_role and re.search(rf"\b{re.escape(subject.rpartition(' ')[2])}[’']s?(?!\w)", literal)
    return "it was theirs before" if was_theirs else None


def _other_whole(place: Place, fact: DocumentFact, literal: str) -> str | None:
    """Say that a part in percent is not one of the subject: what it is a part of stands behind *of*."""
    is_part = fact.kind == "threshold" or (fact.kind.endswith("_share") and not fact.kind.startswith("shares_"))
    if fact.unit != "%" or not is_part:
        return None
    behind = re.search(r"%\s+of\b(?P<whole>.{0,120})", f"{literal}{place.after[:120]}")
    if not behind:
        return None if fact.kind == "threshold" else "it is a part of nothing there"
    whole, subject = re.split(r"[,;.]|\b(?:to|for|from|which|that)\b", behind["whole"])[0], re.sub(r"^share of ", "", fact.subject)
    is_whole = subject in coins_in(whole) if is_coin(subject) else words_stand(subject, whole, most=0.6)
    return None if is_whole else "it is a part of something else"
