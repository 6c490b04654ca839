"""Titles scored: signs a reader of headlines would give, exact and repeatable numbers, and coins named by whole words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_pipeline.assets.reading import shipped
from omc_pipeline.sentiment.coins import coins_of
from omc_pipeline.sentiment.lexicon import NO_LEXICON, STRONGEST, lexicon_named, lexicon_names
from omc_pipeline.sentiment.titles import label_of, model_with

MODEL = model_with("crypto-1")
NEUTRAL_BELOW = Decimal("0.05")


@pytest.mark.parametrize(
    ("title", "label"),
    [
        ("Bitcoin soars to all-time high as ETF inflows surge", "bullish"),
        ("Ether rallies 12% after the upgrade goes live", "bullish"),
        ("SEC approves spot Solana funds", "bullish"),
        ("Hackers drain $40M from a DeFi bridge", "bearish"),
        ("Bitcoin plunges below $60K, liquidations top $1B", "bearish"),
        ("Memecoin team accused of a rug pull", "bearish"),
        ("Exchange to delist privacy coins", "bearish"),
        ("Grayscale Bitcoin Trust files its yearly report", "neutral"),
        ("Fed leaves interest rates unchanged", "neutral"),
        ("What is a hardware wallet?", "neutral"),
        ("Bitcoin does not crash", "bullish"),
    ],
)
def test_a_headline_has_the_sign_that_a_reader_gives_it(title: str, label: str) -> None:
    assert label_of(MODEL.score(title), NEUTRAL_BELOW) == label


@given(st.text(max_size=300))
def test_every_text_has_a_score_on_the_scale_with_four_decimals_and_always_the_same(title: str) -> None:
    score = MODEL.score(title)

    assert -1 <= score <= 1
    assert score.as_tuple().exponent == -4
    assert MODEL.score(title) == score


def test_a_model_is_named_by_library_and_lexicon_with_their_versions() -> None:
    assert MODEL.name == "vader-3.3.2+crypto-1"
    assert model_with(NO_LEXICON).name == "vader-3.3.2"


def test_one_model_s_words_are_unknown_to_another() -> None:
    title = "Bitcoin rallies after the depeg"

    assert model_with(NO_LEXICON).score(title) == 0
    assert MODEL.score(title) != 0
    assert model_with(NO_LEXICON).score(title) == 0


@pytest.mark.parametrize("name", lexicon_names())
def test_a_lexicon_has_the_name_of_its_file_and_lower_case_words_on_the_scale(name: str) -> None:
    lexicon = lexicon_named(name)

    assert lexicon.name == name
    assert all(word == word.lower().strip() and -STRONGEST <= valence <= STRONGEST for word, valence in lexicon.words.items())


def test_an_unknown_lexicon_is_told_those_there_are() -> None:
    with pytest.raises(BadInputError, match="no lexicon 'crypto-0'; there are none, crypto-1"):
        lexicon_named("crypto-0")


@pytest.mark.parametrize(
    ("title", "coins"),
    [
        ("Bitcoin and Ethereum fall", ("BTC", "ETH")),
        ("$BTC, (ETH) & SOL/USDT", ("BTC", "ETH", "SOL", "USDT")),
        ("Together with the solar industry", ()),
        ("A tethered whether-or-not bitcoiner", ()),
        ("trx in lower case, and hype of all kinds", ()),
        ("ETHER in capitals", ("ETH",)),
        ("Bitcoin’s day", ("BTC",)),
    ],
)
def test_coins_are_named_by_whole_words_and_tickers_in_capitals(title: str, coins: tuple[str, ...]) -> None:
    assert coins_of(title, shipped().title_words()) == coins
