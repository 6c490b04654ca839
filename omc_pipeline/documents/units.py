"""Whether a figure comes in the unit that a fact claims."""

from __future__ import annotations

import re
from decimal import Decimal

from omc_pipeline.documents.amounts import amounts
from omc_pipeline.documents.coins import COIN, coins_in, symbol_of
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.values import is_number
from omc_pipeline.documents.vocabulary import kind_of

_SHARES_BEHIND = re.compile(r"\s(?:(?!per\b)[\w-]+\s){0,2}?shares?\b(?!\s+price)", re.IGNORECASE)
_COIN_BEHIND = re.compile(rf"\s(?:whole |native |units of )?(?P<coin>{COIN})")
_RATE = re.compile(r"\b(?:daily|hourly|per day|per month|per hour|a day|a month|monthly rate|average of [\d.,]+ \w+ per)\b", re.IGNORECASE)
_PRICE_OF = re.compile(r"\bper\s+(?:[\w-]+\s+){0,3}?(?:shares?|units?|ADS|coin|token|note|{COIN})\b".replace("{COIN}", COIN))
_SHARE_PRICE = re.compile(
    r"\bper\b[^.;]{0,30}\bshares?\b|\b(?:bid|average|share|sales?|purchase|closing|exercise|conversion|offering) price\b|\bnet asset value\b|\bNAV\b|\bEPS\b",
    re.IGNORECASE,
)


_PERCENT = re.compile(r"%|\bper ?cent\b|\bnot bear (?:regular )?interest\b")
_NUMBER_BEGINS = re.compile(r"[$\d]")
_RATE_WORDS = {
    "day": r"\b(?:daily|per day|a day|each day)\b", "month": r"\b(?:monthly|per month|a month)\b", "year": r"\b(?:annual\w*|per year|a year)\b",
    "EH/s": r"\bper (?:EH|exahash)",
}  # fmt: skip


def _is_rate(unit: str, near: str) -> bool:
    """Whether words beside a figure say what it is counted by, as *per day* does."""
    by = unit.partition(" per ")[2]
    return bool(re.search(_RATE_WORDS.get(by, rf"\bper {re.escape(by)}\b"), near, re.IGNORECASE))


def _coin_behind(text: str) -> str | None:
    """Return the coin that a text begins with, such as the one behind a number."""
    found = _COIN_BEHIND.match(text)
    return symbol_of(found["coin"]) if found else None


def _piece(literal: str, fact: DocumentFact) -> str:
    """Return the part of a literal that speaks of its number: from the number before it to the one behind."""
    found = amounts(literal)
    if not is_number(fact.value) or not found:
        return literal
    place = next((n for n, each in enumerate(found) if each.value == Decimal(fact.value)), None)
    if place is None:
        return literal
    start = found[place - 1].end if place else 0
    return literal[start : found[place + 1].start if place + 1 < len(found) else len(literal)]


def unit_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why a figure does not come in a fact's unit, or None where it does."""
    units = kind_of(fact.kind).units
    if units is not None and not units.match(fact.unit):
        return "this kind comes in another unit"
    literal = fold(fact.literal)
    if fact.unit == "%":
        return None if _PERCENT.search(literal) else "no percentage is there"
    if fact.unit.startswith("USD"):
        return _money_refusal(place, fact, literal)
    if " per " in fact.unit:
        return None if _is_rate(fact.unit, f"{place.before[-60:]}{literal}{place.after[:25].split(',')[0]}") else "it is no such rate there"
    if fact.unit == "shares":
        return None if re.search(r"\bshares?\b|\bstock\b|\bsecurities\b", place.near, re.IGNORECASE) else "no shares are there"
    is_money = re.search(r"\$\s?[\d,.]+", literal) and is_number(fact.value)
    return "it is money there" if is_money and re.fullmatch(r"[A-Za-z]{2,8}", fact.unit) and fact.unit == fact.subject else None


def _money_refusal(place: Place, fact: DocumentFact, literal: str) -> str | None:
    in_row = place.cell is not None and bool(place.cell.heads)
    written = f"{literal} {place.heads} {place.cell.text}" if in_row and place.cell else f"{literal} {place.after[:12]} {place.before[-3:]}"
    if not re.search(r"\$|\bUSD|\bdollars?\b", written):
        return "no money is there"
    piece = _piece(literal, fact)
    if fact.unit == "USD":
        is_price = re.match(r"[^.;,]{0,4}\bper\b", place.after[:12]) or (_PRICE_OF.search(piece) and fact.kind != "threshold")
        return "it is a price there" if is_price else None
    per = fact.unit.removeprefix("USD per ")
    if per == "share":
        beside = f"{place.heads} {_NUMBER_BEGINS.split(place.before[-120:])[-1]}{piece}{_NUMBER_BEGINS.split(place.after[:40])[0]}"
        is_sum = re.search(r"\b(?:million|billion|thousand)\b", piece)
        return None if _SHARE_PRICE.search(beside) and not is_sum else "no price of a share is there"
    if per not in coins_in(place.around) and not re.search(rf"\bper {re.escape(per)}\b", place.near, re.IGNORECASE):
        return "no price of this coin is there"
    return None if re.search(r"\b(?:per|price|cost|average)\b", place.around, re.IGNORECASE) else "no price is there"


def mark_refusal(_place: Place, fact: DocumentFact, _document: Document) -> str | None:
    """Say which unit the literal writes at its number, where the fact claims another one."""
    literal = fold(fact.literal)
    own = [each for each in amounts(literal) if is_number(fact.value) and each.value == Decimal(fact.value)]
    if not own:
        return None
    if "%" not in fact.unit and all(re.match(r"\s?%", literal[each.end :]) for each in own):
        return "it is a share in percent there"
    if "H/s" not in fact.unit.partition(" per ")[0] and all(re.match(r"\s?[EPT]H/s", literal[each.end :]) for each in own):
        return "it is a hash rate there"
    if fact.unit != "shares" and all(not each.is_money and _SHARES_BEHIND.match(literal[each.end :]) for each in own):
        return "these are shares there"
    if not set(re.findall(r"\w+", fact.unit)) & {*(coins := [_coin_behind(literal[each.end :]) for each in own])} and all(coins):
        return "it is a number of coins there"
    if " per " not in fact.unit and fact.unit.isalpha() and fact.unit.isupper() and fact.unit != "USD" and _RATE.search(literal):
        return "it is a rate there"
    return "it is money there" if "USD" not in fact.unit and all(each.is_money for each in own) else None
