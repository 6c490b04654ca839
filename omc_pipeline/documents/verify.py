"""Whether a passage bears a fact: code's own judgement, the same for rules and for every model.

A fact stands when its literal is in the passage and carries its value with unit, scale and sign; its subject is named in the same
sentence or row; its days are said there, above it, or by the document's date; and the words around the figure mean its kind and mood.
What can't be shown is refused: a fact left out costs less than a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from omc_pipeline.documents.amounts import amounts, table_scale
from omc_pipeline.documents.coins import coins_in, symbol_of
from omc_pipeline.documents.dates import days
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Cell, Document, Passage
from omc_pipeline.documents.periods import Said, bears_period
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.vocabulary import KINDS, MOODS, OPEN, kind_of

_LOSS = re.compile(r"\b(?:loss(?:es)?|deficit|decreas\w*|declin\w*|outflow)\b", re.IGNORECASE)
_NEGATED = re.compile(r"\b(?:not|no|never|without|none|neither|nor)\b|n’t\b|n't\b", re.IGNORECASE)
_PARTY_WORDS = re.compile(r"\b(?:the company|the registrant|we|our|us|company’s|company's)\b", re.IGNORECASE)
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
_STOCKS = frozenset(
    [
        "cash",
        "debt",
        "stockholders_equity",
        "crypto_assets_value",
        "stablecoins",
        "holdings",
        "holdings_after",
        "holdings_before",
        "shares_outstanding",
        "aggregate_cost",
        "average_cost",
        "nav_per_share",
    ]
)
"""Kinds that are true of a day."""
_FLOWS = frozenset(
    [
        "securities_sold",
        "average_price",
        "btc_yield",
        "revenue",
        "net_income",
        "eps",
        "operating_expenses",
        "coins_purchased",
        "coins_sold",
        "coins_mined",
        "purchase_price_total",
        "unrealized_loss",
        "hash_rate",
        "staking_rewards",
    ]
)
"""Kinds that are true of a span."""
_DATED = frozenset(
    {"effective_date", "deadline", "maturity", "amends", "fiscal_year_end", "period_days", "deposits_close", "withdrawals_close"}
)
_COMMON = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "and",
        "or",
        "for",
        "to",
        "in",
        "on",
        "at",
        "by",
        "its",
        "our",
        "with",
        "stock",
        "class",
        "common",
        "series",
        "inc",
        "corp",
        "llc",
        "ltd",
        "plc",
        "total",
        "company",
        "shares",
        "share",
    ]
)


_CLASS = re.compile(r"\b(?:preferred|common|notes|warrants)\b")


@dataclass(frozen=True)
class _Place:
    """Where a literal stands: its sentence or row, the characters before and after it there, and all that speaks for it."""

    passage: Passage
    sentence: str
    before: str
    after: str
    cell: Cell | None

    @property
    def heads(self) -> str:
        """Heads of its cell and the row's label."""
        return " ".join([*(self.cell.heads if self.cell else ()), self.passage.label if self.cell else ""])

    @property
    def near(self) -> str:
        """Sentence or row with heads."""
        return f"{self.heads} {self.sentence}"

    @property
    def around(self) -> str:
        """The same with the heading above."""
        return f"{self.passage.heading} {self.near}"


def refusal(fact: DocumentFact, document: Document) -> str | None:
    """Say why a document does not bear a fact, or None where it does.

    Args:
        fact: As rules or a model state it; ``passage`` 0 means any passage with its literal.
        document: The whole document, for headings, names and its date.
    """
    places = list(_places(fact, document))
    if not places:
        return "the passage does not have these characters"
    reasons = [_refused_at(place, fact, document) for place in places]
    return None if None in reasons else reasons[0]


def accepted(facts: Sequence[DocumentFact], document: Document) -> list[DocumentFact]:
    """Return the facts that a document bears, in their order."""
    return [fact for fact in facts if refusal(fact, document) is None]


def _places(fact: DocumentFact, document: Document) -> Iterator[_Place]:
    literal = fold(fact.literal)
    if not literal or len(literal) > 2000:
        return
    passages = document.passages if fact.passage == 0 else [p for p in document.passages if p.number == fact.passage]
    for passage in passages:
        for sentence in _sentences(passage):
            start = sentence.find(literal)
            while start >= 0:
                end = start + len(literal)
                if not (_cuts(sentence, start) or _cuts(sentence, end)):
                    cell = next((cell for cell in passage.cells if literal in cell.text), None)
                    yield _Place(passage, sentence, sentence[:start], sentence[end:], cell)
                start = sentence.find(literal, start + 1)


