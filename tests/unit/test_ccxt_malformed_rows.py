"""Malformed rows in answers that ccxt reads: they are quarantined, and neither their neighbours nor later pages are lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from omc_infra.errors import PayloadChangedError
from omc_infra.http import HttpClient
from omc_infra.payload import Payload
from omc_pipeline.collection.accounts import Account
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.source import Parsed
from omc_pipeline.sources._ccxt_objects import only_objects
from omc_pipeline.sources._ccxt_talk import Conversation
from omc_pipeline.sources.exchange_ccxt_account import SOURCE, _trades

AT = datetime(2026, 9, 21, 14, 35, tzinfo=UTC)
TRADE = {
    "symbol": "BTCUSDT", "id": 1, "orderId": 100234, "price": "40000.00", "qty": "0.01", "quoteQty": "400.00",
    "commission": "0.00001", "commissionAsset": "BTC", "time": 1757900000123, "isBuyer": True, "isMaker": False,
}  # fmt: skip
DEPOSIT = {"id": "d1", "amount": "8.91", "coin": "SOL", "status": 1, "insertTime": 1757900000000, "txId": "q"}
WITHDRAWAL = {"id": "w1", "amount": "8.91", "transactionFee": "0", "coin": "SOL", "status": 6, "applyTime": "2025-09-15 06:10:00"}
OF_KRAKEN = {"ordertxid": "O", "pair": "XXBTZAUD", "time": 1757900000, "type": "buy", "price": "2", "cost": "4", "fee": "0", "vol": "2"}
ENTRY = {"refid": "r", "time": 1757900000.1, "type": "deposit", "subtype": "", "asset": "ZAUD", "amount": "5", "fee": "0", "balance": "5"}
MARKET = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": [], "permissions": ["SPOT"]}
NAMES = {"markets": {"BTCUSDT": ["BTC", "USDT"], "XXBTZAUD": ["BTC", "AUD"]}, "currencies": {"XXBT": "BTC", "ZAUD": "AUD"}}


def parsed(document: Any, venue: str, method: str) -> Parsed:
    about = {"venue": venue, "method": method, "names": json.dumps(NAMES), "user_id": "ada", "account_id": "a", "market": "BTC/USDT"}
    about = about if method == "fetch_my_trades" and venue == "binance" else {k: v for k, v in about.items() if k != "market"}
    return parse_payload(SOURCE, Payload(SOURCE.name, json.dumps(document).encode(), AT, "", context=about))


@pytest.mark.parametrize("malformed", [None, "x", 7, True, [], [1]])
@pytest.mark.parametrize("venue", ["kraken", "binance"])
def test_a_row_that_is_not_an_object_is_quarantined_and_its_neighbours_land(venue: str, malformed: Any) -> None:
    answers: dict[str, dict[str, Any]] = {
        "binance": {
            "fetch_my_trades": [malformed, TRADE],
            "fetch_deposits": [malformed, DEPOSIT],
            "fetch_withdrawals": [malformed, WITHDRAWAL],
            "fetch_balance": {"balances": [malformed, {"asset": "BTC", "free": "1", "locked": "0"}]},
        },
        "kraken": {
            "fetch_my_trades": {"error": [], "result": {"trades": {"T0": malformed, "T1": OF_KRAKEN}, "count": 2}},
            "fetch_ledger": {"error": [], "result": {"ledger": {"L0": malformed, "L1": ENTRY}, "count": 2}},
            "fetch_balance": {"error": [], "result": {"ZAUD": malformed, "XXBT": {"balance": "1", "hold_trade": "0"}}},
        },
    }

    found = {method: parsed(document, venue, method) for method, document in answers[venue].items()}

    assert {method: (len(each.rows), len(each.rejected)) for method, each in found.items()} == dict.fromkeys(answers[venue], (1, 1))


def test_a_quarantined_row_of_an_object_names_its_id() -> None:
    document, unread = only_objects({"result": {"trades": {"T0": None, "T1": {"pair": "X"}}}}, ("result", "trades"))

    assert document == {"result": {"trades": {"T1": {"pair": "X"}}}}
    assert unread == [("it is not an object", {"id": "T0", "row": None})]


def test_an_answer_without_the_rows_or_of_an_unknown_venue_is_not_changed() -> None:
    for document, path in (({"error": ["E"]}, ("result", "trades")), ([None], None), ({"result": 5}, ("result", "trades"))):
        assert only_objects(document, path) == (document, [])


@dataclass
class Binance:
    """Client that returns the market list and then the given bodies, and keeps each body as the HTTP client stores it."""

    bodies: list[bytes]
    stored: list[bytes] = field(default_factory=list)

    def get(self, target: str, *, params: Mapping[str, str], context: Mapping[str, str], note: Any = None, **_others: Any) -> Payload:
        body = json.dumps({"symbols": [MARKET]}).encode() if target.endswith("exchangeInfo") else self.bodies.pop(0)
        payload = Payload(SOURCE.name, body, AT, target, context={**context, **(note(body) if note else {})})
        self.stored.append(body)
        return payload


def talk_with(client: Binance) -> Conversation:
    return Conversation(cast(HttpClient, client), Account("ada", "a", "binance"), 0.0)


def test_a_full_page_with_a_malformed_row_is_followed_by_the_next_page() -> None:
    first = [{**TRADE, "id": number, "time": TRADE["time"] + number} for number in range(997)]  # type: ignore[operator]
    malformed: list[Any] = [None, {**TRADE, "id": 5_000, "time": None}, {"id": []}]

    client = Binance([json.dumps([*first, *malformed]).encode(), json.dumps([{**TRADE, "id": 9_999}]).encode()])

    found = list(_trades(talk_with(client), "BTC/USDT", None))

    assert len(found) == 2
    read = [parse_payload(SOURCE, payload) for payload in found]
    assert [(len(each.rows), len(each.rejected)) for each in read] == [(997, 3), (1, 0)]


def test_a_full_page_without_a_time_is_kept_and_said_to_have_no_next_page() -> None:
    client = Binance([json.dumps([{**TRADE, "time": None}] * 1000).encode()])
    found = _trades(talk_with(client), "BTC/USDT", None)

    assert len(parse_payload(SOURCE, next(found)).rejected) == 1000
    with pytest.raises(PayloadChangedError, match="no trade of a full page has a time"):
        next(found)


@pytest.mark.parametrize("body", [b'[{"symbol": "BTCUSDT", "id"', b"[" * 100_000], ids=["truncated", "deep"])
def test_a_body_that_is_not_json_is_stored_before_it_is_refused(body: bytes) -> None:
    client = Binance([body])

    with pytest.raises(PayloadChangedError):
        list(_trades(talk_with(client), "BTC/USDT", None))

    assert client.stored[-1] == body
