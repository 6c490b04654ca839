"""The recorded bodies of the real upstreams, each read by its source, or named for the error it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from omc_infra.errors import (
    AccessDeniedError,
    OmcError,
    PayloadChangedError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.payload import Payload
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.source import Parsed

AT = datetime(2026, 10, 2, 14, 35, 7, tzinfo=UTC)
READ = [  # source, file, rows, refused rows
    ("glass_defillama", "defillama/coins_prices_current_2025.json", 3, 0),
    ("glass_defillama", "defillama/coins_prices_historical_dai.json", 1, 0),
    ("glass_defillama", "defillama/protocol_jito_2025-03.json", 1, 0),
    ("glass_defillama", "defillama/synthetic_fees_overview_nulls.json", 2, 0),
    ("glass_market_candles", "ohlcv/kraken_ohlc_full.json", 721, 0),
    ("glass_chain", "chain_rpc/eth_getBlockByNumber.json", 1, 0),
    ("glass_nansen", "nansen/smart_money_netflow_rows_2026-09-27.json", 0, 2),
    ("glass_coin_prices", "defillama/coins_prices_historical_dai.json", 1, 0),
    ("human_fear_greed", "fng/fng_limit2_2026-04.json", 2, 0),
    ("human_reddit", "reddit/listing_askreddit_hot.json", 300, 0),
    ("human_reddit", "reddit/listing_empty.json", 0, 0),
    ("human_cryptopanic", "cryptopanic/v0_posts_currency_eth_2017-10.json", 80, 0),
    ("human_cryptopanic", "cryptopanic/v0_posts_generic_2018-01.json", 160, 0),
    ("human_news", "news_rss/coindesk_2026-09-25.xml", 2, 0),
    ("human_news", "news_rss/cointelegraph_2026-09-30.xml", 3, 0),
    ("catalyst_sec_edgar", "sec_edgar/submissions_CIK0000320193_apple_trim120.json", 120, 0),
    ("catalyst_sec_edgar", "sec_edgar/submissions_CIK0001800903_tiny.json", 1, 0),
    ("catalyst_sec_edgar", "sec_edgar/submissions_CIK0001940261_small.json", 5, 0),
    ("catalyst_sec_edgar", "sec_edgar/getcurrent_atom_page0.xml", 1, 0),
    ("exchange_coinspot_prices", "coinspot/pubapi_v1_latest_2017-12_btc23000.json", 3, 0),
    ("exchange_coinspot_prices", "coinspot/pubapi_v1_latest_2020-12.json", 13, 0),
    ("exchange_coinspot_account", "coinspot/api_v1_my_balances_dict_2020-12.json", 11, 0),
    ("exchange_coinspot_account", "coinspot/api_v1_my_balances_list_2014.json", 11, 0),
    ("exchange_coinspot_account", "coinspot/api_v1_ro_my_balances.json", 1, 0),
    ("exchange_coinspot_account", "coinspot/doc_sample_v2_ro_my_balances.json", 3, 0),
    ("exchange_coinspot_account", "coinspot/derived_v2_balances_nft_key.json", 0, 1),
    ("exchange_coinspot_account", "coinspot/doc_sample_v2_ro_my_orders_completed.json", 2, 2),
    ("exchange_coinspot_account", "coinspot/api_v1_ro_my_transactions_2022.json", 1, 1),
    ("exchange_coinspot_account", "coinspot/api_v1_orders_history_doge_2014.json", 0, 14),
    ("exchange_coinspot_account", "coinspot/api_v1_orders_history_empty.json", 0, 0),
]
ERRORS = [  # source, file, error, what it says
    ("glass_chain", "chain_rpc/error_http200_jsonrpc_1.json", UpstreamRefusedError, "execution reverted"),
    ("glass_chain", "chain_rpc/error_http200_jsonrpc_3.json", UpstreamUnavailableError, "No state available"),
    ("glass_chain", "chain_rpc/eth_blockNumber.json", PayloadChangedError, "not a block"),
    ("glass_chain", "chain_rpc/error_401_alchemy.txt", PayloadChangedError, "not JSON"),
    ("glass_market_candles", "ohlcv/coinbase_candles.json", PayloadChangedError, "not an answer of Kraken"),
    ("glass_fx", "sec_edgar/getcurrent_atom_page0.xml", PayloadChangedError, "no Envelope"),
    ("catalyst_sec_edgar", "sec_edgar/error_404_submissions_bad_cik.xml", UpstreamRefusedError, "NoSuchKey"),
    ("catalyst_sec_edgar", "sec_edgar/error_403_accessdenied_full_index.xml", AccessDeniedError, "AccessDenied"),
    ("catalyst_sec_edgar", "sec_edgar/company_tickers_trim.json", PayloadChangedError, "not a submissions file"),
    ("human_reddit", "reddit/error_200_json_errors.json", UpstreamRefusedError, "SUBREDDIT_EXISTS"),
    ("human_reddit", "reddit/error_403.json", AccessDeniedError, "403"),
    ("human_reddit", "reddit/error_404.json", UpstreamRefusedError, "Not Found"),
    ("human_reddit", "reddit/oauth_token_response.json", PayloadChangedError, "no listing"),
    ("human_cryptopanic", "cryptopanic/error_monthly_quota_429.json", RateLimitedError, "monthly quota"),
    ("human_fear_greed", "fng/fng_coinmarketcap_lookalike.json", PayloadChangedError, "not the index of alternative.me"),
    ("exchange_coinspot_prices", "coinspot/error_v1_invalid.json", AccessDeniedError, "'invalid'"),
    ("exchange_coinspot_prices", "coinspot/error_v1_no_nonce.json", UpstreamRefusedError, "nonce"),
    ("exchange_coinspot_prices", "coinspot/error_v2_coin_not_found_400.json", UpstreamRefusedError, "Coin not found"),
    ("exchange_coinspot_prices", "coinspot/error_v2_invalid_market_400.json", UpstreamRefusedError, "Invalid market"),
    ("exchange_coinspot_prices", "coinspot/api_v1_spot_list_2014.json", PayloadChangedError, "prices"),
    ("exchange_coinspot_prices", "coinspot/api_v1_quote_sell_null_2020-12.json", PayloadChangedError, "prices"),
    ("exchange_coinspot_account", "coinspot/error_v1_invalid.json", AccessDeniedError, "OMC_KEY_COINSPOT"),
    ("exchange_coinspot_account", "coinspot/error_v1_no_nonce.json", UpstreamRefusedError, "nonce"),
    ("exchange_coinspot_account", "coinspot/doc_sample_v2_ro_my_sendreceive.json", PayloadChangedError, "transfers"),
    ("exchange_coinspot_account", "coinspot/api_v1_quote_buy_2014.json", PayloadChangedError, "neither orders nor balances"),
]

Read = Callable[[str, str], Parsed]


@pytest.fixture
def read(shared: Path) -> Read:
    def parsed(source: str, file: str) -> Parsed:
        body = (shared / "payloads" / file).read_bytes()
        return parse_payload(discover_sources()[source], Payload(source, body, AT, ""))

    return parsed


@pytest.mark.parametrize(("source", "file", "rows", "refused"), READ, ids=[file for _, file, *_ in READ])
def test_a_recorded_body_gives_its_rows(read: Read, source: str, file: str, rows: int, refused: int) -> None:
    parsed = read(source, file)

    assert (len(parsed.rows), len(parsed.rejected)) == (rows, refused)


@pytest.mark.parametrize(("source", "file", "error", "said"), ERRORS, ids=[f"{source}-{file}" for source, file, *_ in ERRORS])
def test_a_recorded_error_says_in_one_line_what_it_is(read: Read, source: str, file: str, error: type[OmcError], said: str) -> None:
    with pytest.raises(error, match=said) as raised:
        read(source, file)

    assert str(raised.value).isprintable()


@pytest.mark.parametrize("source", sorted(discover_sources()))
def test_no_recorded_body_of_any_upstream_breaks_any_source(shared: Path, source: str) -> None:
    for file in sorted((shared / "payloads").rglob("*")):
        if file.is_dir() or file.name.endswith(".source.txt"):
            continue
        try:
            parse_payload(discover_sources()[source], Payload(source, file.read_bytes(), AT, ""))
        except OmcError as error:
            assert str(error).isprintable(), file  # noqa: PT017 most files are errors, any without a line of its own is a defect


def test_recorded_values_are_read_to_the_digit(read: Read) -> None:
    dai = read("glass_defillama", "defillama/coins_prices_historical_dai.json").rows[0]
    quotes = {row.symbol: row for row in read("exchange_coinspot_prices", "coinspot/pubapi_v1_latest_2020-12.json").rows}
    held = {row.symbol: row.qty for row in read("exchange_coinspot_account", "coinspot/api_v1_my_balances_dict_2020-12.json").rows}

    assert dai.price_usd == Decimal("1.0182482830027697")
    assert (quotes["REV"].ask, quotes["REV"].last) == (Decimal("0.037999"), Decimal("0.038"))
    assert {"NEO", "XLM", "REV"} <= set(quotes)
    assert held["AUD"] == Decimal("20.440000000000005")


def test_apples_filings_of_results_are_named_as_such(read: Read) -> None:
    rows = read("catalyst_sec_edgar", "sec_edgar/submissions_CIK0000320193_apple_trim120.json").rows

    titles = [row.title for row in rows if row.items == "2.02,9.01"]
    assert titles
    assert set(titles) == {"8-K Results of Operations (2.02), Exhibits (9.01) - Apple Inc."}
    assert {row.symbol for row in rows} == {None}
