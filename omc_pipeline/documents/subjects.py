"""Whether a fact's subject is the one that the words around the figure speak of."""

from __future__ import annotations

import re

from omc_pipeline.documents.coins import coins_in, is_coin
from omc_pipeline.documents.events import DAY_UNITS, own_clause
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.names import main_coin, own_names
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.subject_forms import NAMED_KINDS, form_refusal, is_own
from omc_pipeline.documents.vocabulary import KINDS, kind_of
from omc_pipeline.documents.wording import last_match, words, words_stand

_OF_SECURITIES = frozenset(
    [
        "proceeds",
        "notes_principal",
        "option_principal",
        "securities_sold",
        "securities_offered",
        "securities_transferred",
        "programme_size",
        "programme_remaining",
        "dividend_rate",
        "interest_rate",
        "commission",
        "use_of_proceeds",
    ]
)
"""Kinds told of a security, a programme or a channel: the company's own name would say nothing."""
_DATED = frozenset({"effective_date", "deadline", "amends", "fiscal_year_end", "period_days"})
_CLASS = re.compile(r"\b(?:preferred|common|ordinary|notes|warrants)\b")
_NAMED_SECURITY = re.compile(
    r"\b(?:Series [\w-]+|Class [A-Z]|series [A-Z]\b|class [A-Z]\b|[A-Z]{3,5}|[Cc]ommon|[Oo]rdinary|[Pp]referred)\b[\w\s-]*?\b(?:[Ss]tock|[Ss]hares)\b"
)
_EXCHANGE = re.compile(r"\([^()]{0,30}?(?:NASDAQ|Nasdaq|NYSE|AMEX|OTC|TSX|ASX)[^()]{0,60}\)")
_DEFINED = re.compile(r"[“\"]([^”\"]{2,60})[”\"]\)?,?\s*$")
_SOLD = re.compile(r"\b(?:sold|sell\w*|sales?|swap\w*|dispos\w+|conver\w+)\b", re.IGNORECASE)
_THROUGH = re.compile(r"\b(?:through|under|from|via|pursuant to)\s+(?:the|its|an?|our)\b", re.IGNORECASE)
_LABEL = re.compile(r"(?:^|[.;)A-Za-z](?=[A-Z]))(?P<label>[A-Z][\w\s-]{3,60}):\s*$")


def subject_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why the words around a figure do not speak of a fact's subject, or None where they do."""
    reason = form_refusal(fact, document) or _another_is_named(place, fact)
    if reason:
        return reason
    kind, bare = kind_of(fact.kind), fact.subject.removesuffix(" sold")
    if fact.kind == "average_price" and fact.unit != "USD per share" and not _is_right_side(place, is_sale=bare != fact.subject):
        return "it is the price of the other side"
    if bare != fact.subject and fact.kind != "average_price":
        return "nothing was sold there"
    if kind.of == "party" and is_coin(bare):
        return "a coin is no subject of this kind"
    if kind.of == "coin" and not is_coin(bare) and coins_in(place.near):
        return "the subject is not the coin there"
    if is_coin(bare):
        return _coin_refusal(place, fact, document, bare)
    return None if _is_named(place, fact, document) else "the subject is not named there"


def _is_right_side(place: Place, *, is_sale: bool) -> bool:
    """Whether what was traded at an average price was sold, or not, by the verb nearest before it."""
    told = f"{place.before}{place.after}" if not place.before.strip() else place.before
    sold = last_match(re.compile(r"\b(?:sold|sales? of|selling)\b", re.IGNORECASE), told)
    bought = last_match(re.compile(r"\b(?:acquir\w+|purchas\w+|bought|held|holds?|holdings)\b", re.IGNORECASE), told)
    return sold > bought if is_sale else sold <= bought or sold < 0


def _coin_refusal(place: Place, fact: DocumentFact, document: Document, coin: str) -> str | None:
    kind, literal = kind_of(fact.kind), fold(fact.literal)
    in_literal, named = coins_in(literal), coins_in(literal) or coins_in(place.near)
    is_of_coin = kind.of == "coin" or fact.unit == f"USD per {coin}"
    if in_literal and coin not in in_literal and not set(in_literal) <= {fact.unit}:
        return "another coin is named there"
    if fact.kind == "proceeds":
        sold = _SOLD.search(f"{place.heads} {place.before[-160:]}{literal}{place.after[:80]}")
        return (
            None
            if sold and coin in coins_in(f"{place.heads} {place.before[-160:]}{literal}{place.after[:80]}")
            else "no coin was sold there"
        )
    if coin in in_literal or (coin in named and (len(named) == 1 or not is_of_coin or not in_literal)):
        return None
    if not is_of_coin and fact.unit == "%":
        return "the coin is not named there"
    if not is_of_coin:
        opening = " ".join([document.title, *(passage.text for passage in document.passages[:2])])
        return None if coin in own_names(document) and coin in coins_in(opening) else "the coin is not named there"
    around = coins_in(place.passage.heading)
    return None if not named and (coin in around or (not around and coin == main_coin(document))) else "the coin is not named there"


