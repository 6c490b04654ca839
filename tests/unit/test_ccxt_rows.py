"""Answers of venues into rows through ccxt, and what keys may do; no network, no database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal, getcontext
from typing import Any

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
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.source import Parsed
from omc_pipeline.ledgers.exchange import Balance, Fill
from omc_pipeline.sources._ccxt_rights import RIGHTS, require_read_only
from omc_pipeline.sources._ccxt_venue import error_of, key_names, knows, policy_of, with_own_decimals
from omc_pipeline.sources.exchange_ccxt_account import SOURCE

AT = datetime(2026, 9, 21, 14, 35, tzinfo=UTC)
TRADE = {
    "symbol": "BTCUSDT", "id": 28457, "orderId": 100234, "price": "40000.00000100", "qty": "0.01000000", "quoteQty": "400.00001000",
    "commission": "0.00001000", "commissionAsset": "BTC", "time": 1757900000123, "isBuyer": True, "isMaker": False,
}  # fmt: skip


def parsed(document: Any, venue: str, method: str, **context: str) -> Parsed:
    names = {"markets": {"BTCUSDT": ["BTC", "USDT"], "XXBTZAUD": ["BTC", "AUD"]}, "currencies": {"XXBT": "BTC", "ZAUD": "AUD"}}
    about = {"venue": venue, "method": method, "names": json.dumps(names), "user_id": "ada", "account_id": "a", **context}
    return parse_payload(SOURCE, Payload(SOURCE.name, json.dumps(document).encode(), AT, "", context=about))


def test_a_trade_at_binance_keeps_every_digit_and_its_fee_in_the_coin() -> None:
    (row,) = parsed([TRADE], "binance", "fetch_my_trades", market="BTC/USDT").rows

    assert isinstance(row, Fill)
    assert (row.fill_id, row.side, row.symbol, row.currency) == ("BTC/USDT:28457", "buy", "BTC", "USDT")
    assert (row.qty, row.price, row.quote_amount) == (Decimal("0.01"), Decimal("40000.000001"), Decimal("400.00001"))
    assert (row.fee, row.fee_currency) == (Decimal("0.00001"), "BTC")
    assert row.executed_at == datetime.fromtimestamp(1757900000, UTC).replace(microsecond=123_000)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"qty": "NaN"}, "amount"),
        ({"qty": "-1"}, "amount"),
        ({"price": "0"}, "price"),
        ({"time": None}, "timestamp"),
    ],
)
def test_a_trade_that_makes_no_sense_is_refused_and_its_neighbour_lands(change: dict[str, Any], said: str) -> None:
    found = parsed([{**TRADE, **change}, {**TRADE, "id": 2}], "binance", "fetch_my_trades", market="BTC/USDT")

    assert [getattr(row, "fill_id", "") for row in found.rows] == ["BTC/USDT:2"]
    assert len(found.rejected) == 1
    assert said in found.rejected[0].reason


@pytest.mark.parametrize("commission", [None, "NaN", "-0.5"])
def test_a_fee_that_is_missing_or_a_rebate_is_unknown(commission: str | None) -> None:
    (row,) = parsed([{**TRADE, "commission": commission}], "binance", "fetch_my_trades", market="BTC/USDT").rows

    assert isinstance(row, Fill)
    assert row.fee is None


def test_a_market_that_is_no_longer_listed_is_split_by_what_markets_are_quoted_in() -> None:
    trades = {
        "T1": {"ordertxid": "O", "pair": "XREPZUSD", "time": 1757900000, "type": "buy", "price": "2", "cost": "4", "fee": "0", "vol": "2"}
    }

    (row,) = parsed({"error": [], "result": {"trades": trades, "count": 1}}, "kraken", "fetch_my_trades").rows

    assert isinstance(row, Fill)
    assert (row.symbol, row.currency, row.fee_currency) == ("REP", "USD", "USD")


def test_only_completed_movements_are_told() -> None:
    rows = [
        {"id": "w1", "amount": "8.91", "transactionFee": "0.004", "coin": "SOL", "status": status, "applyTime": "2025-09-15 06:10:00"}
        for status in (6, 4, 3)
    ]

    (row,) = parsed(rows, "binance", "fetch_withdrawals").rows

    assert isinstance(row, Fill)
    assert (row.kind, row.side, row.qty, row.fee, row.price) == ("withdrawal", "sell", Decimal("8.91"), Decimal("0.004"), None)


def test_of_what_is_not_held_only_what_was_held_before_is_told() -> None:
    balances = [
        {"asset": coin, "free": free, "locked": "0.5" if coin == "BTC" else "0"}
        for coin, free in {"BTC": "1", "ETH": "0", "XRP": "0"}.items()
    ]

    found = parsed({"balances": balances}, "binance", "fetch_balance", held="ETH")

    assert {row.symbol: row.qty for row in found.rows if isinstance(row, Balance)} == {"BTC": Decimal("1.5"), "ETH": Decimal(0)}


def test_an_answer_of_another_shape_is_refused() -> None:
    for document, venue, method in (
        ({"balances": []}, "binance", "fetch_my_trades"),
        ([], "binance", "fetch_balance"),
        ({"error": []}, "kraken", "fetch_ledger"),
        ({}, "bybit", "fetch_balance"),
    ):
        with pytest.raises(PayloadChangedError, match=venue):
            parsed(document, venue, method)


def test_an_answer_about_names_or_rights_holds_no_rows() -> None:
    assert parsed({"error": [], "result": {"permissions": []}}, "kraken", "private_post_getapikeyinfo").rows == []
    assert parsed({"symbols": []}, "binance", "load_markets").rows == []


@pytest.mark.parametrize(
    ("venue", "reads", "trades"),
    [
        (
            "kraken",
            {"result": {"permissions": ["query-funds", "query-ledger"]}},
            {"result": {"permissions": ["query-funds", "withdraw-funds"]}},
        ),
        ("binance", {"enableReading": True, "enableMargin": False}, {"enableReading": True, "enableWithdrawals": True}),
        ("bybit", {"result": {"readOnly": "1"}}, {"result": {"readOnly": "0"}}),
        ("okx", {"data": [{"perm": "read_only"}]}, {"data": [{"perm": "read_only,trade"}]}),
        (
            "coinbase",
            {"can_view": True, "can_trade": False, "can_transfer": False},
            {"can_view": True, "can_trade": True, "can_transfer": False},
        ),
    ],
)
def test_a_key_that_may_do_more_than_read_is_refused_where_the_venue_tells(venue: str, reads: Any, trades: Any) -> None:
    require_read_only(venue, RIGHTS[venue], reads)

    with pytest.raises(AccessDeniedError, match="can do more than read"):
        require_read_only(venue, RIGHTS[venue], trades)
    for strange in ({}, [], None, {"result": None}):
        with pytest.raises(PayloadChangedError, match="another shape"):
            require_read_only(venue, RIGHTS[venue], strange)


@pytest.mark.parametrize(
    ("venue", "status", "body", "kind"),
    [
        ("kraken", 200, {"error": ["EAPI:Invalid key"]}, AccessDeniedError),
        ("kraken", 200, {"error": ["EAPI:Rate limit exceeded"]}, RateLimitedError),
        ("kraken", 200, {"error": ["EService:Unavailable"]}, UpstreamUnavailableError),
        ("kraken", 200, {"error": ["EQuery:Unknown asset pair"]}, UpstreamRefusedError),
        ("binance", 401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, AccessDeniedError),
        ("binance", 418, {"code": -1003, "msg": "Way too many requests"}, RateLimitedError),
        ("binance", 400, {"code": -1121, "msg": "Invalid symbol."}, UpstreamRefusedError),
    ],
)
def test_an_error_of_a_venue_has_its_name(venue: str, status: int, body: Any, kind: type[OmcError]) -> None:
    assert type(error_of(venue)(status, json.dumps(body).encode())) is kind


def test_an_answer_without_an_error_is_none() -> None:
    assert error_of("kraken")(200, b'{"error": [], "result": {}}') is None
    assert error_of("binance")(200, b"[]") is None
    assert error_of("binance")(502, b"<html>Bad gateway</html>") is None


def test_venues_are_known_by_name_with_their_keys_and_hosts() -> None:
    assert key_names("kraken") == {"apiKey": "kraken", "secret": "kraken_secret"}
    assert key_names("okx") == {"apiKey": "okx", "secret": "okx_secret", "password": "okx_password"}
    assert policy_of("binance").live_urls == ("https://api.binance.com",)
    assert policy_of("kraken").rate_limit.requests_per_s <= 1
    assert not knows("coinspot_of_nobody")
    assert not knows("hyperliquid"), "its key is the wallet's, and can't be one that only reads"


def test_what_calls_ccxt_leaves_the_rounding_of_the_thread_as_it_was() -> None:
    from ccxt.base.decimal_to_precision import ROUND, decimal_to_precision

    before = getcontext().rounding

    with_own_decimals(decimal_to_precision)("1.005", ROUND, 2)

    assert getcontext().rounding == before
