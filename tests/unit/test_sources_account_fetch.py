"""How the account source asks: signatures, nonces, and windows that hold every order."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from json import dumps, loads
from typing import Any

import pytest
from pydantic import SecretStr

from omc_infra.errors import NotConfiguredError, PayloadChangedError, UpstreamRefusedError
from omc_infra.http import open_http
from omc_infra.payload import Payload
from omc_infra.settings import Settings
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Account, FetchContext
from omc_pipeline.sources.exchange_coinspot_account import PAGE_ROWS, SOURCE, sign

NOW = datetime(2026, 9, 21, 14, 35, tzinfo=UTC)


class CoinSpot:
    """Stands in for the HTTP client: answers orders by day, at most a page a side, as the venue does."""

    def __init__(self, orders_a_day: Mapping[date, int], *, lossy: bool = False) -> None:
        self.orders_a_day, self.lossy = orders_a_day, lossy
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def post(self, path: str, *, json: Mapping[str, Any], repeatable: bool, context: Mapping[str, str]) -> Payload:
        assert repeatable
        asked = dict(json)
        self.asked.append((path, asked))
        if path.endswith("balances"):
            return Payload(SOURCE.name, b'{"status":"ok","balances":[]}', NOW, path, context=context)
        first, last = date.fromisoformat(asked["startdate"]), date.fromisoformat(asked["enddate"])
        last -= timedelta(days=1 if self.lossy else 0)
        orders = [_order(day, n) for day, count in self.orders_a_day.items() if first <= day <= last for n in range(count)]
        document = {"status": "ok", "message": "ok", "buyorders": orders[: asked["limit"]], "sellorders": []}
        return Payload(SOURCE.name, dumps(document).encode(), NOW, path, context=context)


def _order(day: date, n: int) -> dict[str, Any]:
    sold = f"{day}T00:00:00.{n % 1000:03d}Z"
    fee = {"audfeeExGst": 0.1, "audGst": 0.01, "audtotal": 1}
    return {"coin": "BTC", "market": "BTC/AUD", "rate": 1, "amount": 1 + n, "total": 1 + n, "solddate": sold, **fee}


def _fetched(coinspot: CoinSpot, since: datetime | None = None) -> list[Payload]:
    context = FetchContext(coinspot, SourceConfig(), NOW, since, Account("ada", "coinspot"))  # type: ignore[arg-type]
    return [payload for endpoint in SOURCE.endpoints if endpoint.fetch for payload in endpoint.fetch(context)]


def test_the_bytes_that_are_signed_hold_the_nonce_and_are_the_ones_to_send() -> None:
    content, headers = sign(b'{"limit": 500}', {"coinspot": "a-key", "coinspot_secret": "a-secret"}, 1_790_000_000_123)

    assert loads(content) == {"limit": 500, "nonce": 1_790_000_000_123}
    assert headers["sign"] == hmac.new(b"a-secret", content, hashlib.sha512).hexdigest()
    assert headers["key"] == "a-key"


def test_every_order_is_fetched_once_also_when_a_window_is_full() -> None:
    days = {date(2026, 9, 1) + timedelta(days=n): 130 for n in range(20)}
    coinspot = CoinSpot(days)

    payloads = _fetched(coinspot, since=NOW - timedelta(days=30))

    ids = [row.fill_id for payload in payloads for row in SOURCE.parse(payload, SourceConfig()).rows]
    assert len(ids) == len(set(ids)) == 130 * 20
    assert all(payload.context == {"user_id": "ada", "account_id": "coinspot"} for payload in payloads)


def test_a_single_day_that_is_full_is_an_error_and_not_a_silent_loss() -> None:
    coinspot = CoinSpot({date(2026, 9, 20): PAGE_ROWS})

    with pytest.raises(UpstreamRefusedError, match="500 orders or more on 2026-09-20"):
        _fetched(coinspot)


def test_windows_whose_halves_hold_less_than_the_whole_are_an_error() -> None:
    days = {date(2026, 9, 1) + timedelta(days=n): 130 for n in range(20)}

    with pytest.raises(PayloadChangedError, match="halves"):
        _fetched(CoinSpot(days, lossy=True), since=NOW - timedelta(days=30))


def test_the_window_starts_shortly_before_the_newest_fill_or_at_the_venues_first_year() -> None:
    known, unknown = CoinSpot({}), CoinSpot({})

    _fetched(known, since=NOW - timedelta(days=1))
    _fetched(unknown)

    assert (known.asked[0][1]["startdate"], known.asked[0][1]["enddate"]) == ("2026-09-18", "2026-09-22")
    assert unknown.asked[0][1]["startdate"] == "2013-01-01"


def test_nothing_is_asked_without_both_keys() -> None:
    settings = Settings(user="ada", sandbox_url="http://127.0.0.1:9")

    with (
        pytest.raises(NotConfiguredError, match="OMC_KEY_COINSPOT_SECRET"),
        open_http(SOURCE.name, SOURCE.policy, settings, keys={"coinspot": SecretStr("a-key")}),
    ):
        pass
