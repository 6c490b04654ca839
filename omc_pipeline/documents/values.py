"""Whether a literal carries a fact's value: the number with its scale and sign, the day, or the words."""

from __future__ import annotations

import re
from decimal import Decimal

from omc_pipeline.documents.amounts import amounts, table_scale
from omc_pipeline.documents.coins import is_coin
from omc_pipeline.documents.dates import days
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.statements import statement_refusal
from omc_pipeline.documents.wording import last_match

_LOSS = re.compile(r"\b(?:loss(?:es)?|deficit|decreas\w*|declin\w*|outflow)\b", re.IGNORECASE)
_NEGATED = re.compile(r"\b(?:not|no|never|without|none|neither|nor)\b|n’t\b|n't\b", re.IGNORECASE)


_SPELLED = {word: number for number, word in enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1)}
_SPELLED_WORD = re.compile(rf"\b(?:{'|'.join(_SPELLED)})\b", re.IGNORECASE)
_DECIMAL = re.compile(r"[-+]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})", re.ASCII)
_COUNTED = re.compile(r"USD|%|shares|days|members|count|EH/s|.+ per .+")
_DAY_FORM = re.compile(r"\d{4}-(?:Q[1-4]|\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d)?Z?)?)?)(?:/\d{4}-\d\d-\d\d(?:T\d\d:\d\dZ?)?)?")


def value_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why a literal does not carry a fact's value, or None where it does."""
    literal = fold(fact.literal)
    if fact.negated and is_number(fact.value):
        return None if fact.value == "0" and _NEGATED.search(literal) else "the words don't deny it"
    if fact.negated and not _NEGATED.search(f"{place.before[-80:]} {literal}"):
        return "the words don't deny it"
    if fact.unit in ("date", "datetime", "period"):
        return _day_value(literal, fact.value, place.sentence)
    numbers = [part for part in re.split(r"\s*(?:to|-)\s+", fact.value) if part] if " to " in fact.value else [fact.value]
    if all(map(is_number, numbers)) and fact.unit not in ("rule", "ticker"):
        return next((reason for number in numbers if (reason := _number_value(place, literal, Decimal(number), fact))), None)
    return "this is no number" if _COUNTED.fullmatch(fact.unit) or is_coin(fact.unit) else statement_refusal(place, fact, document)


def _number_value(place: Place, literal: str, value: Decimal, fact: DocumentFact) -> str | None:
    found = amounts(literal)
    if value == 0 and re.search(r"\b(?:not|no|zero|none)\b", literal, re.IGNORECASE):
        return None
    if any(_SPELLED[word.lower()] == value for word in _SPELLED_WORD.findall(literal)):
        return None
    scale = _table_scale(place, fact)
    whole = f"{place.before}{literal}{place.after}"
    tail = amounts(whole[len(place.before) :]) if found else []
    for amount, full in zip(found, tail, strict=False):
        size = abs(full.value) if full.scale else abs(amount.digits.scaleb(scale if not amount.scale else amount.scale))
        if size == abs(value):
            return _sign(place, amount.value < 0, value, fact)
    return "the number is not there in this scale"


def _sign(place: Place, in_parentheses: bool, value: Decimal, fact: DocumentFact) -> str | None:
    gives_sign = fact.kind in ("net_income", "eps", "unrealized_loss", "holdings_change", "revenue_growth", "operating_income")
    clause = re.split(r"[;]|,\s+(?:compared|versus|against)|\bcompared (?:to|with)\b", place.before)[-1]
    if in_parentheses and gives_sign:
        return None if value < 0 else "the number is negative there"
    words = f"{clause[-110:]} {fold(fact.literal)} {place.after[:25]}" if gives_sign else ""
    losses, gains = (
        last_match(_LOSS, words),
        last_match(re.compile(r"\b(?:net income|income|profit|earnings|gain|increas\w*)\b", re.IGNORECASE), words),
    )
    if value < 0:
        return None if losses >= 0 and losses >= gains else "nothing there makes it negative"
    if gives_sign and fact.kind in ("net_income", "unrealized_loss") and losses > gains:
        return "the words make it a loss"
    return None


def _table_scale(place: Place, fact: DocumentFact) -> int:
    if place.cell is None:
        return 0
    texts = [*reversed(place.cell.heads), place.passage.label]
    own = next((scale for text in texts if not re.search(r"\bunits\b", text, re.IGNORECASE) and (scale := table_scale(text))), 0)
    if own or fact.unit.startswith("USD per"):
        return own
    heads = [head for cell in place.passage.cells for head in cell.heads if re.search(r"\bunits\b", head, re.IGNORECASE)]
    return next((scale for head in heads if (scale := table_scale(head))), 0) if fact.unit not in ("USD", "shares") else 0


def _day_value(literal: str, value: str, sentence: str) -> str | None:
    if not _DAY_FORM.fullmatch(value):
        return "this is no day"
    wanted = re.findall(r"\d{4}-\d\d-\d\d", value)
    if not wanted:
        year, _, rest = value.partition("-")
        quarter_ends = {"Q1": "03-31", "Q2": "06-30", "Q3": "09-30", "Q4": "12-31"}
        end = f"{year}-{quarter_ends.get(rest, rest)}"
        return None if any(str(day.day) == end for day in days(literal)) or f"{rest} {year}" in literal else "the day is not there"
    there = {str(day.day) for day in days(literal)} | set(re.findall(r"\d{4}-\d\d-\d\d", literal))
    if not there and re.search(r"\d", literal):
        there = {str(day.day) for day in days(sentence)}
    clocks = re.findall(r"T(\d\d:\d\d)", value)
    if not all(day in there for day in wanted):
        return "the day is not there"
    return None if all(clock in literal for clock in clocks) else "the hour is not there"


def is_number(value: str) -> bool:
    """Whether a value is a plain decimal number; one with an exponent may be too large for any arithmetic."""
    return _DECIMAL.fullmatch(value) is not None
