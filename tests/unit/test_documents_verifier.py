"""The verifier, rule by rule: a labelled fact with one thing changed, and what the verifier says of it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from omc_pipeline.benches.documents_labelled import labelled
from omc_pipeline.benches.documents_true import is_still_true
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import stands_in
from omc_pipeline.documents.reader import read_document
from omc_pipeline.documents.verify import refusal

TOLD = Path(__file__).parents[1] / "fixtures" / "documents" / "told"


@cache
def read(name: str) -> Document:
    return read_document((TOLD / name).read_bytes())


@cache
def facts() -> dict[str, tuple[DocumentFact, ...]]:
    names = [path.name.removesuffix(".facts.json") for path in sorted(TOLD.glob("*.facts.json"))]
    return dict(zip(names, (document.facts for document in labelled(TOLD)), strict=True))


def told(name: str, kind: str) -> DocumentFact:
    return next(fact for fact in facts()[name] if fact.kind == kind)


def said(text: str, **fact: str) -> str | None:
    return refusal(DocumentFact(passage=0, **fact), read_document(f"<p>{text}</p>".encode()))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(facts()))
def test_every_label_is_accepted(name: str) -> None:
    assert {fact: refusal(fact, read(name)) for fact in facts()[name]} == dict.fromkeys(facts()[name])


REFUSED = [
    # what a value that is no number looks like
    ("listing.htm", "listing_deficiency", {"value": "5450(b)(1)"}, "the passage does not say this value"),
    ("listing.htm", "listing_status", {"value": "5450(a)(1)"}, "this is no status"),
    ("listing.htm", "listing_status", {"value": "paused"}, "this kind has no such status"),
    ("listing.htm", "effective_date", {"value": "Nasdaq"}, "this is no day"),
    ("officers.htm", "officer_role", {"value": "Dana R. Quill"}, "this is no role"),
    ("officers.htm", "officer_departure", {"value": "Chief Operating Officer"}, "this is no person"),
    ("officers.htm", "director_appointment", {"subject": "Omar Levin"}, "another person is named there"),
    ("proposal.md", "winner", {"value": "Passed"}, "this is no name"),
    ("proposal.md", "winner", {"subject": "Northwind"}, "the value only repeats the subject"),
    ("delisting.md", "delisting", {"value": "ABCD/USDT"}, "this is no venue"),
    ("results.htm", "revenue", {"value": "much"}, "this is no number"),
    ("results.htm", "revenue", {"value": "sNaN"}, "this is no number"),
    # what the number is counted in
    ("results.htm", "net_income", {"value": "-0.31", "literal": "$(0.31) per diluted share"}, "it is a price there"),
    ("results.htm", "eps", {"value": "-4600000", "literal": "Net loss was $4.6 million"}, "no price of a share is there"),
    ("results.htm", "coins_mined", {"value": "13.3", "literal": "a daily average of 13.3 bitcoin"}, "it is a rate there"),
    ("results.htm", "coins_mined_daily", {"value": "412", "literal": "mined 412 bitcoin"}, "it is no such rate there"),
    ("results.htm", "hash_rate", {"value": "412", "literal": "mined 412 bitcoin"}, "it is a number of coins there"),
    ("offering.htm", "proceeds", {"value": "410000", "literal": "sold 410,000 shares of class A common stock"}, "these are shares there"),
    # what the words beside the figure mean
    ("listing.htm", "deadline", {"value": "2031-04-07", "literal": "On April 7, 2031"}, "no deadline is there"),
    ("listing.htm", "deadline", {"kind": "effective_date"}, "the words there tell of another day"),
    ("delisting.md", "deposits_close", {"kind": "deposits_open"}, "the words there tell of another day"),
    ("delisting.md", "listing_postponed", {"value": "2031-03-10T10:00Z", "literal": "originally planned for 2031-03-10 10:00 (UTC)"},
     "it is the day before it was postponed"),
    ("results.htm", "coins_mined", {"kind": "coins_purchased"}, "the words there don't tell of this kind"),
    ("results.htm", "holdings_change", {"kind": "revenue_growth"}, "the words there don't tell of this kind"),
    ("pricing.htm", "programme_remaining", {"kind": "proceeds"}, "the words there tell of another sum"),
    ("pricing.htm", "aggregate_cost", {"kind": "purchase_price_total", "period": "2031-09-01/2031-09-07"},
     "it is the cost of all that is held"),
    ("offering.htm", "use_of_proceeds", {"kind": "proceeds"}, "it is a part of the proceeds"),
    ("offering.htm", "use_of_proceeds", {"kind": "repurchase_cost"}, "it is a limit there"),
    ("offering.htm", "programme_size", {"kind": "buyback_authorised"}, "nothing may be bought back there"),
    # what a kind is told of
    ("listing.htm", "effective_date", {"subject": "EXMI"}, "this kind is told of an event"),
    ("listing.htm", "deadline", {"subject": "closing bid price"}, "this kind is told of an event"),
    ("listing.htm", "threshold", {"subject": "Example Miner"}, "a threshold is one of a measure"),
    ("listing.htm", "threshold", {"subject": "compliance"}, "a threshold is one of a measure"),
    ("listing.htm", "listing_deficiency", {"subject": "compliance"}, "this kind is told of a party or an asset"),
    ("officers.htm", "officer_role", {"subject": "Example Miner"}, "this kind is told of a person"),
    ("officers.htm", "board_size", {"subject": "Ines Vargas"}, "this kind is told of a party"),
    ("offering.htm", "programme_size", {"subject": "sales agents"}, "this kind is told of a security"),
    ("offering.htm", "commission", {"subject": "class A common stock"}, "this kind is told of who earns it"),
    ("results.htm", "coins_mined", {"subject": "Example Treasury"}, "this kind is told of a coin"),
    ("proposal.md", "proposal_outcome", {"subject": "ETH"}, "this kind is told of a proposal"),
    # what else is named where the figure stands
    ("listing.htm", "effective_date", {"subject": "compliance"}, "the subject is not named there"),
    ("offering.htm", "programme_size", {"subject": "class A common stock"}, "another security is named there"),
    ("offering.htm", "proceeds", {"subject": "series C preferred stock"}, "another security is named there"),
    ("offering.htm", "shares_outstanding", {"subject": "Class B Common Stock"}, "another security is named there"),
    ("offering.htm", "proceeds", {"subject": "EXTC"}, "the subject is not named there"),
    ("offering.htm", "proceeds", {"subject": "BTC"}, "no coin was sold there"),
    ("offering.htm", "use_of_proceeds", {"subject": "series C preferred stock"}, "the subject is not named there"),
    ("officers.htm", "officer_appointment", {"subject": "Dana R. Quill"}, "the subject is not named there"),
    ("delisting.md", "withdrawals_close", {"subject": "ZETN"}, "the subject is not named there"),
    ("proposal.md", "performance_fee", {"subject": "EXP-12"}, "the subject is not named there"),
    ("proposal.md", "treasury_share", {"subject": "BTC"}, "it is a part of something else"),
    ("update.htm", "proceeds", {"subject": "Priya Nair"}, "this kind is told of a security or a channel"),
    ("update.htm", "effective_date", {"subject": "Priya Nair"}, "this kind is told of an event"),
    ("exploit.md", "incident", {"subject": "ETH"}, "a coin is no subject of this kind"),
    # moods
    ("pricing.htm", "notes_principal", {"modality": None}, "the notes are only priced"),
    ("pricing.htm", "proceeds", {"modality": None}, "the words there leave it open"),
    ("delisting.md", "withdrawals_close", {"modality": "expected"}, "the words there don't have this mood"),
    ("results.htm", "revenue", {"modality": "hoped"}, "the words there don't have this mood"),
    ("offering.htm", "commission", {"modality": "intended"}, "the words there don't have this mood"),
    # periods
    ("results.htm", "debt", {"period": "2031"}, "this kind is true of a day"),
    ("results.htm", "debt", {"period": "from 2031-06-30"}, "this kind is true of a day"),
    ("results.htm", "debt", {"period": "as of 2031-06"}, "the day is said there"),
    ("results.htm", "revenue", {"period": "2031-06-30"}, "this kind is true of a span"),
    ("results.htm", "holdings_change", {"period": "as of 2031-06-30"}, "this kind is true of a span"),
    ("results.htm", "revenue", {"period": "2031"}, "the period is not said there"),
    ("results.htm", "hash_rate", {"period": "2031-Q2"}, "the period is not said there"),
    ("results.htm", "shares_repurchased", {"period": "2031-Q2"}, "the period is not said there"),
    ("offering.htm", "proceeds", {"period": "2031-06-02"}, "the period is not said there"),
    ("listing.htm", "listing_deficiency", {"period": "as of 2031-03-31"}, "it is not told as of a day"),
    ("update.htm", "coins_mined", {"value": "201", "literal": "201", "period": "2031-05"}, "the period is not said there"),
    ("listing.htm", "listing_deficiency", {"period": "2031-03-31"}, "the period is not said there"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "changes", "reason"), REFUSED)
def test_a_fact_with_one_thing_changed_is_refused(name: str, kind: str, changes: dict[str, str | None], reason: str) -> None:
    changed = replace(told(name, kind), **changes)  # type: ignore[arg-type]

    assert refusal(changed, read(name)) == reason


def test_what_was_not_bought_says_nothing_of_sales() -> None:
    text = "Between June 2, 2031 and June 8, 2031 the Company did not sell any shares and did not purchase any bitcoin."
    fact = DocumentFact("coins_purchased", "BTC", "0", "BTC", 0, "did not purchase any bitcoin", "2031-06-02/2031-06-08", None, True)
    document = read_document(f"<p>{text}</p>".encode())

    assert refusal(fact, document) is None
    assert refusal(replace(fact, kind="coins_sold"), document) == "another act is denied there"


def test_a_price_of_coins_sold_is_no_price_of_coins_bought() -> None:
    text = "On June 2, 2031 the Company sold 100 bitcoins at an average price of $90,000 per bitcoin."
    fact = {"kind": "average_price", "value": "90000", "unit": "USD per BTC", "literal": "$90,000 per bitcoin", "period": "2031-06-02"}

    assert said(text, subject="BTC sold", **fact) is None
    assert said(text, subject="BTC", **fact) == "it is the price of the other side"
    assert said(text, subject="EXTC", **fact) == "the price is one of another thing"


def test_shares_that_a_person_bought_are_none_that_the_company_took_back() -> None:
    text = "The Company (Nasdaq: EXTC) repurchased 5,000 shares, and its director purchased 2,000 shares in June 2031."
    fact = {"kind": "shares_repurchased", "subject": "EXTC", "unit": "shares"}

    assert said(text, value="5000", literal="repurchased 5,000 shares", **fact) is None
    assert said(text, value="2000", literal="purchased 2,000 shares", **fact) == "nothing was bought back there"


def test_what_may_be_bought_back_is_no_size_of_an_offering() -> None:
    text = "Example Corp (Nasdaq: EXTC) authorized a new share repurchase program of up to $50 million."
    fact = {"subject": "EXTC", "value": "50000000", "unit": "USD", "literal": "up to $50 million"}

    assert said(text, kind="buyback_authorised", **fact) is None
    assert said(text, kind="programme_size", **fact) == "it is what may be bought back"


def test_a_change_is_one_of_the_measure_named_last_before_it() -> None:
    text = "Example Corp (Nasdaq: EXTC) grew its revenue to $9 million, and its total assets increased by 40% in 2031."
    fact = {"subject": "EXTC", "value": "40", "unit": "%", "literal": "increased by 40%", "period": "2031"}

    assert said(text, kind="asset_growth", **fact) is None
    assert said(text, kind="revenue_growth", **fact) == "it is the change of something else"


def test_mined_coins_are_not_those_that_are_held() -> None:
    text = "In May 2031 the Company mined 40 bitcoin, and its holdings rose to 900 bitcoin."
    fact = {"kind": "coins_mined", "subject": "BTC", "unit": "BTC", "period": "2031-05"}

    assert said(text, value="40", literal="mined 40 bitcoin", **fact) is None
    assert said(text, value="900", literal="its holdings rose to 900 bitcoin", **fact) == "the words there tell of another kind"


def test_terms_of_notes_that_are_only_proposed_are_proposed() -> None:
    first = "Example Corp (Nasdaq: EXTC) announced its intention to offer $90 million of notes due 2036."
    text = f"{first}</p><p>The notes will mature on May 1, 2036."
    fact = {"kind": "maturity", "subject": "Notes due 2036", "value": "2036-05-01", "unit": "date", "literal": "will mature on May 1, 2036"}

    assert said(text, modality="proposed", **fact) is None
    assert said(text, **fact) == "the notes are only proposed"


def test_a_name_that_goes_on_is_another_name() -> None:
    text = "On May 1, 2031, the stockholders did not approve the Merger Agreement Proposal."
    literal = "did not approve the Merger Agreement Proposal"
    fact = DocumentFact("vote_outcome", "Merger Agreement Proposal", "not approved", "status", 0, literal, negated=True)
    document = read_document(f"<p>{text}</p>".encode())

    assert refusal(fact, document) is None
    assert refusal(replace(fact, subject="Merger Agreement"), document) == "something of a longer name is named there"


def test_defined_terms_and_exchanges_are_no_names_of_the_party() -> None:
    text = "Example Corp (Nasdaq: EXTC) and Other Corp signed an agreement (the “Merger Agreement”), dated as of July 7, 2031."
    fact = {"kind": "effective_date", "value": "2031-07-07", "unit": "date", "literal": "dated as of July 7, 2031"}

    assert said(text, subject="Merger Agreement", **fact) is None
    assert said(text, subject="Example Corp", **fact) == "this kind is told of an event"


def test_a_literal_stands_in_a_text_as_whole_words_and_numbers() -> None:
    assert stands_in("1,250 bitcoins", "it acquired 1,250 bitcoins")
    assert stands_in("EXTC Stock 120,500", "EXTC Stock | 120,500")
    assert not stands_in("250 bitcoins", "it acquired 1,250 bitcoins")
    assert not stands_in("", "anything")


def test_a_thousand_facts_are_verified_in_seconds() -> None:
    every = [(fact, read(name)) for name in facts() for fact in facts()[name]] * 20
    started = time.perf_counter()

    for fact, document in every:
        refusal(fact, document)

    assert (time.perf_counter() - started) / len(every) < 0.005, "ten times what it takes"


@pytest.mark.parametrize(
    ("name", "kind", "changes", "same"),
    [
        ("results.htm", "revenue", {"subject": "EXTC"}, True),
        ("results.htm", "revenue", {"subject": "ETH"}, False),
        ("results.htm", "revenue", {"period": "2031-04-01/2031-06-30"}, True),
        ("results.htm", "revenue", {"period": "2031-Q1"}, False),
        ("results.htm", "debt", {"period": "2031-06-30"}, True),
        ("results.htm", "holdings_before", {"kind": "holdings"}, True),
        ("results.htm", "holdings_after", {"kind": "holdings_before"}, False),
        ("offering.htm", "dividend_rate", {"subject": "9.50% series C preferred stock"}, True),
        ("offering.htm", "dividend_rate", {"value": "9.5"}, True),
        ("offering.htm", "dividend_rate", {"value": "95"}, False),
        ("offering.htm", "securities_sold", {"modality": "actual"}, True),
        ("offering.htm", "securities_sold", {"modality": "proposed"}, False),
    ],
)
def test_only_other_words_for_the_same_leave_a_fact_true(name: str, kind: str, changes: dict[str, str], same: bool) -> None:
    fact = told(name, kind)

    assert is_still_true(fact, replace(fact, **changes), read(name)) is same  # type: ignore[arg-type]