def _sentences(passage: Passage) -> list[str]:
    if passage.is_row:
        return list(dict.fromkeys([passage.joined, *(cell.text for cell in passage.cells if not cell.heads)]))[:1]
    return list(passage.sentences())


def _cuts(text: str, at: int) -> bool:
    """Whether a place is within a number or a word."""
    if not 0 < at < len(text):
        return False
    left, right = text[at - 1], text[at]
    return (
        (left.isdigit() and right.isdigit())
        or (left.isalpha() and right.isalpha() and not (left.islower() and right.isupper()))
        or (left in ".," and right.isdigit() and at > 1 and text[at - 2].isdigit())
        or (left.isdigit() and right in ",." and text[at + 1 : at + 2].isdigit())
    )


def _refused_at(place: _Place, fact: DocumentFact, document: Document) -> str | None:
    for test in (_value, _mark, _unit, _kind, _subject, _mood):
        reason = test(place, fact, document)
        if reason:
            return reason
    said = Said(place.sentence, place.heads, place.passage.heading, _neighbours(place.passage, document), _dated(document), fact.literal)
    if fact.kind in _STOCKS and fact.period and ("/" in fact.period or "Q" in fact.period):
        return "this kind is true of a day"
    if fact.kind in _FLOWS and fact.period.startswith("as of"):
        return "this kind is true of a span"
    later = _later_day(fact, place, document)
    if later:
        return later
    return None if bears_period(fact.period, said, fact.kind) else "the period is not said there"


def _later_day(fact: DocumentFact, place: _Place, document: Document) -> str | None:
    """Tell holdings of two days apart: what is held after has no later day in its passage, what was held before has one in the document."""
    if fact.kind not in ("holdings_after", "holdings_before") or not fact.period.startswith("as of "):
        return None
    own = fact.period.removeprefix("as of ")
    if fact.kind == "holdings_after":
        own_dates = re.findall(r"\d{4}-\d\d-\d\d", " ".join(as_of_days(place.passage.text)))
        return "it is what was held before" if any(day > own for day in own_dates) else None
    everywhere = [day for passage in document.passages for day in as_of_days(f"{passage.heading} {passage.text}")]
    return None if any(day > own for day in everywhere) else "it is what is held after"


def as_of_days(text: str) -> list[str]:
    """Return the days that a text says balances are of."""
    return [str(day.day) for day in days(text) if re.search(r"\bas (?:of|at)\s*(?:\w+day,?\s*)?$", text[: day.start], re.IGNORECASE)]


def _value(place: _Place, fact: DocumentFact, document: Document) -> str | None:
    literal = fold(fact.literal)
    if fact.negated:
        return (
            None
            if (fact.value == "0" and _NEGATED.search(literal))
            or (not _is_number(fact.value) and _NEGATED.search(f"{place.before[-80:]} {literal}"))
            else "the words don't deny it"
        )
    if fact.unit in ("date", "datetime", "period"):
        return _day_value(literal, fact.value, place.sentence)
    numbers = [part for part in re.split(r"\s*(?:to|-)\s+", fact.value) if part] if " to " in fact.value else [fact.value]
    if all(map(_is_number, numbers)) and fact.unit not in ("rule", "ticker"):
        return next((reason for number in numbers if (reason := _number_value(place, literal, Decimal(number), fact))), None)
    text = " ".join(p.text for p in document.passages) if fact.unit == "venue" else f"{literal} {place.sentence}"
    return None if _words_stand(fact.value, text, most=0.5) else "the passage does not say this value"


def _number_value(place: _Place, literal: str, value: Decimal, fact: DocumentFact) -> str | None:
    found = amounts(literal)
    if value == 0 and re.search(r"\b(?:not|no|zero|none)\b", literal, re.IGNORECASE):
        return None
    words = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
    spelled = {Decimal(number) for word, number in words.items() if re.search(rf"\b{word}\b", literal, re.IGNORECASE)}
    if value in spelled:
        return None
    scale = _table_scale(place, fact)
    whole = f"{place.before}{literal}{place.after}"
    tail = amounts(whole[len(place.before) :]) if found else []
    for amount, full in zip(found, tail, strict=False):
        size = abs(full.value) if full.scale else abs(amount.digits.scaleb(scale if not amount.scale else amount.scale))
        if size == abs(value):
            return _sign(place, amount.value < 0, value, fact)
    return "the number is not there in this scale"


