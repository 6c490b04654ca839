"""Labelled facts with one thing changed, which a verifier has to refuse."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from omc_pipeline.benches.documents_labelled import Labelled
from omc_pipeline.benches.documents_true import is_still_true
from omc_pipeline.documents.fact import DocumentFact

_FACTORS = ("1000", "0.001", "1000000", "0.000001", "10", "0.1", "100")
_MOODS = ("proposed", "expected", "intended", "hoped", "anticipated", "conditional", "priced")
_TRIES_PER_MUTATION = 50


@dataclass(frozen=True)
class _Pool:
    """What a change draws from: the facts of the same document, and those of all others."""

    own: Sequence[DocumentFact]
    others: Sequence[DocumentFact]
    chosen: random.Random


def mutated(documents: Sequence[Labelled], count: int, seed: int) -> Iterator[tuple[str, Labelled, DocumentFact]]:
    """Yield ``count`` changed facts with the name of the change; fewer where the documents give too little to draw from.

    A change that makes another labelled fact of the same document is left out, for it is true; so is one that says the same in other
    words, of which ``is_still_true`` has the whole list.
    """
    chosen = random.Random(seed)  # noqa: S311 a repeatable choice, not a secret
    facts = [(document, fact) for document in documents for fact in document.facts]
    pools = {id(d): _Pool(d.facts, [fact for other, fact in facts if other is not d], chosen) for d in documents}
    true = {(id(document), _core(fact)) for document, fact in facts}
    made = 0
    for _ in range(count * _TRIES_PER_MUTATION):
        document, fact = chosen.choice(facts)
        how = chosen.choice(list(_CHANGES))
        change = _CHANGES[how](fact, pools[id(document)])
        if change is None or change == fact or (how != "modality" and (id(document), _core(change)) in true):
            continue
        if is_still_true(fact, change, document.read):
            continue
        yield how, document, change
        made += 1
        if made == count:
            return


def _core(fact: DocumentFact) -> tuple[str, ...]:
    value = _number(fact)
    return fact.kind, fact.subject, fact.value if value is None else str(value.normalize()), fact.unit, fact.period


def _number(fact: DocumentFact) -> Decimal | None:
    try:
        value = Decimal(fact.value)
    except InvalidOperation:
        return None
    return value if value and fact.unit not in ("date", "rule") else None


def _scale(fact: DocumentFact, pool: _Pool) -> DocumentFact | None:
    value = _number(fact)
    return None if value is None else replace(fact, value=format((value * Decimal(pool.chosen.choice(_FACTORS))).normalize(), "f"))


def _sign(fact: DocumentFact, pool: _Pool) -> DocumentFact | None:
    value = _number(fact)
    return None if value is None else replace(fact, value=format(-value, "f"))


def _drawn(pool: _Pool, wanted: Callable[[DocumentFact], bool]) -> DocumentFact | None:
    """Draw a fact from the own or from the other documents, each in half of the cases."""
    fits = [fact for fact in (pool.own if pool.chosen.random() < 0.5 else pool.others) if wanted(fact)]
    return pool.chosen.choice(fits) if fits else None


def _subject(fact: DocumentFact, pool: _Pool) -> DocumentFact | None:
    other = _drawn(pool, lambda each: each.subject != fact.subject)
    return replace(fact, subject=other.subject) if other else None


def _period(fact: DocumentFact, pool: _Pool) -> DocumentFact | None:
    other = _drawn(pool, lambda each: bool(each.period) and each.period != fact.period) if fact.period else None
    return replace(fact, period=other.period) if other else None


def _kind(fact: DocumentFact, pool: _Pool) -> DocumentFact | None:
    fits = [each for each in pool.others if each.kind != fact.kind and each.unit == fact.unit]
    return replace(fact, kind=pool.chosen.choice(fits).kind) if fits else None


def _modality(fact: DocumentFact, pool: _Pool) -> DocumentFact | None:
    return replace(fact, modality=None if fact.modality else pool.chosen.choice(_MOODS))


def _passage(fact: DocumentFact, pool: _Pool) -> DocumentFact | None:
    is_number = _number(fact) is not None
    fits = [
        each for each in pool.own if each.literal != fact.literal and each.value != fact.value and (_number(each) is not None) == is_number
    ]
    return _of_another(fact, fits, pool)


def _document(fact: DocumentFact, pool: _Pool) -> DocumentFact | None:
    return _of_another(fact, [each for each in pool.others if each.unit == fact.unit and each.value != fact.value], pool)


def _of_another(fact: DocumentFact, fits: Sequence[DocumentFact], pool: _Pool) -> DocumentFact | None:
    """Give a fact the value of another one; in half of the cases its literal too."""
    if not fits:
        return None
    other = pool.chosen.choice(fits)
    return replace(fact, value=other.value, literal=other.literal if pool.chosen.random() < 0.5 else fact.literal)


_CHANGES: Mapping[str, Callable[[DocumentFact, _Pool], DocumentFact | None]] = {
    "scale": _scale, "sign": _sign, "subject": _subject, "period": _period, "kind": _kind, "modality": _modality, "passage": _passage,
    "document": _document,
}  # fmt: skip
