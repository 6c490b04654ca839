"""What a kind of fact can be told of: a deadline of an act, a rate of notes, a role of a person, never of just any name."""

from __future__ import annotations

import re

from omc_pipeline.documents.coins import is_coin
from omc_pipeline.documents.events import DAY_UNITS
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
_TICKER = re.compile(r"[A-Z]{2,6}")
_FORM = re.compile(r"(?:Form )?(?:\d{1,2}-[KQF]|6-K|S-\d|F-\d|424B\d)(?:/A)?", re.IGNORECASE)
NAMED_KINDS = re.compile(r"(?:listing|delisting|ticker|deposits|withdrawals|trading|bankruptcy|board)(?:_|$)")
_EVENT_KINDS = frozenset({"effective_date", "deadline", "period_days"})
_DEBT_KINDS = frozenset({"maturity", "interest_rate", "notes_principal", "option_principal"})
_PROPOSAL_KINDS = frozenset({"proposal_outcome", "vote_outcome", "winner"})
_SECURITY_KINDS = frozenset(
    {"securities_sold", "securities_offered", "securities_transferred", "programme_size", "programme_remaining", "dividend_rate"}
)
_PARTY_COUNTS = frozenset({"incident", "compensation", "compensation_each", "bounty", "loan_fund", "treasury_policy", "listing_fee"})
"""Kinds that are told of a party or an event even where they count coins."""


def is_own(subject: str, own: frozenset[str]) -> bool:
    """Whether a subject is what a document calls its own party: a name, the beginning of one, or a list of them."""
    if subject in own or (not is_thing(subject) and any(name.lower().startswith(f"{subject.lower()} ") for name in own)):
        return True
    parts = [part.strip() for part in re.split(r"[,/;]| and ", subject) if part.strip()]
    return len(parts) > 1 and all(part in own or any(name.startswith(part) for name in own) for part in parts)


def form_refusal(fact: DocumentFact, document: Document) -> str | None:
    """Say why a kind can't be told of a fact's subject, or None where it can."""
    kind, subject, own = fact.kind, fact.subject, own_names(document)
    words = set(re.findall(r"[a-z]+", subject.lower()))
    if words and words == set(kind.replace("_", " ").split()) and len(words) > 1:
        return "the subject only repeats the kind"
    if _FORM.fullmatch(subject) and "amend" not in kind and "fil" not in kind and fact.unit not in DAY_UNITS:
        return "a report is no subject of this kind"
    if is_of_persons(kind):
        return (
            None
            if _is_person_of(document, subject) and (not is_own(subject, own) or subject == fact.value)
            else "this kind is told of a person"
        )
    if NAMED_KINDS.match(kind) and not re.search(r"[A-Z\d]", subject):
        return "this kind is told of a party or an asset"
    if kind in _EVENT_KINDS:
        return _event_form(subject, own, document)
    if kind_of(kind).of == "coin" and not re.fullmatch(r"[A-Za-z\d]{2,12}", subject.removesuffix(" sold")):
        return "this kind is told of a coin"
    if kind in _DEBT_KINDS:
        return None if _DEBT.search(subject) else "this kind is told of a debt"
    if kind in _PROPOSAL_KINDS:
        return None if _PROPOSAL.search(subject) else "this kind is told of a proposal"
    if kind in _SECURITY_KINDS:
        return None if SECURITY.search(subject) or _TICKER.fullmatch(subject) else "this kind is told of a security"
    if kind == "threshold" and (is_own(subject, own) or is_coin(subject)):
        return "a threshold is one of a measure"
    if kind == "counterparty" and set(re.findall(r"[A-Z]\w{3,}", subject)) & set(re.findall(r"[A-Z]\w{3,}", fact.value)):
        return "nobody is their own counterparty"
    return _unit_form(fact, document)


def _event_form(subject: str, own: frozenset[str], document: Document) -> str | None:
    if any(is_own(part, own) for part in (subject, *re.split(r"\s*[,/;]\s*", subject))) or is_coin(subject):
        return "this kind is told of an event"
    if all(_TICKER.fullmatch(part) for part in re.split(r"[,/\s]+", subject) if part):
        return "this kind is told of an event"
    if _MEASURE.search(subject) or SECURITY.search(subject.rsplit(" ", 1)[-1]) or _is_called(document, subject):
        return "this kind is told of an event"
    return None


def _unit_form(fact: DocumentFact, document: Document) -> str | None:
    """A number of coins is told of the coin, a price of what it is the price of."""
    subject, (unit, _, per) = fact.subject, fact.unit.partition(" per ")
    bare = subject.removesuffix(" sold")
    if unit == "USD" and per:
        if is_coin(per) or is_coin(bare):
            return None if per == bare else "the price is one of another thing"
        return "this kind is told of a security" if per == "share" and (has_title(subject) or _is_called(document, subject)) else None
    if is_coin(unit) and fact.kind not in _PARTY_COUNTS:
        return None if unit in re.findall(r"\w+", subject) else "the coin is another one"
    if fact.kind in ("shares_repurchased", "repurchase_cost", "buyback_authorised") and (
        has_title(subject) or _is_called(document, subject)
    ):
        return "this kind is told of a party or its security"
    if (
        fact.unit == "shares"
        and fact.kind.startswith("shares_")
        and not re.search(r"[A-Z]", subject)
        and not re.search(r"stock$|shares$|ADS$", subject)
    ):
        return "this kind is told of a party or its security"
    return None


def _is_person_of(document: Document, subject: str) -> bool:
    return is_person(subject) or has_title(subject) or _is_called(document, subject)


def _is_called(document: Document, subject: str) -> bool:
    """Whether a document calls somebody of this name Mr. or Ms."""
    last = subject.split(",")[0].split()[-1:]
    return (
        bool(last)
        and re.fullmatch(r"[A-Z][\w’'-]+", last[0]) is not None
        and any(re.search(rf"\b(?:Mr|Ms|Mrs|Dr)\. (?:\w+ )?{re.escape(last[0])}\b", passage.text) for passage in document.passages[:200])
    )
