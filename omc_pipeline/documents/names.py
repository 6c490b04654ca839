"""What a document calls the party that it speaks for, its names and tickers, and the coin that it names most."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from omc_pipeline.documents.coins import STABLE, coins_in
from omc_pipeline.documents.passage import Document

_LISTED = re.compile(r"((?:[A-Z][\w&.’'-]*[ ,]+){1,6})\((?:the )?[“\"]?(?:NASDAQ|Nasdaq|NYSE[\w ]*|AMEX|OTC\w*|TSX\w*|ASX)[^)]{0,60}\)")
_TICKERS = re.compile(r"(?:NASDAQ|Nasdaq|NYSE[\w ]*|AMEX|OTC\w*|TSX[.\w]*|ASX)(?:\s*GM|\s*CM)?\s*:\s*[“\"]?([A-Z]{1,6}(?:,\s*[A-Z]{2,6})*)")
_QUOTED = re.compile(r"((?:[A-Z][\w&.’'-]*[ ,]+){1,6})?\([^()]{0,60}?[“\"](?P<name>[A-Z][\w&.’' -]{1,40}?),?[”\"][^()]{0,60}\)")
_OR = re.compile(r"[“\"](?:we|us|our|the )?Company,?[”\"]\s*(?:,|or|and)?\s*(?:the\s+)?[“\"](?P<name>[A-Z][\w&.’' -]{1,40}?),?[”\"]")
_CAPITALS = re.compile(r"\b[A-Z][\w.&’'-]+(?:\s+[A-Z][\w.&’'-]+){0,3}")
_THING = re.compile(
    r"\b(?:Agreements?|Proposals?|Plan|Merger|Offering|Notes?|Stock|Shares|Program\w*|Rules?|Requirement|Notice|Meeting|Act|Period|CD|Letter|Report"
    r"|Order|Facility|Securities|Warrants|ATM|Closing|Date|Transaction|Amendment|Board|Staff|Conversion|Event)$",
    re.IGNORECASE,
)
"""The last word of a defined term that is no party."""
_VENUE = re.compile(r"(?:The )?(?:NASDAQ|Nasdaq|NYSE|New York Stock Exchange|SEC$|Securities and Exchange|Commission)")
_FIRST = 16


def symbols(document: Document) -> list[str]:
    """Return the trading symbols of a cover's table: capitals in the rows below the head that says so."""
    found, below = [], False
    for passage in document.passages[:60]:
        if re.search(r"\b(?:Trading|Ticker)\s+Symbol", passage.text, re.IGNORECASE):
            below = True
        elif below and passage.is_row:
            found += [
                part
                for cell in passage.cells
                for part in re.split(r"[,\s]+", cell.text)
                if re.fullmatch(r"[A-Z]{2,6}", cell.text.replace(" ", "")[:6]) and re.fullmatch(r"[A-Z]{2,6}", part)
            ]
        elif below and found:
            break
        found += re.findall(r"\bsymbols? [“\"]([A-Z]{2,6})[.,]?[”\"]", passage.text)
    return found


@lru_cache(maxsize=64)
def own_names(document: Document) -> frozenset[str]:
    """Return the names and tickers of the party that a document speaks for, as they stand in its first passages."""
    head = [passage.text for passage in document.passages[:_FIRST]]
    names: set[str] = set()
    for text in [*head, *(passage.text for passage in document.passages[_FIRST:60])]:
        for tickers in _TICKERS.findall(text):
            names.update(ticker.strip() for ticker in tickers.split(","))
        names.update(match[1].strip(" ,") for match in _LISTED.finditer(text))
        names.update(match["name"].strip() for match in _OR.finditer(text))
        for match in _QUOTED.finditer(text):
            if match[1] and match["name"].split()[0] in match[1]:
                names |= {match["name"].strip(), match[1].strip(" ,")}
    for place, passage in enumerate(document.passages[:30]):
        if re.search(r"exact name of registrant", passage.text, re.IGNORECASE) and place:
            names.add(document.passages[place - 1].text.title())
    names.update(symbols(document))
    if not names and document.passages:
        names.update(_CAPITALS.findall(" ".join(head[:3])))
        names.update(match for text in head for match in re.findall(r"\(([A-Z0-9]{2,10})\)", text))
    parts = {name.split()[0] for name in names if " " in name and len(name.split()[0]) > 3}
    return frozenset(name for name in names | parts if not is_thing(name) and not _VENUE.match(name))


def is_thing(name: str) -> bool:
    """Whether a name ends as those of agreements, notes or proposals do, not as those of parties."""
    return bool(_THING.search(name))


@lru_cache(maxsize=64)
def main_coin(document: Document) -> str | None:
    """Return the coin that a document names most often, stable ones aside."""
    counted = Counter(coin for passage in document.passages for coin in coins_in(passage.text) if coin not in STABLE)
    return counted.most_common(1)[0][0] if counted else None
