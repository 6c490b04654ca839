"""The vocabulary of document facts: which words tell of a kind, in which units it comes, and of what it can be told.

A kind that isn't listed is held to the words of its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

SubjectOf = Literal["coin", "party", "any"]


@dataclass(frozen=True)
class Kind:
    """What a kind of fact asks of the words around its figure.

    Attributes:
        said_by: Pattern of words of which one stands in the sentence, the row, its heads, or the heading.
        units: Patterns of units; None: any.
        of: A coin, a party or security, or any of both.
        not_by: Pattern of words that, nearer to the figure than those of ``said_by``, mean another kind.
        may_be_open: Told of what is allowed or asked for, so that words such as *may* and *up to* say nothing of its mood.
        near: The words of ``said_by`` are common ones, so that only those beside the figure tell of it.
    """

    said_by: re.Pattern[str]
    units: re.Pattern[str] | None = None
    of: SubjectOf = "any"
    not_by: re.Pattern[str] | None = None
    may_be_open: bool = False
    near: bool = False


def _kind(
    said_by: str,
    units: str | None = None,
    of: SubjectOf = "any",
    not_by: str | None = None,
    *,
    may_be_open: bool = False,
    near: bool = False,
) -> Kind:
    return Kind(
        re.compile(said_by, re.IGNORECASE), re.compile(rf"^(?:{units})$") if units else None, of,
        re.compile(not_by, re.IGNORECASE) if not_by else None, may_be_open, near,
    )  # fmt: skip


_COIN_UNIT, _MONEY, _SHARES = r"[A-Za-z]{2,8}", "USD", "shares"
_BUY = r"\b(?:purchas\w*|acqui\w+|bought|buy\w*|add(?:s|ed)?)\b"
_SELL = r"\b(?:sold|sell\w*|sales?|dispos\w+)\b"
_HOLD = r"\b(?:hold\w*|held|own\w*|balance|treasury|totall?ed|totall?ing|position)\b"
KINDS: Mapping[str, Kind] = {
    "coins_purchased": _kind(_BUY, r"(?!USD$|shares$)[A-Za-z]{2,8}", "coin", _SELL + "|" + _HOLD),
    "coins_sold": _kind(_SELL, r"(?!USD$|shares$)[A-Za-z]{2,8}", "coin", _BUY + "|" + _HOLD),
    "coins_mined": _kind(r"\b(?:mined|mining|produc\w+|earned)\b", r"(?!USD$|shares$)[A-Za-z]{2,8}", "coin", _HOLD + "|" + _SELL),
    "coins_stolen": _kind(r"\b(?:stole\w*|hack\w*|theft|made off)\b", r"(?!USD$|shares$)[A-Za-z]{2,8}", "coin"),
    "staking_rewards": _kind(r"\breward", r"(?!USD$|shares$)[A-Za-z]{2,8}", "coin"),
    "holdings": _kind(_HOLD, r"(?!USD$|shares$)[A-Za-z]{2,8}", "coin", _SELL),
    "holdings_after": _kind(_HOLD, r"(?!USD$|shares$)[A-Za-z]{2,8}", "coin", _SELL),
    "holdings_before": _kind(_HOLD + r"|\b(?:from|compared|previous|prior|beginning|as of)\b", r"(?!USD$|shares$)[A-Za-z]{2,8}", "coin", _SELL),
    "holdings_change": _kind(r"\b(?:increas\w*|decreas\w*|grow\w*|grew|declin\w*|rose|chang\w*|up|down)\b", None, "coin"),
    "average_price": _kind(r"\b(?:average|avg|weighted|mean)\b", r"USD per (?:[A-Za-z]+)"),
    "average_cost": _kind(r"\b(?:average|avg|weighted|mean|cost basis)\b", r"USD per (?:[A-Za-z]+)", "coin"),
    "aggregate_cost": _kind(r"\b(?:aggregate|total|cost)\b", _MONEY, "coin"),
    "purchase_price_total": _kind(_BUY + r"|\bpurchase price\b", _MONEY, "coin", r"\b(?:proceeds|sold)\b"),
    "proceeds": _kind(r"\b(?:proceeds|raised)\b", _MONEY, "any"),
    "expected_proceeds": _kind(r"\b(?:proceeds|excess|yield|receive\w*|result\w*|swap)\b", _MONEY, "any"),
    "use_of_proceeds": _kind(r"\b(?:uses?|used|using|deploy\w*|applied|apply)\b", _MONEY, "any"),
    "notes_principal": _kind(r"\bprincipal\b", _MONEY, "party", r"\badditional\b"),
    "option_principal": _kind(r"\b(?:additional|option)\b", _MONEY, "party"),
    "interest_rate": _kind(r"\b(?:interest|coupon)\b|%\s+(?:\w+\s+){0,2}notes?\b", "%", "party", near=True),
    "dividend_rate": _kind(r"\b(?:dividends?|preferred|preference)\b", "%", "party", may_be_open=True),
    "maturity": _kind(r"\bmatur", "date"),
    "securities_sold": _kind(r"\b(?:sold|sell|issued(?! an?\b)|sales? of|shares (?:sold|issued))\b", _SHARES, "party", r"\b(?:re)?purchas\w*\b", near=True),
    "securities_purchased": _kind(_BUY, _SHARES, "party"),
    "securities_offered": _kind(r"\b(?:offer\w*|proposed)\b", _SHARES, "party", near=True),
    "securities_transferred": _kind(r"\btransfer\w*\b", _SHARES, "party"),
    "shares_repurchased": _kind(r"\b(?:repurchas\w*|bought back|buyback)\b", _SHARES, "party"),
    "shares_repurchased_share": _kind(r"\b(?:repurchas\w*|outstanding)\b", "%", "party"),
    "shares_outstanding": _kind(r"\boutstanding\b|\bissued\b", _SHARES, "party"),
    "repurchase_cost": _kind(r"\b(?:repurchas\w*|bought back|buyback)\b", _MONEY, "party"),
    "buyback_authorised": _kind(r"\b(?:authori[sz]\w+|program\w*|buyback|up to)\b", _MONEY, "party", may_be_open=True, near=True),
    "programme_size": _kind(r"\b(?:offer\w*|program\w*|up to|sale agreement|sales agreement)\b", _MONEY, "party", may_be_open=True),
    "programme_remaining": _kind(r"\b(?:available|remain\w*)\b", _MONEY, "party", may_be_open=True),
    "commission": _kind(r"\b(?:commission|compensat\w+|proceeds|sales price)\b", "%", "party", may_be_open=True),
    "share_price": _kind(r"\bper share\b|\bprice\b", "USD per share", "party"),
    "nav_per_share": _kind(r"\bnet asset value\b|\bNAV\b", "USD per share", "party"),
    "eps": _kind(r"\b(?:earnings|EPS|diluted|basic|net (?:income|loss|profit)|(?:income|loss) per)\b", "USD per share", "party"),
    "revenue": _kind(r"\brevenues?\b", _MONEY, "party"),
    "revenue_growth": _kind(r"\brevenues?\b", "%", "party", may_be_open=True),
    "net_income": _kind(r"\bnet (?:income|loss|profit)\b|\bincome\b|\bloss\b", _MONEY, "party"),
    "unrealized_loss": _kind(r"\bunreali[sz]ed\b", _MONEY, "any"),
    "operating_expenses": _kind(r"\boperating expenses?\b|\bexpenses?\b", _MONEY, "party"),
    "cash": _kind(r"\bcash\b", _MONEY, "party", near=True),
    "stablecoins": _kind(r"\b(?:stablecoins?|USDC|USDT)\b", _MONEY, "any"),
    "debt": _kind(r"\bdebt\b", _MONEY, "party", near=True),
    "borrowing": _kind(r"\bborrow\w*\b|\bloan\b", _MONEY, "party"),
    "stockholders_equity": _kind(r"\bequity\b", _MONEY, "party"),
    "crypto_assets_value": _kind(r"\bcrypto\b|\bdigital assets?\b", _MONEY, "any"),
    "threshold": _kind(r"\b(?:minimum|requir\w*|least|threshold|below|above|bid)\b", None, "any", may_be_open=True, near=True),
    "deadline": _kind(r"\b(?:until|deadline|regain|compliance|by)\b", "date(?:time)?", "any", may_be_open=True),
    "effective_date": _kind(r"\b(?:on|effective|as of|dated|prior to|begin\w*|starts?|open|at|cease\w*|following|date|set|from)\b|\d", "date(?:time)?", "any", may_be_open=True),
    "amends": _kind(r"\b(?:amend\w*|original\w*|filed|correct\w*)\b", "date", "any"),
    "listing": _kind(r"\blist(?:s|ed|ing)?\b|\btrad\w+\b", None, "any", r"\bdelist\w*\b", may_be_open=True),
    "delisting": _kind(r"\bdelist\w*\b|\bremov\w+\b|\bcease\b", None, "any", may_be_open=True),
    "listing_deficiency": _kind(r"\bRule\b", None, "any"),
    "hash_rate": _kind(r"\b(?:hash\s?rate|exahash|EH/s)\b", "EH/s", "party"),
    "hash_rate_change": _kind(r"\bhash\s?rate\b", None, "party"),
    "insider_purchase": _kind(r"\b(?:purchased|bought|acquired)\b", None, "any", near=True),
    "incident": _kind(r"\b(?:stole\w*|hack\w*|liquidation\w*|liquidated|incident|exploit\w*|attack\w*|outage|breach\w*|theft)\b", None, "any"),
    "treasury_sale": _kind(_SELL + r"|\bswap\w*\b", None, "coin"),
    "treasury_policy": _kind(r"\b(?:commit\w*|treasury|reserves?|allocat\w*|polic\w+)\b", None, "any", may_be_open=True),
    "loan": _kind(r"\b(?:lend|lent|loan\w*)\b", None, "any"),
    "loan_fund": _kind(r"\b(?:loan|fund)\b", None, "any", may_be_open=True),
    "compensation": _kind(r"\b(?:compensat\w*|voucher\w*|totall?ing|distribut\w*)\b", None, "any", may_be_open=True),
    "compensation_each": _kind(r"\b(?:between|each|per user|rang\w+|every)\b", None, "any", may_be_open=True, near=True),
    "treasury_share": _kind(r"\b(?:treasury|total amount|held|holdings?|reserves?)\b", "%", "coin", may_be_open=True),
    "yield": _kind(r"\byields?\b", "%", "any", near=True),
    "btc_yield": _kind(r"\b(?:BTC|bitcoin)\s+yield\b", "%", "any"),
}  # fmt: skip
_STEMS = {
    "deposits": "deposit", "merger": "merger", "vote": "approve|vote", "withdrawals": "withdraw", "close": "clos|ceas|no longer|after|not be", "open": "open|start", "conversion": "convert",
    "pairs": "pair|/", "postponed": "postpone", "outcome": "pass|approv|execut|reject|winner|defeat|status", "winner": "winner|elected|selected",
    "appointment": "appoint|assum|elect", "departure": "resign|depart|retire|step|officer", "role": "officer|role|director|president|transition",
    "remains": "remain|continu", "committee": "committee", "size": r"\bsizes?\b|\bmembers?\b|\bdirectors?\b", "director": "director", "officer": "officer|responsib|president|head",
    "bankruptcy": "chapter|bankrupt", "paused": "pause|suspend|halt", "announced": "announc|result", "counterparty": "agreement|merger|contract|transaction|partner|by and among|counterpart|lend|loan|swap",
    "terminated": "terminat", "status": "remain|list", "regained": "regain", "compliance": "complian|compl(?:y|ies|ied)", "conclusion": "conclu|effective", "controls": "control",
    "fiscal": "fiscal|year", "year": "year", "end": "ended", "liability": "liab", "ticker": "ticker|symbol", "bounty": "bounty|bonus|reward", "bonus": "bonus",
    "submissions": "submi", "fee": "fee", "performance": "performance", "admin": "admin", "slippage": "slippage", "share": "share|total amount|%",
    "growth": "growth|year over year|increase", "exahash": "exahash|per eh", "daily": "daily|per day", "period": "period|day", "days": "day",
}  # fmt: skip


_TELLING = frozenset(
    [
        "deposits",
        "withdrawals",
        "postponed",
        "exahash",
        "performance",
        "admin",
        "bankruptcy",
        "bounty",
        "slippage",
        "submissions",
        "committee",
        "merger",
        "vote",
        "remains",
        "appointment",
        "departure",
        "compliance",
        "counterparty",
        "initial",
        "growth",
        "winner",
        "size",
        "controls",
        "fee",
    ]
)
"""Words of a kind's name that have to be said, since other kinds share the rest of the name."""


