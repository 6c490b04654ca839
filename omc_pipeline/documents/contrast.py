"""Kinds of facts that share their words, told apart by what stands nearest to the figure."""

from __future__ import annotations

import re

from omc_pipeline.documents.amounts import amounts, number_words
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.vocabulary import kind_of
from omc_pipeline.documents.wording import last_match

_BUY = re.compile(r"\b(?:purchas\w*|acqui\w+|bought|add(?:s|ed)|accumulat\w*)\b", re.IGNORECASE)
_SELL = re.compile(r"\b(?:sold|sell(?:s|ing)?|sales? of|dispos\w+)\b", re.IGNORECASE)
_HOLD = re.compile(r"\b(?:holds?|held|holdings?|holding|owns?|owned|balance|treasury|totall?ed|now total)\b", re.IGNORECASE)
_EARN = re.compile(r"\b(?:mined|produced|rewards?|earned|stole\w*|hack\w*|made off|lend|lent|borrow\w*|swap\w*)\b", re.IGNORECASE)
_BACK = re.compile(r"\brepurchas\w*|\bbuy\s?backs?\b|\bbought back\b", re.IGNORECASE)
_TOTAL = re.compile(r"\b(?:hold\w*|held|aggregate bitcoins?|total of|as of|balance|since inception|owns?)\b", re.IGNORECASE)
_MONEY_WORDS = {
    "cash": r"\bcash(?! proceeds)\b", "debt": r"\bdebt\b", "stockholders_equity": r"\bequity\b", "revenue": r"\brevenues?\b",
    "net_income": r"\bnet (?:income|loss|profit)\b", "proceeds": r"\b(?:proceeds|raised)\b", "repurchase_cost": r"\brepurchas\w+\b",
    "notes_principal": r"\bprincipal amount\b", "operating_expenses": r"\boperating expenses\b|\bexpenses (?:were|of|totall?ed)\b", "unrealized_loss": r"\bunreali[sz]ed\b",
    "borrowing": r"\bborrow\w*\b", "stablecoins": r"\bstablecoins?\b", "crypto_assets_value": r"\b(?:crypto|digital) assets?\b",
    "programme_size": r"\boffering price\b|\bprogram\w*\b", "programme_remaining": r"\b(?:available|remaining)\b",
    "purchase_price_total": r"\bpurchase price\b|\bfor approximately\b|\bin cash\b|\bpurchas\w+\b", "aggregate_cost": r"\baggregate\b|\btotal\b",
}  # fmt: skip
_MONEY = {kind: re.compile(words, re.IGNORECASE) for kind, words in _MONEY_WORDS.items()}
_STRICT = frozenset(
    [
        "cash",
        "debt",
        "stockholders_equity",
        "revenue",
        "net_income",
        "repurchase_cost",
        "notes_principal",
        "operating_expenses",
        "unrealized_loss",
        "borrowing",
        "stablecoins",
        "proceeds",
    ]
)
_NAMING = _STRICT | {"crypto_assets_value", "programme_size", "programme_remaining"}
"""Kinds of which one, named within the literal, leaves no other."""
_COIN_KINDS = {
    "coins_mined": _EARN, "staking_rewards": _EARN, "coins_stolen": _EARN,
    "coins_purchased": _BUY, "coins_sold": _SELL, "holdings": _HOLD, "holdings_after": _HOLD, "holdings_before": _HOLD,
}  # fmt: skip


def kind_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why the words around a figure do not mean a fact's kind, or None where they do."""
    if fact.kind == "listing" and re.search(r"\bdelist", f"{place.passage.text} {place.passage.heading}", re.IGNORECASE):
        return "it is a delisting there"
    kind = kind_of(fact.kind)
    literal = fold(fact.literal)
    head = " ".join(place.cell.heads[-1:]) if place.cell and place.cell.heads else ""
    close = f"{head} {place.passage.label if place.cell else ''} {place.before[-160:]}{literal}{place.after[:90]}"
    beside = f"{place.heads} {place.before[-110:]}{literal}{place.after[:30]}"
    if not kind.said_by.search(beside if kind.near else f"{close} {place.around}"):
        return "the words there don't tell of this kind"
    return _other_kind(place, fact, head)


