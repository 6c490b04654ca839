"""The scripted reader: facts that fixed rules find in a document's words. Careful rather than complete.

It reads purchases, sales and holdings of coins, the prices and proceeds that stand beside them, and notes; what it is not sure of it
leaves out. Models read more; both are held to the same verifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from omc_pipeline.documents.dates import days
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document, Passage
from omc_pipeline.documents.prose import Context, prose_facts
from omc_pipeline.documents.rows import row_facts

_BOILERPLATE = ("forward-looking", "forward looking", "safe harbor", "no offer or solicitation", "about ", "cautionary")
_HOLDINGS = "holdings_after"


def extract(document: Document) -> list[DocumentFact]:
    """Return the facts that rules find, in the document's order, each once."""
    dated = _dated(document)
    main = _main_coin(document)
    found: list[DocumentFact] = []
    context = Context(dated, main)
    for passage in _spoken(document.passages):
        context = context.entering(passage)
        found += row_facts(passage, context) if passage.is_row and len(passage.cells) > 1 else prose_facts(passage, context)
    return _ordered_holdings(_each_once(found))


def _spoken(passages: Iterable[Passage]) -> Iterator[Passage]:
    """Yield the passages that tell of the event: not those under headings such as *Forward-Looking Statements*."""
    silent = False
    for passage in passages:
        text = passage.text.lower()
        if len(text) < 90 and not passage.is_row and not text.endswith("."):
            silent = text.startswith(_BOILERPLATE) or any(word in text for word in _BOILERPLATE[:4])
        if not silent:
            yield passage


def _dated(document: Document) -> date | None:
    """Return the day of the document: of its dateline, or of the event that the cover names."""
    for passage in document.passages[:40]:
        found = days(passage.text[:400])
        if found:
            return found[0].day
    return None


def _main_coin(document: Document) -> str | None:
    from collections import Counter

    from omc_pipeline.documents.coins import STABLE, coins_in

    counted = Counter(coin for passage in document.passages for coin in coins_in(passage.text) if coin not in STABLE)
    return counted.most_common(1)[0][0] if counted else None


def _each_once(facts: Iterable[DocumentFact]) -> list[DocumentFact]:
    """Leave out what is said again; of the same figure with and without a period the one with the period stays."""
    kept: dict[tuple[str, str, str, str], DocumentFact] = {}
    for fact in facts:
        key = (fact.kind, fact.subject, fact.value, fact.unit)
        if key not in kept or (fact.period and not kept[key].period):
            kept[key] = fact
    return list(kept.values())


def _ordered_holdings(facts: list[DocumentFact]) -> list[DocumentFact]:
    """Call holdings of an earlier day ``holdings_before`` where a document tells of two days."""
    newest: dict[str, str] = {}
    for fact in facts:
        if fact.kind == _HOLDINGS and fact.period.startswith("as of "):
            newest[fact.subject] = max(newest.get(fact.subject, ""), fact.period)
    return [
        replace(fact, kind="holdings_before")
        if fact.kind == _HOLDINGS and fact.period.startswith("as of ") and fact.period < newest[fact.subject]
        else fact
        for fact in facts
    ]
