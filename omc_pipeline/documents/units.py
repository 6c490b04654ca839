"""Whether a figure comes in the unit that a fact claims."""

from __future__ import annotations

import re
from decimal import Decimal

from omc_pipeline.documents.amounts import amounts
from omc_pipeline.documents.coins import coins_in
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.values import is_number
from omc_pipeline.documents.vocabulary import kind_of


def unit_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why a figure does not come in a fact's unit, or None where it does."""
    kind = kind_of(fact.kind)
    if kind.units is not None and not kind.units.match(fact.unit):
        return "this kind comes in another unit"
    literal, near = fold(fact.literal), place.near
    if fact.unit == "%":
        return (
            None if "%" in literal or re.search(r"\bper ?cent\b|\bnot bear (?:regular )?interest\b", literal) else "no percentage is there"
        )
    if fact.unit.startswith("USD"):
        money = re.search(
            r"\$|\bUSD|\bdollars?\b",
            f"{literal} {place.heads} {place.cell.text}"
            if place.cell and place.cell.heads
            else f"{literal} {place.after[:12]} {place.before[-3:]}",
        )
        if not money:
            return "no money is there"
        if (fact.unit == "USD" and re.match(r"[^.;,]{0,4}\bper\b", place.after[:12])) or (
            fact.unit == "USD" and re.search(r"\$[\d,.]+ per\b", literal) and fact.kind != "threshold"
        ):
            return "it is a price there"
        per = fact.unit.removeprefix("USD per ") if " per " in fact.unit else ""
        if per == "share":
            return (
                None if re.search(r"\bshares?\b|\bbid price\b|\baverage price\b", near, re.IGNORECASE) else "no price of a share is there"
            )
        if per and per not in coins_in(f"{place.around}") and not re.search(rf"\bper {re.escape(per)}\b", near, re.IGNORECASE):
            return "no price of this coin is there"
        return None if not per or re.search(r"\b(?:per|price|cost|average)\b", place.around, re.IGNORECASE) else "no price is there"
    if fact.unit == "shares":
        return None if re.search(r"\bshares?\b|\bstock\b|\bsecurities\b", near, re.IGNORECASE) else "no shares are there"
    if (
        "$" in literal
        and re.search(r"\$\s?[\d,.]+", literal)
        and is_number(fact.value)
        and re.fullmatch(r"[A-Za-z]{2,8}", fact.unit)
        and fact.unit == fact.subject
    ):
        return "it is money there"
    return None


def mark_refusal(_place: Place, fact: DocumentFact, _document: Document) -> str | None:
    """Say which unit the literal writes at its number, where the fact claims another one."""
    literal = fold(fact.literal)
    own = [each for each in amounts(literal) if is_number(fact.value) and each.value == Decimal(fact.value)]
    if not own:
        return None
    if "%" not in fact.unit and all(re.match(r"\s?%", literal[each.end :]) for each in own):
        return "it is a share in percent there"
    if "H/s" not in fact.unit and all(re.match(r"\s?[EPT]H/s", literal[each.end :]) for each in own):
        return "it is a hash rate there"
    return "it is money there" if "USD" not in fact.unit and all(each.is_money for each in own) else None