def _other_kind(place: Place, fact: DocumentFact, head: str) -> str | None:
    """Tell apart kinds that share words by what stands nearest before the figure."""
    literal = fold(fact.literal)
    return _contradicts(
        fact,
        place.before,
        literal,
        place.after,
        head,
        place.passage.label if place.cell else "",
        place.passage.heading,
        place.cell.heads if place.cell else (),
    )


def _contradicts(
    fact: DocumentFact, before: str, literal: str, after: str, head: str, label: str, heading: str, heads: tuple[str, ...]
) -> str | None:
    """Say why the words nearest to a figure mean another kind; None where they don't.

    Args:
        fact: What is claimed.
        before: The sentence up to the literal.
        literal: What carries the figure.
        after: The rest of the sentence.
        head: The nearest head of its cell; empty in prose.
        label: The row's label; empty in prose.
        heading: Above the passage.
        heads: All heads of its cell.
    """
    in_row = bool(heads)
    if fact.negated and fact.value == "0":
        return _denied(fact.kind, literal)
    if fact.kind in _COIN_KINDS and fact.value != "0":
        return _coins(fact, before, literal, after, f"{label} {head}" if in_row else "", heading)
    if fact.kind in ("average_price", "average_cost") or fact.kind in ("purchase_price_total", "aggregate_cost"):
        return _costs(fact, before, literal, after, heads, label, heading)
    if fact.kind == "share_price" and re.search(r"\baverage\b", f"{before[-40:]} {literal}", re.IGNORECASE):
        return "an average is no price of a day"
    if fact.unit == "%" and fact.kind in _GROWTHS:
        return _growth(_GROWTHS[fact.kind], before, literal, f"{after} {heading} {label} {head}")
    if fact.kind in ("notes_principal", "option_principal"):
        is_option = bool(re.search(r"\badditional\b", f"{before[-40:]} {literal}"))
        return "the option is another sum" if is_option != (fact.kind == "option_principal") else None
    if fact.kind == "holdings_change" and not in_row and not _BY.search(_up_to(fact, before, literal)):
        return "it is no change there"
    if fact.unit == "USD":
        return _money(fact, before, literal, after, f"{label} {head}" if in_row else heading if len(before) + len(after) < 12 else "")
    return _securities(fact, before, literal, after, f"{label} {head}" if in_row else "")


_BY = re.compile(
    r"\b(?:by|(?:increase|decrease|change|growth|decline) of)\s+(?:an? )?(?:\w+ )?(?:approximately |about |over |more than )?\$?$",
    re.IGNORECASE,
)
_EARLIER = re.compile(r"\b(?:previous\w*|prior|beginning|opening|compared|formerly)\b", re.IGNORECASE)
_CHANGES = re.compile(r"\b(?:increas|decreas|gr[eo]w|rose|ris|up|down|declin|chang|year over year|year-over-year|expand)\w*", re.IGNORECASE)
_MEASURES = re.compile(r"\b(revenue|asset|holding|hash|income|equity|production|price)\w*")
_GROWTHS = {"revenue_growth": "revenue", "asset_growth": "asset", "holdings_change": "holding", "hash_rate_change": "hash"}


def _up_to(fact: DocumentFact, before: str, literal: str) -> str:
    """Return what stands before a fact's number, as far as its literal and the words before that go."""
    at = next((each.start for each in amounts(literal) if number_words(each.value) == fact.value), 0)
    return f"{before[-30:]}{literal[:at]}"


def _growth(measure: str, before: str, literal: str, around: str) -> str | None:
    """Say that a figure in percent is no change, or one of another measure: of the one that is named last before it."""
    if not _CHANGES.search(f"{before[-60:]} {literal} {around[:30]}"):
        return "it is no change there"
    words = f"{before} {literal}".lower()
    last = max(_MEASURES.finditer(words), key=lambda match: match.start(), default=None)
    if last is None:
        return None if measure in around.lower() else "it is the change of something else"
    return None if last[1] == measure or re.search(rf"\b{measure}", literal.lower()) else "it is the change of something else"


_DENIALS = {
    "_repurchased": r"\b(?:repurchase|b[uo]\w+ back)", "_purchased": r"\b(?:purchase|acquire|buy|bought)", "_sold": r"\b(?:sell|sold|sale|dispos)", "_offered": r"\boffer",
    "_mined": r"\b(?:mine|produc)",
}  # fmt: skip
"""Words of the act that a kind tells of, by the end of its name; the longer end first."""