def _sign(place: _Place, in_parentheses: bool, value: Decimal, fact: DocumentFact) -> str | None:
    gives_sign = fact.kind in ("net_income", "eps", "unrealized_loss", "holdings_change", "revenue_growth", "operating_income")
    clause = re.split(r"[;]|,\s+(?:compared|versus|against)|\bcompared (?:to|with)\b", place.before)[-1]
    if in_parentheses and gives_sign:
        return None if value < 0 else "the number is negative there"
    words = f"{clause[-110:]} {fold(fact.literal)} {place.after[:25]}" if gives_sign else ""
    losses, gains = (
        _last(_LOSS, words),
        _last(re.compile(r"\b(?:net income|income|profit|earnings|gain|increas\w*)\b", re.IGNORECASE), words),
    )
    if value < 0:
        return None if losses >= 0 and losses >= gains else "nothing there makes it negative"
    if gives_sign and fact.kind in ("net_income", "unrealized_loss") and losses > gains:
        return "the words make it a loss"
    return None


def _table_scale(place: _Place, fact: DocumentFact) -> int:
    if place.cell is None:
        return 0
    texts = [*reversed(place.cell.heads), place.passage.label]
    own = next((scale for text in texts if not re.search(r"\bunits\b", text, re.IGNORECASE) and (scale := table_scale(text))), 0)
    if own or fact.unit.startswith("USD per"):
        return own
    heads = [head for cell in place.passage.cells for head in cell.heads if re.search(r"\bunits\b", head, re.IGNORECASE)]
    return next((scale for head in heads if (scale := table_scale(head))), 0) if fact.unit not in ("USD", "shares") else 0


def _day_value(literal: str, value: str, sentence: str) -> str | None:
    wanted = re.findall(r"\d{4}-\d\d-\d\d", value)
    if not wanted:
        year, _, rest = value.partition("-")
        quarter_ends = {"Q1": "03-31", "Q2": "06-30", "Q3": "09-30", "Q4": "12-31"}
        end = f"{year}-{quarter_ends.get(rest, rest)}"
        return None if any(str(day.day) == end for day in days(literal)) or f"{rest} {year}" in literal else "the day is not there"
    there = {str(day.day) for day in days(literal)} | set(re.findall(r"\d{4}-\d\d-\d\d", literal))
    if not there:
        there = {str(day.day) for day in days(sentence)}
    clocks = re.findall(r"T(\d\d:\d\d)", value)
    if not all(day in there for day in wanted):
        return "the day is not there"
    return None if all(clock in literal for clock in clocks) else "the hour is not there"


def _unit(place: _Place, fact: DocumentFact, document: Document) -> str | None:
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
        and _is_number(fact.value)
        and re.fullmatch(r"[A-Za-z]{2,8}", fact.unit)
        and fact.unit == fact.subject
    ):
        return "it is money there"
    return None


def _mark(_place: _Place, fact: DocumentFact, _document: Document) -> str | None:
    """Say which unit the literal writes at its number, where the fact claims another one."""
    literal = fold(fact.literal)
    own = [each for each in amounts(literal) if _is_number(fact.value) and each.value == Decimal(fact.value)]
    if not own:
        return None
    if "%" not in fact.unit and all(re.match(r"\s?%", literal[each.end :]) for each in own):
        return "it is a share in percent there"
    if "H/s" not in fact.unit and all(re.match(r"\s?[EPT]H/s", literal[each.end :]) for each in own):
        return "it is a hash rate there"
    return "it is money there" if "USD" not in fact.unit and all(each.is_money for each in own) else None


def _kind(place: _Place, fact: DocumentFact, document: Document) -> str | None:
    if fact.kind == "listing" and re.search(r"\bdelist", f"{place.passage.text} {place.passage.heading}", re.IGNORECASE):
        return "it is a delisting there"
    kind = kind_of(fact.kind)
    literal = fold(fact.literal)
    head = " ".join(place.cell.heads[-1:]) if place.cell and place.cell.heads else ""
    close = f"{head} {place.passage.label if place.cell else ''} {place.before[-160:]}{literal}{place.after[:90]}"
    if not kind.said_by.search(close) and not kind.said_by.search(place.around):
        return "the words there don't tell of this kind"
    return _other_kind(place, fact, head)


def _other_kind(place: _Place, fact: DocumentFact, head: str) -> str | None:
    """Tell apart kinds that share words by what stands nearest before the figure."""
    from omc_pipeline.documents.contrast import contradicts

    literal = fold(fact.literal)
    return contradicts(
        fact,
        place.before,
        literal,
        place.after,
        head,
        place.passage.label if place.cell else "",
        place.passage.heading,
        place.cell.heads if place.cell else (),
    )


def _subject(place: _Place, fact: DocumentFact, document: Document) -> str | None:
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
        if kind.of != "coin" and bare in _own_names(document):
            return None
        around = coins_in(place.passage.heading)
        return None if not named and (bare in around or (not around and bare == _main_coin(document))) else "the coin is not named there"
    classes, said = set(_CLASS.findall(subject.lower())), set(_CLASS.findall(fold(fact.literal).lower()))
    if classes and said and not classes & said:
        return "another security is named there"
    return None if _is_named(place, subject, document, fact.kind) else "the subject is not named there"


