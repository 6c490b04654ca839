"""Titles of announcements and their kinds, tokens and impact; proposals and their outcomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from omc_infra.errors import RateLimitedError, UpstreamRefusedError
from omc_infra.payload import Payload
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.source import Parsed, Source
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.sources import catalyst_coinspot_announcements, catalyst_snapshot
from omc_pipeline.sources._catalyst_rules import announcement_rule, checked_impact, impact_of_filing, rules, tokens_in

FIXTURES = Path(__file__).parent.parent / "fixtures"
AT = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)
HELP, SNAPSHOT = catalyst_coinspot_announcements.SOURCE, catalyst_snapshot.SOURCE


def _parsed(source: Source, body: bytes | dict[str, Any]) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_payload(source, Payload(source.name, raw, AT, ""))


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("New Coin Listing: dogwifhat (WIF)", "listing"),
        ("CoinSpot lists Jupiter (JUP)", "listing"),
        ("5 new coins added to CoinSpot", "listing"),
        ("Pepe (PEPE) is now available to trade!", "listing"),
        ("Celestia (TIA) listed on CoinSpot", "listing"),
        ("Delisting of Monero (XMR)", "delisting"),
        ("Upcoming delistings", "delisting"),
        ("Notice: Zcash (ZEC) will be delisted on 1 March", "delisting"),
        ("TerraUSD (UST) will no longer be supported", "delisting"),
        ("Removal of OmiseGO (OMG) from CoinSpot", "delisting"),
        ("Scheduled maintenance on Saturday", "maintenance"),
        ("Polygon MATIC to POL token migration", "maintenance"),
        ("Temporarily paused Solana wallets", "maintenance"),
        ("Trading paused for LUNA", "trading"),
        ("Changes to trading fees", "trading"),
        ("Introducing Recurring Buys", "feature"),
        ("The CoinSpot app has a new design", "feature"),
        ("CoinSpot news for March", "other"),
        ("CoinSpot News", "other"),
        ("Our renewed partnership with the Brisbane Lions", "other"),
        ("How do I listen to our podcast?", "other"),
        ("A checklist for tax time", "other"),
        ("Newsletter: what's enlisted next", "other"),
        ("", "other"),
    ],
)
def test_a_title_is_sorted_by_whole_words(title: str, kind: str) -> None:
    assert announcement_rule(title).type == kind


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("New Coin Listing: dogwifhat (WIF)", ["WIF"]),
        ("Now live: (WIF, BONK) and ($JUP)", ["WIF", "BONK", "JUP"]),
        ("1inch (1INCH) and Axelar ( AXL )", ["1INCH", "AXL"]),
        ("$PEPE and BTC/AUD", ["PEPE", "BTC"]),
        ("Maintenance at 5pm (AEST), see our FAQ (FAQ) or (2FA)", []),
        ("In (2024) and (lower) (NFT)", []),
    ],
)
def test_tokens_are_found_in_brackets_dollars_and_pairs(text: str, tokens: list[str]) -> None:
    assert tokens_in(text) == tokens


def test_every_kind_of_the_rules_is_in_the_vocabulary_of_briefs_and_its_impact_in_range() -> None:
    from omc_agents.claims.vocabularies import EVENT_TYPES

    kinds = {rule.type for rule in rules().announcements} | {"listing", "delisting", "proposal", "filing"}

    assert kinds <= EVENT_TYPES
    filings = rules().impacts["filing"]
    every = [rule.impact for rule in rules().announcements] + [*filings["forms"].values(), *filings["items"].values(), filings["default"]]
    assert all(checked_impact(impact) for impact in every)


@pytest.mark.parametrize("impact", [0, 11, -1, "5", None, True, 5.5])
def test_an_impact_out_of_range_is_refused_and_not_rewritten(impact: object) -> None:
    with pytest.raises(ValueError, match="is not from 1 to 10"):
        checked_impact(impact)


def test_the_impact_of_a_filing_is_that_of_its_weightiest_item() -> None:
    assert [impact_of_filing(*each) for each in (("8-K", "9.01,2.02"), ("4", ""), ("497", None), ("10-K/A", ""))] == [7, 3, 2, 5]


def test_articles_are_events_by_their_number_with_the_coins_they_name() -> None:
    rows = _parsed(HELP, (FIXTURES / HELP.name / "articles.json").read_bytes()).rows
    listing, news, delisting = [row for row in rows if isinstance(row, CatalystEvent)]

    assert (listing.event_id, listing.event_type, listing.symbol, listing.items, listing.impact) == (
        "4400000000001",
        "listing",
        "WIF",
        "WIF",
        7,
    )
    assert listing.published_at == datetime(2026, 9, 21, 2, tzinfo=UTC)
    assert (news.event_type, news.items) == ("other", None)
    assert (delisting.event_type, delisting.symbol, delisting.items) == ("delisting", None, "ALPHX,BRVO")
    assert delisting.url == "https://coinspot.zendesk.com/hc/en-us/articles/4400000000003"


def test_an_open_proposal_has_no_scores_a_closed_one_its_outcome_and_spam_is_left_out() -> None:
    parsed = _parsed(SNAPSHOT, (FIXTURES / SNAPSHOT.name / "proposals.json").read_bytes())

    assert [(row.symbol, row.items, row.event_type) for row in parsed.rows if isinstance(row, CatalystEvent)] == [
        ("AAVE", "closed: For 75 %", "proposal"),
        ("ENS", "active", "proposal"),
    ]
    assert [each.reason for each in parsed.rejected] == ["space 'free-money.eth' is not followed"]


def test_recorded_answers_of_snapshot_are_rows_or_their_errors(shared: Path) -> None:
    folder = shared / "payloads" / "snapshot"

    open_one, *_ = _parsed(SNAPSHOT, (folder / "proposals_arbitrum_2025-07.json").read_bytes()).rows

    assert (open_one.symbol, open_one.items, open_one.issuer) == ("ARB", "active", "arbitrumfoundation.eth")
    with pytest.raises(UpstreamRefusedError, match="must not be greater than 1000"):
        _parsed(SNAPSHOT, (folder / "error_200_first_too_big.json").read_bytes())
    with pytest.raises(RateLimitedError, match="too many requests"):
        _parsed(SNAPSHOT, (folder / "error_429_too_many_requests.json").read_bytes())