def _denied(kind: str, literal: str) -> str | None:
    """Say that the words deny another act: *did not purchase* says nothing of sales."""
    act = next((words for end, words in _DENIALS.items() if kind.endswith(end)), None)
    return None if act is None or re.search(act, literal, re.IGNORECASE) else "another act is denied there"


def _coins(fact: DocumentFact, before: str, literal: str, after: str, in_row: str, heading: str) -> str | None:  # noqa: C901 one case after the other
    verbs = {"buy": _BUY, "sell": _SELL, "hold": _HOLD, "earn": _EARN}
    wanted = {"coins_purchased": "buy", "coins_sold": "sell"}.get(fact.kind, "earn" if _COIN_KINDS[fact.kind] is _EARN else "hold")
    if in_row:
        if re.search(r"\b(?:price|cost|proceeds|value)\b", in_row, re.IGNORECASE):
            return "the row is of money"
        found = {name for name, pattern in verbs.items() if pattern.search(in_row)}
        return (
            None
            if wanted in found or (wanted == "hold" and re.search(r"\bbalance\b|\btotal\b", in_row, re.IGNORECASE))
            else "the row is of another kind"
        )
    text = f"{before} {literal}"
    last = {name: max((m.start() for m in pattern.finditer(text)), default=-1) for name, pattern in verbs.items()}
    if max(last.values()) < 0:
        last = {name: -min((m.start() for m in pattern.finditer(after)), default=10**6) for name, pattern in verbs.items()}
        if max(last.values()) == -(10**6):
            last = {name: max((m.start() for m in pattern.finditer(heading)), default=-1) for name, pattern in verbs.items()}
            if max(last.values()) < 0:
                return "no word there tells of this kind"
    nearest = max(last, key=lambda name: last[name])
    if wanted == "hold":
        if re.search(r"\bby\s+(?:approximately |about )?$", before) or re.search(
            r"\bby\s+(?:approximately |about )?[\d,.]+(?![\d,.]|\s?%)", literal
        ):
            return "it is a change there"
        follows = bool(re.match(r"[^,.;]{0,12}\b(?:held|owned|as of)\b", after)) or bool(re.search(r"\bas of\b", literal))
        if not (nearest == "hold" or follows):
            return "the words there tell of another kind"
        came_from = bool(re.search(r"\bfrom\s+(?:approximately |about )?$", before) or re.match(r"from\b", literal))
        if fact.kind == "holdings_after" and came_from:
            return "it is what was held before"
        if (
            fact.kind == "holdings_before"
            and not fact.period.startswith("as of")
            and not came_from
            and not _EARLIER.search(f"{before[-60:]} {literal}")
        ):
            return "nothing tells that it was held before"
        if fact.kind == "holdings_before" and re.search(r"\bto\s+(?:approximately |about )?$", before):
            return "it is what is held after"
        return None
    return None if nearest == wanted else "the words there tell of another kind"


def _costs(fact: DocumentFact, before: str, literal: str, after: str, heads: tuple[str, ...], label: str, heading: str) -> str | None:
    is_average = bool(re.search(r"\b(?:average|avg)\b", f"{before[-45:]} {literal} {' '.join(heads)} {label}", re.IGNORECASE))
    if is_average != fact.kind.startswith("average"):
        return "an average is no sum"
    if heads:
        is_day = bool(re.search(r"\bas of\b", heads[0], re.IGNORECASE))
        return None if is_day == (fact.kind in ("average_cost", "aggregate_cost")) else "the column is of another period"
    if fact.unit == "USD per share":
        return None
    clause = f"{before} {literal}"
    if (
        fact.kind == "purchase_price_total"
        and re.search(r"\btotal of\b", literal + before[-20:])
        and re.search(r"\b(?:reach|bring|now|to date)\w*", before[-40:])
    ):
        return "it is the cost of all that was bought"
    totals, trades = last_match(_TOTAL, clause), max(last_match(_BUY, clause), last_match(_SELL, clause))
    is_total = totals >= 0 and (re.search(r"\b(?:held|holds?|holdings?|total of|owns?)\b", clause, re.IGNORECASE) is not None)
    if fact.kind in ("average_cost", "aggregate_cost"):
        return None if is_total else "it is not the cost of all that is held"
    held = last_match(re.compile(r"\b(?:held|holds?|holdings?|owns?)\b", re.IGNORECASE), clause)
    if held >= 0 and re.search(r"(?:\b(?:were|was|been)|,) (?:acquired|purchased)\b", clause[held:]):
        return "it is the cost of all that is held"
    return (
        None
        if trades >= 0 or (re.search(r"\b(?:purchase|sale) price\b", clause + after, re.IGNORECASE) and not is_total) or not is_total
        else "it is the cost of all that is held"
    )


