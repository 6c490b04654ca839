"""Rules for rows of tables: what a number means is said by its row's label and the heads above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from omc_pipeline.documents.amounts import amounts, number_words, table_scale
from omc_pipeline.documents.coins import STABLE, coins_in
from omc_pipeline.documents.dates import period_of
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Cell, Passage
from omc_pipeline.documents.prose import Context, prose_facts

_FOOTNOTE = re.compile(r"\s*\((?:\d{1,2}|[a-z])\)\s*$")


@dataclass(frozen=True)
class _Rule:
    """Words that a head or a label has, and the kind they mean; of a day ("as of") and of a span it may differ."""

    words: re.Pattern[str]
    kind: str
    of_day: str
    unit: str
    needs_coin: bool = True


def _rule(words: str, kind: str, unit: str, of_day: str | None = None, *, needs_coin: bool = True) -> _Rule:
    return _Rule(re.compile(words, re.IGNORECASE), kind, of_day or kind, unit, needs_coin)


_RULES = (
    _rule(r"\b(?:avg\.?|average)\b.*\b(?:price|cost)\b", "average_price", "USD per {coin}", "average_cost"),
    _rule(r"\b(?:aggregate|total)\s+(?:purchase price|cost)\b", "purchase_price_total", "USD", "aggregate_cost"),
    _rule(r"\bnet proceeds\b|\bgross proceeds\b", "proceeds", "USD", needs_coin=False),
    _rule(r"\bshares (?:sold|issued)\b", "securities_sold", "shares", needs_coin=False),
    _rule(r"\bavailable for issuance\b", "programme_remaining", "USD", needs_coin=False),
    _rule(r"\b(?:acquired|purchased)\b", "coins_purchased", "{coin}"),
    _rule(r"\bsold\b", "coins_sold", "{coin}"),
    _rule(r"\bholdings?\b|\bending balance\b", "holdings_after", "{coin}"),
)


def row_facts(passage: Passage, context: Context) -> Iterator[DocumentFact]:
    """Yield the facts of a row: one a cell whose label and heads say what it is."""
    if not any(cell.heads for cell in passage.cells):
        yield from _labelled(passage, context)
        return
    for place, cell in enumerate(passage.cells):
        found = amounts(cell.text)
        if len(found) != 1 or found[0].digits == 0 or "%" in cell.text:
            continue
        label = passage.cells[0].text if place else ""
        fact = _cell_fact(passage, cell, label, context)
        if fact is not None:
            yield fact


def _cell_fact(passage: Passage, cell: Cell, label: str, context: Context) -> DocumentFact | None:
    texts = [*reversed(cell.heads), label]
    rule = next(((rule, text) for text in texts if text for rule in _RULES if rule.words.search(text)), None)
    if rule is None:
        return None
    meant, said = rule
    period = next((period for text in reversed(cell.heads) if (period := period_of(_in_heads(text), context.year))), "")
    if any(re.search(r"\bweek ending\b", text, re.IGNORECASE) for text in cell.heads) and period and " " not in period:
        period = f"week ending {period}"
    coin = next((found[0] for text in [said, *texts, passage.heading] if (found := [c for c in coins_in(text) if c not in STABLE])), None)
    if meant.needs_coin:
        coin = coin or context.coin
        if coin is None:
            return None
    is_day = period.startswith("as of")
    kind = meant.of_day if is_day else meant.kind
    if kind in ("holdings_after",) and not is_day:
        period = period.replace("week ending", "as of") if period else period
    subject = (coin or "") if meant.needs_coin else _subject(label)
    if not subject:
        return None
    unit = meant.unit.format(coin=coin or "")
    amount = amounts(cell.text)[0]
    scale = amount.scale or _scale(texts, passage, unit)
    value = amount.value if amount.scale else amount.value.scaleb(scale)
    return DocumentFact(kind, subject, number_words(value), unit, passage.number, cell.text.lstrip("$"), period)


def _scale(texts: list[str], passage: Passage, unit: str) -> int:
    """Return the scale that holds for a cell: its own head's, the row label's, and for coins that of a head such as *Units of ETH (K)*."""
    own = next((scale for text in texts if (scale := table_scale(text))), 0)
    if own or unit.startswith("USD per"):
        return own
    of_units = next(
        (
            scale
            for cell in passage.cells
            for head in cell.heads
            if re.search(r"\bunits\b", head, re.IGNORECASE) and (scale := table_scale(head))
        ),
        0,
    )
    return of_units if not unit.startswith("USD") and unit != "shares" else 0


def _in_heads(text: str) -> str:
    return re.sub(r"^\s*(?:at|on)\s+", "as of ", text, flags=re.IGNORECASE)


def _subject(label: str) -> str:
    name = re.sub(r"\s+(?:common |class a |preferred )*(?:stock|shares?)$", "", _FOOTNOTE.sub("", label), flags=re.IGNORECASE).strip(" :")
    return (
        name
        if not re.search(r"proceeds|shares|\(m\)", name, re.IGNORECASE)
        else re.split(r"\s+(?:shares|net proceeds|gross proceeds)", name, flags=re.IGNORECASE)[0]
    )


def _labelled(passage: Passage, context: Context) -> Iterator[DocumentFact]:
    """Yield the facts of a row of label and value, such as *Total ETH Holdings: | 50,778 ETH*."""
    joined = Passage(passage.number, passage.joined, passage.heading)
    yield from prose_facts(joined, context)