def _is_named(place: _Place, subject: str, document: Document, kind: str) -> bool:
    if _words_stand(subject, place.around) or (kind in _OF_SECURITIES and _words_stand(subject, place.passage.joined)):
        return True
    if kind == "proceeds" and subject.lower() == "total":
        return True
    own = _own_names(document)
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
    if kind in _DATED and any(len(word) > 3 and word[:4] in wide.lower() for word in _words(subject)):
        return True
    return len(_words(subject)) > 0 and (kind in _OF_SECURITIES or kind not in KINDS or kind in _DATED) and _words_stand(subject, wide)


def _are_own(subject: str, own: frozenset[str]) -> bool:
    """Whether a list such as *FLM, KDA* or a pair such as *Core Scientific / CoreWeave* is of the document's own names."""
    parts = [part.strip() for part in re.split(r"[,/;]| and ", subject) if part.strip()]
    return len(parts) > 1 and all(part in own or any(name.startswith(part) for name in own) for part in parts)


def _own_names(document: Document) -> frozenset[str]:
    from omc_pipeline.documents.names import own_names

    return own_names(document)


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[\w.%’'-]+", text.lower()) if word not in _COMMON and len(word.strip(".")) > 1]


def _words_stand(value: str, text: str, most: float = 0.66) -> bool:
    """Whether most words of a value stand in a text, by their stems; all of them where they are few and ``most`` is above a half."""
    wanted = _words(value)
    if not wanted:
        return value.strip().lower() in text.lower()
    there = text.lower()
    hits = sum(bool(re.search(rf"(?<![\w]){re.escape(_stem(word))}", there)) for word in wanted)
    return hits == len(wanted) if len(wanted) <= 2 and most > 0.5 else hits >= most * len(wanted)


def _stem(word: str) -> str:
    word = word.rstrip(".")
    return re.sub(r"(?:ies|es|s|ed|ing)$", "", word) if len(word) > 5 and word.isalpha() else word


def _mood(place: _Place, fact: DocumentFact, document: Document) -> str | None:
    kind = kind_of(fact.kind)
    literal = fold(fact.literal)
    if fact.modality:
        mood = fact.modality.split(" ", 1)[0].split(",")[0].lower()
        words = MOODS.get(mood)
        if words is None:
            return "no such mood"
        text = f"{place.before[-220:]} {literal} {place.after[:80]}"
        if not words.search(text):
            return "the words there don't have this mood"
        is_open = bool(OPEN.search(f"{place.before[-200:]} {literal}"))
        if mood in ("actual", "priced") and is_open:
            return "the words there leave it open"
        if mood in ("proposed", "intended", "expected", "hoped", "conditional", "anticipated") and not (
            is_open or words.search(f"{place.before[-220:]} {literal} {place.after[:60]}")
        ):
            return "the words there don't leave it open"
        return None
    if kind.may_be_open:
        return None
    clause = re.split(r"[;.]\s|\bwhich\b|\band (?:has|had)\b", place.before)[-1][-90:]
    return (
        "the words there leave it open"
        if OPEN.search(f"{clause} {literal.split('$')[0]}") and not re.search(r"\bpreviously announced\b", clause)
        else None
    )


_DECIMAL = re.compile(r"[-+]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})", re.ASCII)


def _is_number(value: str) -> bool:
    """Whether a value is a plain decimal number; one with an exponent may be too large for any arithmetic."""
    return _DECIMAL.fullmatch(value) is not None


def _last(pattern: re.Pattern[str], text: str) -> int:
    return max((match.start() for match in pattern.finditer(text)), default=-1)


def _neighbours(passage: Passage, document: Document) -> str:
    """Return the text of the few passages before, which may name the period for what follows, and of the same passage."""
    start = max(0, passage.number - 8)
    return " ".join(p.text for p in document.passages[start : passage.number])


def _dated(document: Document) -> tuple[date, ...]:
    found = [day.day for passage in document.passages[:40] for day in days(passage.text[:600])]
    return tuple(dict.fromkeys(found))


def _main_coin(document: Document) -> str | None:
    from omc_pipeline.documents.rules import main_coin

    return main_coin(document)


def with_passage(fact: DocumentFact, document: Document) -> DocumentFact:
    """Return a fact with the number of the first passage that has its literal; unchanged where none has."""
    literal = fold(fact.literal)
    number = next((p.number for p in document.passages if literal in p.joined or literal in p.text), 0)
    return replace(fact, passage=number)