def _limits(fact: DocumentFact, before: str, literal: str, after: str) -> str | None:
    """Say that a sum is one that may be spent, one that was, or a part of it, where the fact is of another."""
    if fact.kind == "buyback_authorised" and not _BACK.search(f"{before} {literal} {after}"):
        return "nothing may be bought back there"
    if fact.kind in ("repurchase_cost", "purchase_price_total") and re.search(r"\bup to\b", f"{before[-15:]} {literal}", re.IGNORECASE):
        return "it is a limit there"
    if fact.kind == "proceeds" and re.search(r"\bof the (?:net |gross )?proceeds\b", f"{literal} {after[:30]}", re.IGNORECASE):
        return "it is a part of the proceeds"
    if fact.kind == "programme_size" and re.search(r"\b(?:repurchas|buyback|buy back)\w*", before[-160:], re.IGNORECASE):
        return "it is what may be bought back"
    return None


def _money(fact: DocumentFact, before: str, literal: str, after: str, in_row: str) -> str | None:
    reason = _limits(fact, before, literal, after)
    own = _MONEY.get(fact.kind)
    if reason or own is None:
        return reason
    if in_row:
        if own.search(in_row):
            return None
        others = _MONEY.keys() - {"purchase_price_total", "aggregate_cost", fact.kind}
        return "the row is of another kind" if any(_MONEY[kind].search(in_row) for kind in others) else None
    if own.search(literal):
        return None
    ahead = re.match(r"[^,;]{0,70}", after)
    distance = {}
    for kind, pattern in _MONEY.items():
        behind = [len(before) - m.end() for m in pattern.finditer(before)]
        front = [m.start() + 1 for m in pattern.finditer(ahead[0])] if ahead else []
        distance[kind] = min([*behind, *front], default=10**6)
    nearest = min((kind for kind in _STRICT), key=lambda kind: distance[kind])
    mine = distance.get(fact.kind, 10**6)
    if (fact.kind in _STRICT or fact.kind == "programme_size") and mine > distance[nearest] + 25:
        return "the words there tell of another sum"
    in_literal = {kind for kind in _NAMING if _MONEY[kind].search(literal)}
    return "the words there tell of another sum" if in_literal and fact.kind not in in_literal and fact.kind in _NAMING else None


def _is_bought_back(words: str) -> bool:
    """Whether the verb nearest before a number of shares says that their issuer took them back."""
    back, other = (
        last_match(_BACK, words),
        last_match(re.compile(r"(?<!re)\b(?:purchased|acquired|sold|issued|bought(?! back))\b", re.IGNORECASE), words),
    )
    return back >= other


def _securities(fact: DocumentFact, before: str, literal: str, after: str, in_row: str) -> str | None:
    if fact.unit != "shares" or fact.value == "0":
        return None
    text = in_row or f"{before} {literal} {after[:60]}"
    bought_back = bool(re.search(r"\brepurchas\w*|\bbuyback\b", text, re.IGNORECASE))
    if fact.kind == "shares_repurchased":
        return None if bought_back and (in_row or _is_bought_back(f"{before} {literal}")) else "nothing was bought back there"
    if fact.kind == "shares_outstanding" and re.search(r"\brepurchas\w*\s+(?:of\s+)?$", before):
        return "these were bought back"
    if fact.kind == "securities_sold" and bought_back:
        return "these were bought back"
    if fact.kind == "securities_sold" and re.search(r"\boutstanding\b", literal + after[:40]):
        return "these are outstanding"
    if fact.kind == "shares_outstanding" and not re.search(r"\boutstanding\b", f"{text} {after}", re.IGNORECASE):
        return "these are not all that are outstanding"
    return None
