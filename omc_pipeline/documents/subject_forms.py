"""What a kind of fact can be told of: a deadline of an act, a rate of notes, a role of a person, never of just any name."""

from __future__ import annotations

import re
from functools import lru_cache

from omc_pipeline.documents.coins import is_coin
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.names import is_thing, own_names
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.statements import has_title, is_of_persons, is_person
from omc_pipeline.documents.vocabulary import kind_of

SECURITY = re.compile(
    r"\b(?:stocks?|shares?|notes?|ADS|units?|warrants?|preferred|ordinary|common|debentures?|bonds?|ATM|program\w*|securities|options?|offering)\b",
    re.IGNORECASE,
)
_DEBT = re.compile(
    r"\b(?:notes?|debentures?|bonds?|loans?|facilit(?:y|ies)|credit|CDs?|securities|debt|mortgages?|borrowings?|line)\b", re.IGNORECASE
)
_MEASURE = re.compile(r"\b(?:price|equity|rate|income|revenues?|assets|value|balance|size|losses|loss)$", re.IGNORECASE)
_PROPOSAL = re.compile(
    r"\d|\b(?:proposals?|resolutions?|plan|vote|motion|agreement|amendments?|elections?|RFP|referendum)\b", re.IGNORECASE
)
_NO_COIN = frozenset({"asset_growth", "winner", "incident", "compensation", "compensation_each"})
_CHANNEL = re.compile(r"\b(?:placement|direct|line|facility|prospectus|equity|sale)\b", re.IGNORECASE)
_ACT = re.compile(r"\b(?:compliance|notice|received|filing|hearing|appeal|appointment|resignation|listing|conversion)\b", re.IGNORECASE)
_AGENTS = re.compile(r"\b(?:agents?|officers?|directors?|(?:stock|share|note)?holders?|purchasers|underwriters|investors)$", re.IGNORECASE)
_ALL = re.compile(r"totals?|others?", re.IGNORECASE)
_TICKER = re.compile(r"[A-Z]{2,6}")
_FORM = re.compile(r"(?:Form )?(?:\d{1,2}-[KQF]|6-K|S-\d|F-\d|424B\d)(?:/A)?", re.IGNORECASE)
NAMED_KINDS = re.compile(r"(?:listing|delisting|ticker|deposits|withdrawals|trading|bankruptcy|board|conversion)(?:_|$)")
_EVENT_KINDS = frozenset({"effective_date", "deadline", "period_days"})
_SECURITY_KINDS = frozenset(
    {"securities_sold", "securities_offered", "securities_transferred", "programme_size", "programme_remaining", "dividend_rate"}
)
_PARTY_COUNTS = frozenset({"incident", "compensation", "compensation_each", "bounty", "loan_fund", "treasury_policy", "listing_fee"})
"""Kinds that are told of a party or an event even where they count coins."""

_OF_SHARES = frozenset({"shares_repurchased", "repurchase_cost", "buyback_authorised"})
_HAVE = {
    **dict.fromkeys(("maturity", "interest_rate", "notes_principal", "option_principal"), (_DEBT, "this kind is told of a debt")),
    **dict.fromkeys(("proposal_outcome", "vote_outcome"), (_PROPOSAL, "this kind is told of a proposal")),
    **dict.fromkeys(
        _SECURITY_KINDS,
        (
            re.compile(rf"{SECURITY.pattern}|\b(?:agreement|facility)$|^(?-i:[A-Z]{{2,6}})$", re.IGNORECASE),
            "this kind is told of a security",
        ),
    ),
}
"""Words of which a subject has one, by the kind, and what to say where it has none."""
_LACK = {
    "threshold": (_ACT, "a threshold is one of a measure"),
    "proceeds": (_AGENTS, "this kind is told of a security or a channel"),
    "commission": (re.compile(r"\b(?:stock|shares?|notes?)$", re.IGNORECASE), "this kind is told of who earns it"),
}
"""Words of which a subject has none, by the kind, and what to say where it has one."""


def is_own(subject: str, own: frozenset[str]) -> bool:
    """Whether a subject is what a document calls its own party: a name, the beginning of one, or a list of them."""
    if subject in own or (not is_thing(subject) and any(name.lower().startswith(f"{subject.lower()} ") for name in own)):
        return True
    parts = [part.strip() for part in re.split(r"[,/;]| and ", subject) if part.strip()]
    return len(parts) > 1 and all(part in own or any(name.startswith(part) for name in own) for part in parts)


def form_refusal(fact: DocumentFact, document: Document) -> str | None:
    """Say why a kind can't be told of a fact's subject, or None where it can."""
    own = own_names(document)
    for test in (_repeats, _of_kind, _of_party, _of_value):
        reason = test(fact, own, document)
        if reason:
            return reason
    return _of_unit(fact, own, document)


