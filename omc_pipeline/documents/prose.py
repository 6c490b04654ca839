"""Rules for sentences: purchases, sales, holdings, the money beside them, proceeds and notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from omc_pipeline.documents.amounts import MONEY, NUMBER, SCALE, amount_of, number_words
from omc_pipeline.documents.coins import COIN, STABLE, coins_in, symbol_of
from omc_pipeline.documents.dates import as_of, period_of
from omc_pipeline.documents.fact import DocumentFact, Modality
from omc_pipeline.documents.passage import Passage

_HEDGE = r"(?:(?:an?|the|some|additional|aggregate|total|of|in|its|another|approximately|about|roughly|over|nearly|almost|more than|at least|exactly|first)\s+)*"
_COINS = rf"(?P<coins>{_HEDGE}(?P<n>{NUMBER}{SCALE})\s+(?:units of |whole )?(?P<coin>{COIN}))"
_MONEY = rf"(?P<money>{MONEY})"
_NOT = re.compile(r"\b(?:did not|didn’t|has not|have not|had not|no longer|without)\b", re.IGNORECASE)
_MAY = re.compile(
    r"\b(?:may(?!\s+\d)|might|could|would|will|shall|intends?|plans?|expects?|aims?|seeks?|proposes?|agreed|target(?:s|ing)?|goal|if|until|commit(?:s|ted)?)\b"
    r"[^.;]{0,60}$",
    re.IGNORECASE,
)
_BOUGHT = re.compile(
    rf"\b(?:purchased|acquired|bought|added|purchases? of|acquisitions? of|purchasing|acquiring)\s+{_COINS}", re.IGNORECASE
)
_SOLD = re.compile(rf"\b(?:sold|sales? of|selling|disposed of)\s+{_COINS}", re.IGNORECASE)
_HELD = re.compile(
    rf"\b(?:holds?|held|holding|owns?|owned|hodled|hodls|treasury of|balance of|holdings (?:of|were|was|are|stood at|totaled|totalled|total|comprised)"
    rf"|(?:increas|bring|rais|grow)\w* (?:\w+ ){{0,4}}holdings (?:[\w%.]+ ){{0,4}}to|holdings (?:[\w%.]+ ){{0,3}}to)\s+(?:{MONEY} (?:of|in) [\w\s]{{2,40}}? and )?{_COINS}",
    re.IGNORECASE,
)
_HELD_BARE = re.compile(
    rf"\b(?P<coin>{COIN})\s+holdings\s+(?:\w+\s+){{0,3}}(?:to|of|at|were|:)\s*{_HEDGE}(?P<n>{NUMBER}{SCALE})(?![\d,.]*\s?%|\s*(?:{COIN}))",
    re.IGNORECASE,
)
_DATED_COINS = re.compile(rf"{_COINS}(?=(?:\s\d{{1,2}})?,?\s+as of\b)", re.IGNORECASE)
_HELD_BY = re.compile(rf"{_COINS}\s+(?:were |was |are |is )?(?:held|owned)\b", re.IGNORECASE)
_LABELLED = re.compile(rf"^(?:total\s+)?(?P<coin>{COIN})\s+holdings?\s*:\s*(?P<n>{NUMBER}{SCALE})", re.IGNORECASE)
_NONE_BOUGHT = re.compile(
    rf"\b(?:did not|has not|have not) (?P<verb>purchase|acquire|buy|sell)(?:d)? any (?P<what>{COIN}|shares of (?P<shares>[\w\s.%-]{{3,80}}?)(?=\s+(?:under|pursuant|during|in)|[,.;]|$))",
    re.IGNORECASE,
)
_FOR = re.compile(
    rf"\bfor (?:an? )?(?:aggregate |total )?(?:purchase price |cost |consideration )?(?:of )?{_HEDGE}{_MONEY}(?!\s*(?:per\b|net\b|in (?:net|gross)))",
    re.IGNORECASE,
)
_AVERAGE = re.compile(
    rf"\b(?:weighted )?average (?:purchase |sale |selling |cost )?(?:price|cost|basis)(?: \w+){{0,4}}? (?:of|was|at|is)\s+{_HEDGE}(?P<price>{MONEY})"
    rf"(?:\s+per\s+(?:(?P<per>{COIN})|(?P<share>share)|\w+))?",
    re.IGNORECASE,
)
_AGGREGATE = re.compile(rf"\baggregate (?:purchase price|cost|cost basis) of {_HEDGE}{_MONEY}", re.IGNORECASE)
_PROCEEDS_OF = re.compile(
    rf"\b(?P<sort>net|gross|cash|aggregate gross|aggregate net|aggregate|total)?\s*proceeds\b(?:\s*\([^)]{{0,160}}\))?(?:\s+to (?:the )?\w+)?(?:\s*\([^)]{{0,160}}\))?(?P<from>(?:\s*,)?\s+(?:from|of the sale of|received from)\s+[^.;$]{{3,140}}?)?"
    rf"\s+(?:of|were|was|totaling|totalling|totaled|are expected to be|are estimated to be|will be|is expected to be|amounted to)\s+{_HEDGE}{_MONEY}",
    re.IGNORECASE,
)
_IN_PROCEEDS = re.compile(rf"{_MONEY}\s+(?:in|of)\s+(?:aggregate\s+|total\s+)?(?P<sort>net|gross)\s+proceeds", re.IGNORECASE)
_NOTES = re.compile(
    rf"{_MONEY}\s+(?:in\s+)?(?:aggregate\s+)?principal amount of (?:its |the |our |new )?(?P<named>(?:{NUMBER}%\s+)?[\w\s%.-]{{0,60}}?notes(?:\s+due\s+(?P<year>20\d\d))?)",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"\bup to an additional {_MONEY}\s+(?:in\s+)?(?:aggregate\s+)?principal amount", re.IGNORECASE)
_TOTAL_IN = re.compile(rf"\b(?:a )?total of {_HEDGE}{_MONEY} (?:in|of) (?P<coin>{COIN}) (?:acquisitions|purchases)", re.IGNORECASE)
_RAISED_BY_MONEY = re.compile(
    rf"\b(?P<coin>{COIN}) (?:purchases|acquisitions)\b[^.;$]{{0,60}}\bby (?:an additional )?{_HEDGE}{_MONEY}", re.IGNORECASE
)
_SHARES = rf"(?P<n>{NUMBER}{SCALE})\s+(?:(?:of )?(?:its|our|the Company’s)\s+)?(?P<sort>(?:[\w.%]+\s+){{0,3}}?)(?P<word>[Ss]hares)(?:\s+of\s+(?:its |the Company’s |our )?(?P<of>(?:class [a-c] )?(?:common|ordinary|preferred) (?:stock|shares?)))?"
_REPURCHASED = re.compile(rf"\brepurchase(?:d|s)?\b(?:\s+of)?\s+{_HEDGE}{_SHARES}", re.IGNORECASE)
_SHARES_SOLD = re.compile(rf"\b(?:issued and sold|sold)\s+{_HEDGE}{_SHARES}", re.IGNORECASE)
_SHARE_PRICE = re.compile(
    rf"\baverage (?:gross |purchase |repurchase )?price (?:per [Ss]hare )?of\s+{_HEDGE}(?P<price>{MONEY})(?:\s+per\s+(?:common\s+)?share)?",
    re.IGNORECASE,
)
_SECURITY = re.compile(
    r"\bshares? of (?:its |our |the Company’s )?(?P<of>(?:[Cc]lass [A-C] )?(?:common|ordinary) (?:stock|shares?))", re.IGNORECASE
)
_EXPECTED = re.compile(r"\b(?:expect(?:s|ed)?|estimat(?:es|ed)|anticipat(?:es|ed)|will be)\b", re.IGNORECASE)
_TOTALS = re.compile(r"\b(?:holdings?|held|holds?|owns?|since inception|to date)\b", re.IGNORECASE)


class _MakeFact(Protocol):
    """Make a fact of a sentence; None where the text has no number that can be its value."""

    def __call__(
        self, kind: str, subject: str, text: str, unit: str, literal: str, when: str | None = None, modality: Modality | None = None
    ) -> DocumentFact | None: ...


@dataclass(frozen=True)
class Context:
    """What stands around a passage: the document's day and main coin, the issuer's ticker, the period that the heading names."""

    dated: date | None
    coin: str | None
    ticker: str | None = None
    period: str = ""

    @property
    def year(self) -> int | None:
        """The document's year, for days without one."""
        return self.dated.year if self.dated else None

    def entering(self, passage: Passage) -> Context:
        """Return the context of a passage; its heading says a period for all below."""
        period = period_of(passage.heading, self.year) if passage.heading else ""
        return replace(self, period=period)