def _another_is_named(place: Place, fact: DocumentFact) -> str | None:
    """Say that the literal, the row's label or the words behind a share name something else than the subject."""
    subject, literal = fact.subject, fold(fact.literal)
    classes, said = set(_CLASS.findall(subject.lower())), _CLASS.findall(literal.lower())
    if not said and fact.kind in ("programme_size", "securities_offered", "securities_sold"):
        said = _CLASS.findall(place.before.lower())[-1:]
    if classes and said and not classes & set(said):
        return "another security is named there"
    security = _NAMED_SECURITY.search(literal)
    if (
        security
        and kind_of(fact.kind).of == "party"
        and fact.kind in (*_OF_SECURITIES, "shares_outstanding")
        and fact.kind != "use_of_proceeds"
    ):
        if not words_stand(subject, literal, most=0.5):
            return "another security is named there"
    label = _LABEL.search(place.before)
    if fact.kind == "threshold" and label and not set(words(subject)) <= set(words(label["label"])):
        return "the label there names something else"
    if fact.unit == "%" and (fact.kind == "threshold" or (fact.kind.endswith("_share") and not fact.kind.startswith("shares_"))):
        return _part_refusal(place, fact.kind, subject, literal)
    if fact.kind.endswith(("_appointment", "_role")) and re.search(rf"\b{re.escape(subject.split()[-1])}[’']s?\b", literal):
        return "it was theirs before"
    return None


def _part_refusal(place: Place, kind: str, subject: str, literal: str) -> str | None:
    """Say that a part in percent is not one of the subject: what it is a part of stands behind *of*."""
    behind = re.search(r"%\s+of\b(?P<whole>.{0,120})", f"{literal}{place.after[:120]}")
    if not behind:
        return None if kind == "threshold" else "it is a part of nothing there"
    whole = re.split(r"[,;.]|\b(?:to|for|from|which|that)\b", behind["whole"])[0]
    is_whole = subject in coins_in(whole) if is_coin(subject) else words_stand(re.sub(r"^share of ", "", subject), whole, most=0.5)
    return None if is_whole else "it is a part of something else"


def _is_named(place: Place, fact: DocumentFact, document: Document) -> bool:
    subject, kind = fact.subject, fact.kind
    if place.cell and place.cell.heads and not _row_may_be_of(place, subject, kind):
        return False
    if kind in _DATED and fact.unit in DAY_UNITS and kind != "amends":
        return _is_told_of_day(place, subject)
    if kind == "proceeds" and subject.lower() == "total":
        return bool(place.cell) or not _THROUGH.search(place.sentence)
    own = own_names(document)
    around = _EXCHANGE.sub(" ", place.around) if kind in _OF_SECURITIES else place.around
    if words_stand(subject, around, most=0.7):
        return True
    if (
        kind in _OF_SECURITIES
        and not (place.cell and place.cell.heads)
        and words_stand(subject, _EXCHANGE.sub(" ", place.passage.joined), most=0.7)
    ):
        return True
    if is_own(subject, own) and kind_of(kind).of != "coin" and kind not in _OF_SECURITIES:
        return True
    if place.cell and place.cell.heads:
        return False
    may_stand_before = kind in _OF_SECURITIES or kind in _DATED or (kind not in KINDS and not NAMED_KINDS.match(kind))
    if not may_stand_before or not words(subject) or _is_cut_short(place, subject):
        return False
    before = " ".join(p.text for p in document.passages[max(0, place.passage.number - 4) : place.passage.number - 1])
    return words_stand(subject, _EXCHANGE.sub(" ", f"{before} {place.around}"), most=0.7)


def _is_cut_short(place: Place, subject: str) -> bool:
    """Whether a sentence has the first words of a name but not the name: *Merger Agreement* is not the *Merger Agreement Proposal*."""
    first = subject.rpartition(" ")[0]
    return " " in first and subject == subject.title() and first in place.sentence and subject not in place.sentence


def _row_may_be_of(place: Place, subject: str, kind: str) -> bool:
    """Whether a row can be of a subject: where its column says the kind, its label says the subject, unless the label is no name."""
    label, heads = place.passage.label, " ".join(place.cell.heads) if place.cell else ""
    if not label or label == (place.cell.text if place.cell else "") or re.search(r"\d", label):
        return True
    said_by = kind_of(kind).said_by
    if said_by.search(label) or not said_by.search(heads) or kind_of(kind).of == "coin":
        return True
    return words_stand(subject, f"{label} {heads}", most=0.5)


def _is_told_of_day(place: Place, subject: str) -> bool:
    """Whether the clause of a day tells of a subject: of its last word at least, which names what happens."""
    defined = _DEFINED.search(place.before)
    if defined and defined[1] != subject and words_stand(defined[1], subject, most=1):
        return False
    clause = own_clause(place).lower()
    stems = [word[: 5 if len(word) > 7 else 4] for word in words(subject) if len(word) > 3]
    return bool(stems) and stems[-1] in clause