@cache
def kind_of(name: str) -> Kind:
    """Return what a kind asks; of a kind that isn't listed, that a word of its name is said."""
    if name in KINDS:
        return KINDS[name]
    words = [word for word in name.split("_") if len(word) > 2]
    stems = {word: _STEMS.get(word, re.escape(word.rstrip("s"))) for word in words}
    needed = "".join(f"(?=.*(?:{stem}))" for word, stem in stems.items() if word in _TELLING)
    pattern = needed or "|".join(f"(?:{stem})" for stem in stems.values()) or r"\w"
    return Kind(re.compile(pattern, re.IGNORECASE | re.DOTALL), may_be_open=True)


OF_SECURITIES = frozenset(
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
MOODS: Mapping[str, re.Pattern[str]] = {
    "proposed": re.compile(
        r"\b(?:intend\w*|intention|propos(?:es|ed|ing|al)|plans? to|expects? to (?:offer|grant|issue)|would|initial public offering)\b",
        re.IGNORECASE,
    ),
    "intended": re.compile(r"\b(?:intend\w*|intention|plans? to|planned|aims? to)\b", re.IGNORECASE),
    "expected": re.compile(r"\b(?:expect\w*|estimat\w*|anticipat\w*|will be)\b", re.IGNORECASE),
    "anticipated": re.compile(r"\b(?:anticipat\w*|expect\w*|preliminary|project(?:s|ed|ions?))\b", re.IGNORECASE),
    "priced": re.compile(r"\bpric(?:ed|ing)\b", re.IGNORECASE),
    "actual": re.compile(r"\b(?:complet\w*|clos(?:ed|ing)|issued|sold|consummat\w*)\b", re.IGNORECASE),
    "conditional": re.compile(r"\b(?:subject to|(?<!-)if(?!-)|condition(?:al|ed|s)?|provided that|contingent|unless)\b", re.IGNORECASE),
    "believed": re.compile(r"\bbeliev\w*\b", re.IGNORECASE),
    "agreed": re.compile(r"\b(?:agree\w*|will|lend|commit\w*)\b", re.IGNORECASE),
    "will": re.compile(r"\b(?:will|plan\w*|launch\w*|roll\w*|allocat\w*|distribut\w*|totall?ing|fund|initiative|support)\b", re.IGNORECASE),
    "hoped": re.compile(r"\b(?:hop(?:es?|ed|ing)|aim(?:s|ed|ing)?|target\w*|should)\b", re.IGNORECASE),
}
"""Words of which one stands in the passage, by the mood that they mean."""
OPEN = re.compile(
    r"\b(?:intends?|propos(?:es|ed|ing)|plans? to|may(?!\s+\d)|might|would|expects? to|seeks? to|hopes? to|anticipates?|announced its intention)\b",
    re.IGNORECASE,
)
"""Words that leave open whether what follows happens."""