def prose_facts(passage: Passage, context: Context) -> Iterator[DocumentFact]:
    """Yield the facts of a paragraph's sentences."""
    for sentence in passage.sentences():
        yield from _sentence_facts(sentence, passage, context)


def _sentence_facts(sentence: str, passage: Passage, context: Context) -> Iterator[DocumentFact]:  # noqa: C901 one case after the other
    whole = period_of(sentence, context.year)
    period = whole or context.period

    def fact(
        kind: str, subject: str, text: str, unit: str, literal: str, when: str | None = None, modality: Modality | None = None
    ) -> DocumentFact | None:
        value = amount_of(text)
        if value is None or "%" in text:
            return None
        return DocumentFact(
            kind, subject, number_words(value), unit, passage.number, literal.strip(" ,;"), period if when is None else when, modality
        )

    found: list[DocumentFact | None] = []
    bought, sold = (
        [m for m in _BOUGHT.finditer(sentence) if _happened(sentence, m)],
        [m for m in _SOLD.finditer(sentence) if _happened(sentence, m)],
    )
    trades = sorted([*((m, "bought") for m in bought), *((m, "sold") for m in sold)], key=lambda item: item[0].start())
    for place, (match, side) in enumerate(trades):
        coin = symbol_of(match["coin"])
        if coin in STABLE:
            continue
        until = trades[place + 1][0].start() if place + 1 < len(trades) else len(sentence)
        rest = sentence[match.end() : until]
        when = "" if period.startswith("as of") and not whole else period.removeprefix("as of ")
        found.append(fact("coins_purchased" if side == "bought" else "coins_sold", coin, match["n"], coin, match[0], when))
        money = _FOR.search(rest)
        if money and not re.search(r"average", rest[: money.start()], re.IGNORECASE):
            found.append(
                fact(
                    "purchase_price_total" if side == "bought" else "proceeds",
                    coin,
                    money["money"],
                    "USD",
                    money[0].removeprefix("for "),
                    when,
                )
            )
        if side == "sold" and (proceeds := _PROCEEDS_OF.search(rest)):
            found.append(fact("proceeds", coin, proceeds["money"], "USD", proceeds[0], when))
        average = _AVERAGE.search(rest)
        if average and not average["share"]:
            found.append(
                fact("average_price", coin if side == "bought" else f"{coin} sold", average["price"], f"USD per {coin}", average[0], when)
            )
    found += [fact_ for fact_ in _holdings(sentence, passage, context, [m.span("n") for m, _ in trades]) if fact_]
    if not trades:
        found += _costs(sentence, passage, context, fact)
        if not sold:
            found += _proceeds(sentence, passage, context, fact)
    found += _shares(sentence, passage, context, fact)
    found += _notes(sentence, passage, context, fact)
    yield from (each for each in found if each is not None)
    for match in _NONE_BOUGHT.finditer(sentence):
        what = match["what"]
        is_sale, is_coin = match["verb"].lower() == "sell", not match["shares"]
        kind = ("coins_sold" if is_sale else "coins_purchased") if is_coin else ("securities_sold" if is_sale else "securities_purchased")
        subject = symbol_of(what) if is_coin else match["shares"].strip()
        yield DocumentFact(kind, subject, "0", symbol_of(what) if is_coin else "shares", passage.number, match[0], period, None, True)


