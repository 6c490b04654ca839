"""The scripted reader: facts that fixed rules find in a document's words. Careful rather than complete.

It reads purchases, sales and holdings of coins, the prices and proceeds that stand beside them, and notes; what it is not sure of it
leaves out. Models read more; both are held to the same verifier.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from omc_pipeline.documents.dates import days, spans
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.names import main_coin, symbols
from omc_pipeline.documents.passage import Document, Passage
from omc_pipeline.documents.prose import Context, prose_facts
from omc_pipeline.documents.rows import row_facts

_BOILERPLATE = ("forward-looking", "forward looking", "safe harbor", "no offer or solicitation", "about ", "cautionary")
_LISTED = re.compile(r"\((?:NASDAQ|Nasdaq|NYSE(?: American| Arca)?|AMEX|OTC\w*)(?:\s*GM|\s*CM)?\s*:\s*[“\"]?([A-Z]{1,6})\b")
_HOLDINGS = "holdings_after"


def extract(document: Document) -> list[DocumentFact]:
    """Return the facts that rules find, in the document's order, each once."""
    dated = _dated(document)
    main = main_coin(document)
    found: list[DocumentFact] = []
    context = Context(dated, main, _ticker(document))
    for passage in _spoken(document.passages):
        context = context.entering(passage)
        found += row_facts(passage, context) if passage.is_row and len(passage.cells) > 1 else prose_facts(passage, context)
    return _ordered_holdings(_named_notes(_each_once(_whole_weeks(found, document, dated))))


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


def _ticker(document: Document) -> str | None:
    """Return the issuer's ticker: of the first exchange in parentheses, or of the cover's table."""
    for passage in document.passages[:60]:
        named = _LISTED.search(passage.text)
        if named:
            return named[1]
    return next(iter(symbols(document)), None)


def _whole_weeks(facts: Iterable[DocumentFact], document: Document, dated: date | None) -> Iterator[DocumentFact]:
    """Give a week that a heading names by its last day the first day too, where a sentence of the document says it."""
    said = {span for p in document.passages if not p.is_row for span in spans(p.text, days(p.text, dated.year if dated else None))}
    for fact in facts:
        ending = fact.period.removeprefix("week ending ")
        whole = [span for span in said if span.endswith(f"/{ending}")] if ending != fact.period else []
        in_row = bool(document.passages[fact.passage - 1].cells)
        yield fact.within(whole[0]) if len(whole) == 1 and not in_row else fact


def _named_notes(facts: list[DocumentFact]) -> list[DocumentFact]:
    """Let an option and proceeds that speak of *the Convertible Notes* be those that the document names with their year."""
    named = [fact for fact in facts if fact.kind == "notes_principal" and "due" in fact.subject]
    if len({fact.subject for fact in named}) != 1:
        return facts
    notes = named[0]

    def of_notes(fact: DocumentFact) -> DocumentFact:
        if fact.kind == "option_principal":
            return replace(fact, subject=notes.subject, modality=notes.modality)
        is_short = fact.subject.lower().removeprefix("the ") in ("convertible notes", "notes", "offering")
        return replace(fact, subject=notes.subject) if fact.kind == "proceeds" and is_short else fact

    return [of_notes(fact) for fact in facts]


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
