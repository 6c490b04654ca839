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
from omc_pipeline.documents.rivals import rival_refusal
from omc_pipeline.documents.statements import is_of_persons, is_person
from omc_pipeline.documents.subject_forms import NAMED_KINDS, form_refusal, is_own
from omc_pipeline.documents.vocabulary import KINDS, OF_SECURITIES, kind_of
from omc_pipeline.documents.wording import last_match, words, words_stand

_DATED = frozenset({"effective_date", "deadline", "amends", "fiscal_year_end", "period_days"})
_EXCHANGE = re.compile(r"\([^()]{0,30}?(?:NASDAQ|Nasdaq|NYSE|AMEX|OTC|TSX|ASX)[^()]{0,60}\)")
_DEFINED = re.compile(r"[“\"]([^”\"]{2,60})[”\"]\)?,?\s*$")
_SOLD = re.compile(r"\b(?:sold|sell\w*|sales?|swap\w*|dispos\w+|conver\w+)\b", re.IGNORECASE)
_THROUGH = re.compile(r"\b(?:through|under|from|via|pursuant to)\s+(?:the|its|an?|our)\b", re.IGNORECASE)
_TOKENS = re.compile(r"\(([A-Z\d]{2,10})\)|\b(?:of|for|list|delist|depositing|withdrawing)\s+([A-Z][A-Z\d]{1,9})\b")
_TOKEN_KINDS = re.compile(r"(?:deposits|withdrawals|trading|conversion|delisting)(?:_|$)|listing(?:_postponed|_fee)?$")
_CHANNEL = re.compile(r"\b(?:offering|ATM|program\w*|facility|placement|agreement)\b", re.IGNORECASE)
_THROUGH_CHANNEL = re.compile(rf"{_THROUGH.pattern}[^.;,]{{0,60}}{_CHANNEL.pattern}", re.IGNORECASE)


def subject_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why the words around a figure do not speak of a fact's subject, or None where they do."""
    reason = form_refusal(fact, document) or rival_refusal(place, fact)
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
    words = f"{place.before}{place.after}" if not place.before.strip() else place.before
    sold = last_match(re.compile(r"\b(?:sold|sales? of|selling)\b", re.IGNORECASE), words)
    bought = last_match(re.compile(r"\b(?:acquir\w+|purchas\w+|bought|held|holds?|holdings)\b", re.IGNORECASE), words)
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
    if not is_of_coin and fact.kind == "use_of_proceeds":
        return None if coin in coins_in(f"{literal}{place.after}") else "the coin is not named there"
    if (
        not is_of_coin
        and coin in named
        and not in_literal
        and coin not in coins_in(f"{place.around} "[: -len(place.after) or None] + place.after[:60])
    ):
        return "the coin is named elsewhere there"
    if NAMED_KINDS.match(fact.kind) and coin in named and coin not in coins_in(f"{place.passage.heading} {place.before} {literal}"):
        return "the coin is named elsewhere there"
    if coin in in_literal or (coin in named and (len(named) == 1 or not is_of_coin or not in_literal)):
        return None
    if not is_of_coin and fact.unit == "%":
        return "the coin is not named there"
    if not is_of_coin:
        opening = " ".join([document.title, *(passage.text for passage in document.passages[:2])])
        return None if coin in own_names(document) and coin in coins_in(opening) else "the coin is not named there"
    around = coins_in(place.passage.heading)
    return None if not named and (coin in around or (not around and coin == main_coin(document))) else "the coin is not named there"


def _is_named(place: Place, fact: DocumentFact, document: Document) -> bool:
    subject, kind = fact.subject, fact.kind
    in_table = place.cell is not None and bool(place.cell.heads)
    if in_table and not _row_may_be_of(place, subject, kind):
        return False
    if kind in _DATED and (fact.unit in DAY_UNITS or kind == "period_days") and kind != "amends":
        return _is_stated_of_day(place, subject)
    if is_of_persons(kind) and is_person(subject) and subject.rpartition(" ")[2] not in place.sentence:
        return False
    if _TOKEN_KINDS.match(kind) and _is_of_another_token(place, subject):
        return False
    own = own_names(document)
    reason = _stated_beside(place, fact, own)
    if reason is not None:
        return reason
    if words_stand(subject, _EXCHANGE.sub(" ", place.around) if kind in OF_SECURITIES else place.around, most=0.7):
        return True
    if kind not in OF_SECURITIES and kind_of(kind).of != "coin" and is_own(subject, own):
        return True
    return not in_table and _is_named_before(place, subject, kind, document)


def _is_of_another_token(place: Place, subject: str) -> bool:
    """Whether a sentence names tokens by their tickers, and the subject is none of them."""
    named = {ticker for pair in _TOKENS.findall(place.sentence) for ticker in pair if ticker} - {"UTC"}
    return bool(named) and not any(part in place.sentence for part in re.split(r"[,\s]+", subject) if part)


def _stated_beside(place: Place, fact: DocumentFact, own: frozenset[str]) -> bool | None:
    """Say whether a subject is named, for kinds that ask for a certain place; None for others."""
    subject = fact.subject
    if fact.kind == "incident":
        return words_stand(subject, place.near, most=0.7) or is_own(subject, own)
    if fact.kind == "use_of_proceeds":
        return words_stand(subject, f"{fold(fact.literal)}{place.after}", most=0.7)
    if fact.kind != "proceeds":
        return None
    if subject.lower() == "total":
        return bool(place.cell) or not _THROUGH.search(place.sentence)
    if not place.cell and is_own(subject, own):
        return False
    is_channel = _CHANNEL.search(subject) and _THROUGH_CHANNEL.search(place.sentence)
    return words_stand(subject, place.sentence, most=0.7) if is_channel else None


def _is_named_before(place: Place, subject: str, kind: str, document: Document) -> bool:
    """Whether the same passage or the few before it name a subject, for kinds that are told of something named once."""
    if kind in OF_SECURITIES and words_stand(subject, _EXCHANGE.sub(" ", place.passage.joined), most=0.7):
        return True
    may_stand_before = kind in OF_SECURITIES or kind in _DATED or (kind not in KINDS and not NAMED_KINDS.match(kind))
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


def _is_stated_of_day(place: Place, subject: str) -> bool:
    """Whether the clause of a day tells of a subject: of its last word at least, which names what happens."""
    defined = _DEFINED.search(place.before)
    if defined and defined[1] != subject and words_stand(defined[1], subject, most=1):
        return False
    clause = own_clause(place).lower()
    stems = [word[: 5 if len(word) > 7 else 4] for word in words(subject) if len(word) > 3]
    return bool(stems) and stems[-1] in clause