def _happened(sentence: str, match: re.Match[str]) -> bool:
    before = sentence[max(0, match.start() - 90) : match.start() + 1]
    return not _MAY.search(before) and not _NOT.search(before[-40:])


def _holdings(sentence: str, passage: Passage, context: Context, traded: list[tuple[int, int]]) -> Iterator[DocumentFact]:
    taken: set[int] = {start for start, _ in traded}
    for pattern in (_HELD, _HELD_BY, _DATED_COINS, _LABELLED, _HELD_BARE):
        for match in pattern.finditer(sentence):
            start = match.start("n")
            coin = symbol_of(match["coin"])
            value = amount_of(match["n"])
            if start in taken or value is None or _MAY.search(sentence[: match.start()][-60:]) or (coin in STABLE):
                continue
            if pattern in (_DATED_COINS,) and not _TOTALS.search(sentence) and not _TOTALS.search(passage.heading):
                continue
            if re.search(
                r"\b(?:rewards?|yield|staked|native|comprised|loan|lend|lent|borrow|collateral|mined|produced|unvested)\b",
                sentence[max(0, match.start() - 60) : match.end()],
                re.IGNORECASE,
            ):
                continue
            taken.add(start)
            when = (
                as_of(sentence[match.end("n") :][:80], context.year)
                or as_of(sentence, context.year)
                or as_of(context_text(passage), context.year)
            )
            if not when and context.dated and re.search(r"\b(?:now|currently|today)\b", sentence, re.IGNORECASE):
                when = f"as of {context.dated}"
            yield DocumentFact(
                "holdings_after", coin, number_words(value), coin, passage.number, match[0].strip(" ,;"), when or _balance(context)
            )