def _repeats(fact: DocumentFact, _own: frozenset[str], _document: Document) -> str | None:
    words = set(re.findall(r"[a-z]+", fact.subject.lower()))
    if len(words) > 1 and words == set(fact.kind.split("_")):
        return "the subject only repeats the kind"
    if _ALL.fullmatch(fact.subject) and fact.kind != "proceeds" and fact.kind not in _SECURITY_KINDS:
        return "a total of what is not said"
    is_report = _FORM.fullmatch(fact.subject) and fact.kind not in ("amends", "effective_date") and "filing" not in fact.kind
    return "a report is no subject of this kind" if is_report else None


def _of_kind(fact: DocumentFact, _own: frozenset[str], _document: Document) -> str | None:
    """Hold a subject to the words that subjects of its kind have, or never have."""
    has = _HAVE.get(fact.kind)
    if has and not has[0].search(fact.subject):
        return has[1]
    lacks = _LACK.get(fact.kind)
    if lacks and lacks[0].search(fact.subject):
        return lacks[1]
    is_ticker = re.fullmatch(r"[A-Za-z\d]{2,12}", fact.subject.removesuffix(" sold"))
    return "this kind is told of a coin" if kind_of(fact.kind).of == "coin" and not is_ticker else None


def _of_party(fact: DocumentFact, own: frozenset[str], document: Document) -> str | None:
    """Tell persons, parties, events and measures apart."""
    kind, subject = fact.kind, fact.subject
    if is_of_persons(kind):
        is_someone = is_person(subject) or has_title(subject) or _is_called(document, subject)
        return None if is_someone and (not is_own(subject, own) or subject == fact.value) else "this kind is told of a person"
    if kind.startswith("board_") and is_person(subject) and not is_own(subject, own):
        return "this kind is told of a party"
    is_named = re.search(r"[A-Z\d]", subject) or re.search(r"\b(?:stock|shares|notes|ADSs?)$", subject)
    if (
        kind == "proceeds"
        and not SECURITY.search(subject)
        and not _CHANNEL.search(subject)
        and is_person(subject)
        and not is_own(subject, own)
    ):
        return "this kind is told of a security or a channel"
    if NAMED_KINDS.match(kind) and (not is_named or _is_called(document, subject)):
        return "this kind is told of a party or an asset"
    if kind in _EVENT_KINDS and not _is_event(subject, own, document):
        return "this kind is told of an event"
    return "a threshold is one of a measure" if kind == "threshold" and (is_own(subject, own) or is_coin(subject)) else None


def _is_event(subject: str, own: frozenset[str], document: Document) -> bool:
    parts = [part for part in re.split(r"\s*[,/;]\s*", subject) if part]
    is_party = any(is_own(part, own) for part in (subject, *parts)) or all(_TICKER.fullmatch(part) for part in parts)
    is_thing_of_value = _AGENTS.search(subject) or _MEASURE.search(subject) or SECURITY.search(subject.rsplit(" ", 1)[-1])
    return not is_party and not is_coin(subject) and not is_thing_of_value and not _is_called(document, subject)


def _of_value(fact: DocumentFact, _own: frozenset[str], _document: Document) -> str | None:
    if fact.unit == "pairs" and not fact.value.startswith(fact.subject.partition("/")[0]):
        return "the pairs are of another token"
    if fact.kind in _NO_COIN and is_coin(fact.subject):
        return "a coin is no subject of this kind"
    names, subjects = (set(re.findall(r"[A-Z]\w{3,}", text)) for text in (fact.value, fact.subject))
    return "nobody is their own counterparty" if fact.kind == "counterparty" and names & subjects else None


def _of_unit(fact: DocumentFact, own: frozenset[str], document: Document) -> str | None:
    """A number of coins is told of the coin, a price of what it is the price of, shares of a party or their class."""
    subject, (unit, _, per) = fact.subject, fact.unit.partition(" per ")
    bare = subject.removesuffix(" sold")
    if unit == "USD" and per and (is_coin(per) or is_coin(bare)):
        return None if per == bare else "the price is one of another thing"
    if is_coin(unit) and fact.kind not in _PARTY_COUNTS:
        is_party = subject != unit and is_own(subject, own)
        return None if unit in re.findall(r"\w+", subject) and not is_party else "the coin is another one"
    if (per == "share" or fact.kind in _OF_SHARES) and (has_title(subject) or _is_called(document, subject)):
        return "this kind is told of a party or its security"
    if fact.kind in _OF_SHARES and not re.search(r"[A-Z]|(?:stock|shares)$", subject):
        return "this kind is told of a party or its security"
    return None


@lru_cache(maxsize=1024)
def _is_called(document: Document, subject: str) -> bool:
    """Whether a document calls somebody of this name Mr. or Ms., or says that they were appointed."""
    last = subject.partition(",")[0].rpartition(" ")[2]
    if not re.fullmatch(r"[A-Z][\w’'-]+", last):
        return False
    called = re.compile(
        rf"\b(?:Mr|Ms|Mrs|Dr)\. (?:\w+ )?{re.escape(last)}\b|\b(?:appoint|elect|nam|promot|hir)ed\s+(?:\w+\s+)?{re.escape(subject)}\b"
    )
    return any(called.search(passage.text) for passage in document.passages[:200])
