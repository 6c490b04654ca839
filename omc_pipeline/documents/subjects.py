"""Whether a fact's subject is the one that the words around the figure speak of."""

from __future__ import annotations

import re

from omc_pipeline.documents.coins import coins_in, symbol_of
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.names import main_coin, own_names
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.vocabulary import KINDS, kind_of
from omc_pipeline.documents.wording import words, words_stand

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
_DATED = frozenset(
    {"effective_date", "deadline", "maturity", "amends", "fiscal_year_end", "period_days", "deposits_close", "withdrawals_close"}
)
_CLASS = re.compile(r"\b(?:preferred|common|notes|warrants)\b")


def subject_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why the words around a figure do not speak of a fact's subject, or None where they do."""
    kind, subject = kind_of(fact.kind), fact.subject
    bare = subject.removesuffix(" sold")
    if bare != subject and (fact.kind != "average_price" or not re.search(r"\bsold\b|\bsales?\b", place.before, re.IGNORECASE)):
        return "nothing was sold there"
    is_coin = bare in {symbol_of(bare)} and bool(coins_in(bare)) and len(bare) <= 8
    if kind.of == "party" and is_coin:
        return "a coin is no subject of this kind"
    if kind.of == "coin" and not is_coin and fact.kind != "holdings_change" and coins_in(place.near):
        return "the subject is not the coin there"
    if is_coin:
        named = coins_in(f"{fold(fact.literal)}") or coins_in(place.near)
        if bare in coins_in(fold(fact.literal)) or (
            bare in named and (len(named) == 1 or kind.of != "coin" or not coins_in(fold(fact.literal)))
        ):
            return None
        if kind.of != "coin" and bare in own_names(document):
            return None
        around = coins_in(place.passage.heading)
        return None if not named and (bare in around or (not around and bare == main_coin(document))) else "the coin is not named there"
    classes, said = set(_CLASS.findall(subject.lower())), set(_CLASS.findall(fold(fact.literal).lower()))
    if classes and said and not classes & said:
        return "another security is named there"
    return None if _is_named(place, subject, document, fact.kind) else "the subject is not named there"


def _is_named(place: Place, subject: str, document: Document, kind: str) -> bool:
    if words_stand(subject, place.around) or (kind in _OF_SECURITIES and words_stand(subject, place.passage.joined)):
        return True
    if kind == "proceeds" and subject.lower() == "total":
        return True
    own = own_names(document)
    if (
        kind_of(kind).of != "coin"
        and kind not in _OF_SECURITIES
        and (subject in own or any(name.lower().startswith(f"{subject.lower()} ") for name in own) or _are_own(subject, own))
    ):
        return (
            not place.cell or not place.cell.heads or not place.passage.label or not re.search(r"\b[A-Z]{3,5}\b Stock", place.passage.label)
        )
    before = " ".join(p.text for p in document.passages[max(0, place.passage.number - 4) : place.passage.number - 1])
    wide = f"{before} {place.around}"
    if kind in _DATED and any(len(word) > 3 and word[:4] in wide.lower() for word in words(subject)):
        return True
    return len(words(subject)) > 0 and (kind in _OF_SECURITIES or kind not in KINDS or kind in _DATED) and words_stand(subject, wide)


def _are_own(subject: str, own: frozenset[str]) -> bool:
    """Whether a list such as *FLM, KDA* or a pair such as *Core Scientific / CoreWeave* is of the document's own names."""
    parts = [part.strip() for part in re.split(r"[,/;]| and ", subject) if part.strip()]
    return len(parts) > 1 and all(part in own or any(name.startswith(part) for name in own) for part in parts)