def context_text(passage: Passage) -> str:
    """Return the heading that speaks for a passage."""
    return passage.heading


def _balance(context: Context) -> str:
    if context.period.startswith("as of"):
        return context.period
    if "/" in context.period:
        return f"as of {context.period.rpartition('/')[2]}"
    return context.period.replace("week ending", "as of") if context.period else ""


def _costs(sentence: str, passage: Passage, context: Context, fact: _MakeFact) -> Iterator[DocumentFact | None]:
    coins = [coin for coin in coins_in(sentence) if coin not in STABLE]
    coin = coins[0] if coins else None
    if coin is None:
        average = _AVERAGE.search(sentence)
        if average and average["per"]:
            coin = symbol_of(average["per"])
        else:
            return
    is_total = bool(_TOTALS.search(sentence))
    when = as_of(sentence, context.year) or None
    for pattern, kind in ((_TOTAL_IN, "aggregate_cost"), (_RAISED_BY_MONEY, "purchase_price_total")):
        stated = pattern.search(sentence)
        if stated:
            day = f"as of {context.dated}" if context.dated and kind == "aggregate_cost" else ""
            yield fact(kind, symbol_of(stated["coin"]), stated["money"], "USD", stated[0], when or day)
    aggregate, average = _AGGREGATE.search(sentence), _AVERAGE.search(sentence)
    if aggregate and is_total:
        yield fact("aggregate_cost", coin, aggregate["money"], "USD", aggregate[0], when)
    elif aggregate and not _MAY.search(sentence[: aggregate.start()][-60:]):
        yield fact("purchase_price_total", coin, aggregate["money"], "USD", aggregate[0])
    if average and not average["share"] and (average["per"] or re.search(rf"{COIN}\s+(?:purchase|sale) price", sentence)):
        yield fact(
            "average_cost" if is_total else "average_price",
            coin,
            average["price"],
            f"USD per {coin}",
            average[0],
            when if is_total else None,
        )


def _proceeds(sentence: str, passage: Passage, context: Context, fact: _MakeFact) -> Iterator[DocumentFact | None]:
    for match in _IN_PROCEEDS.finditer(sentence):
        yield fact(
            "proceeds",
            _raised_by(sentence, match.end()),
            match["money"],
            "USD",
            match[0],
            None,
            "expected" if _EXPECTED.search(sentence) else None,
        )
    for match in _PROCEEDS_OF.finditer(sentence):
        if re.search(r"\buse\b", sentence[: match.start()], re.IGNORECASE):
            continue
        of_shares = _SHARES_SOLD.search(sentence)
        security = _SECURITY.search(passage.text) if of_shares else None
        subject = (security["of"] if security else "") or _named(match["from"] or "") or _raised_by(sentence, match.end())
        yield fact("proceeds", subject, match["money"], "USD", match[0], None, "expected" if _EXPECTED.search(match[0]) else None)


def _shares(sentence: str, passage: Passage, context: Context, fact: _MakeFact) -> Iterator[DocumentFact | None]:
    """Yield shares that a company bought back or sold, with their average price."""
    for match in _REPURCHASED.finditer(sentence):
        if not _happened(sentence, match) or not context.ticker:
            continue
        yield fact("shares_repurchased", context.ticker, match["n"], "shares", match[0])
        price = _SHARE_PRICE.search(sentence[match.end() :])
        if price:
            yield fact("average_price", context.ticker, price["price"], "USD per share", price[0])
        money = _FOR.search(sentence[match.end() :])
        if money and "average" not in sentence[match.end() : match.end() + money.start()]:
            yield fact("repurchase_cost", context.ticker, money["money"], "USD", money[0].removeprefix("for "))
    for match in _SHARES_SOLD.finditer(sentence):
        named = match["of"] or (found["of"] if (found := _SECURITY.search(passage.text)) else "")
        if _happened(sentence, match) and named:
            yield fact("securities_sold", named, match["n"], "shares", match[0])


def _raised_by(sentence: str, at: int) -> str:
    after = re.search(r"\b(?:through|under|from|via)\s+(?:the |its |an? |our )?(?P<what>[^.,;$]{3,70})", sentence[at:])
    return (_named(after["what"]) if after else "") or "total"


def _named(text: str) -> str:
    named = re.sub(
        r"^\W*(?:,?\s*(?:from|of)\s+)?(?:the\s+)?(?:sales?|issuance|offering)\s+(?:and (?:sale|issuance) )?of\s+",
        "",
        text.strip(),
        flags=re.IGNORECASE,
    )
    named = re.sub(r"^(?:from|through|under|via)\s+", "", named, flags=re.IGNORECASE)
    named = re.sub(r"^(?:the|its|an?|our|such)\s+", "", named, flags=re.IGNORECASE)
    named = re.sub(r"\s+(?:facility|program(?:me)?|this past week|during.*|in the .*|were.*|was.*)$", "", named, flags=re.IGNORECASE)
    return named.strip(" ,")


def _notes(sentence: str, passage: Passage, context: Context, fact: _MakeFact) -> Iterator[DocumentFact | None]:
    named = ""
    for match in _NOTES.finditer(sentence):
        if re.search(r"\badditional\s*$", sentence[: match.start()]):
            continue
        named, mood = _notes_name(match["named"], match["year"]), _mood(sentence[: match.start()])
        day = str(context.dated) if context.dated and mood == "actual" and "today" in sentence[: match.start()] else ""
        yield fact("notes_principal", named, match["money"], "USD", match[0], day, mood)
    option = _OPTION.search(sentence)
    if option:
        heading_year = re.search(r"notes\s+due\s+(20\d\d)", f"{sentence} {passage.heading}", re.IGNORECASE)
        name = named or _notes_name(sentence, heading_year[1] if heading_year else None)
        yield fact("option_principal", name, option["money"], "USD", option[0], "", _mood(sentence[: option.start()]))


def _notes_name(words: str, year: str | None) -> str:
    sort = "Convertible Notes" if "convertible" in words.lower() else "Notes"
    return f"{sort} due {year}" if year else sort


def _mood(before: str) -> Modality | None:
    if re.search(r"\b(?:intends?|propos\w+|plans?|intention|subject to)\b", before, re.IGNORECASE):
        return "proposed"
    if re.search(r"\bpric(?:ed|ing)\b", before, re.IGNORECASE):
        return "priced"
    if re.search(r"\b(?:completed|closed|closing|issued|sold|consummated)\b", before, re.IGNORECASE):
        return "actual"
    return None
