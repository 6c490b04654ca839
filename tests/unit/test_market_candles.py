"""What the parser of public candles makes of Kraken's answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omc_infra.errors import OmcError, PayloadChangedError, RateLimitedError, UpstreamRefusedError, UpstreamUnavailableError
from omc_infra.payload import Payload
from omc_pipeline.collection.source import Parsed
from omc_pipeline.sources.glass_market_candles import SOURCE

AT = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)
MINUTE = int(AT.timestamp()) // 60 * 60


def _parsed(document: Any, fetched_at: datetime = AT, **context: str) -> Parsed:
    return SOURCE.parse(Payload(SOURCE.name, json.dumps(document).encode(), fetched_at, "", context=context), SOURCE.config())


def _row(at_s: int, **changes: Any) -> list[Any]:
    details = {"open": "10.0", "high": "12.0", "low": "9.0", "close": "11.0", "vwap": "10.5", "volume": "2.5", "trades": 4} | changes
    return [at_s, *details.values()]


def _answer(*rows: list[Any], key: str = "SOLAUD", last: int = MINUTE - 60) -> dict[str, Any]:
    return {"error": [], "result": {key: list(rows), "last": last}}


def test_the_last_candle_is_still_forming_and_those_before_it_are_final() -> None:
    rows = _parsed(_answer(_row(MINUTE - 120), _row(MINUTE - 60), _row(MINUTE)), pair="SOL/AUD", interval="1m").rows

    assert [row.is_final for row in rows] == [True, True, False]
    assert rows[0].opened_at == AT.replace(second=0) - timedelta(minutes=2)
    assert (rows[0].vwap, rows[0].volume, rows[0].trades) == (Decimal("10.5"), Decimal("2.5"), 4)


def test_a_candle_whose_span_is_not_over_by_our_clock_is_not_final_whatever_the_venue_says() -> None:
    (row,) = _parsed(_answer(_row(MINUTE), last=MINUTE), pair="SOL/AUD", interval="1m").rows

    assert not row.is_final


def test_the_market_is_the_one_that_was_asked_for_though_the_answer_has_another_name() -> None:
    (row,) = _parsed(_answer(_row(MINUTE - 60), key="XXDGZAUD"), pair="DOGE/AUD", interval="1m").rows

    assert (row.venue, row.symbol, row.currency, row.interval) == ("kraken", "DOGE", "AUD", "1m")


@pytest.mark.parametrize(
    ("key", "market"),
    [
        ("XXBTZAUD", ("BTC", "AUD")),
        ("XBTUSDT", ("BTC", "USDT")),
        ("XDGUSD", ("DOGE", "USD")),
        ("XETHXXBT", ("ETH", "BTC")),
        ("DOTEUR", ("DOT", "EUR")),
    ],
)
def test_a_saved_body_is_named_by_kraken_s_own_names(key: str, market: tuple[str, str]) -> None:
    (row,) = _parsed(_answer(_row(MINUTE - 60), key=key), interval="1m").rows

    assert (row.symbol, row.currency) == market


def test_a_flat_candle_without_volume_is_kept_and_has_no_average_price() -> None:
    flat = _row(MINUTE - 60, high="10.0", low="10.0", close="10.0", vwap="0.0", volume="0.00000000", trades=0)

    (row,) = _parsed(_answer(flat), pair="SOL/AUD", interval="1m").rows

    assert (row.open, row.volume, row.vwap, row.trades, row.is_final) == (10, 0, None, 0, True)


def test_an_answer_without_a_candle_is_no_failure_for_there_was_no_trade() -> None:
    parsed = _parsed(_answer(), pair="SOL/AUD", interval="1m")

    assert (parsed.rows, parsed.rejected) == ([], [])


def test_a_candle_that_can_not_be_is_refused_and_its_neighbours_are_kept() -> None:
    parsed = _parsed(_answer(_row(MINUTE - 120, low="11.5"), _row(MINUTE - 60), [1, 2]), pair="SOL/AUD", interval="1m")

    assert len(parsed.rows) == 1
    assert [rejected.reason for rejected in parsed.rejected] == [
        "open 10.0 and close 11.0 are not within low 11.5 and high 12.0",
        "row is a list, not an object",
    ]


@pytest.mark.parametrize(
    ("details", "error"),
    [
        ("EGeneral:Too many requests", RateLimitedError),
        ("EAPI:Rate limit exceeded", RateLimitedError),
        ("EService:Unavailable", UpstreamUnavailableError),
        ("EQuery:Unknown asset pair", UpstreamRefusedError),
    ],
)
def test_an_error_within_status_200_has_its_name(details: str, error: type[OmcError]) -> None:
    with pytest.raises(error, match=details):
        _parsed({"error": [details]})


def test_a_body_that_does_not_say_how_long_its_candles_are_is_refused() -> None:
    with pytest.raises(PayloadChangedError, match="the length of these candles"):
        _parsed(_answer(_row(MINUTE - 60)))


def test_a_recorded_answer_gives_all_its_candles_and_one_that_forms(shared: Path) -> None:
    body = (shared / "payloads/ohlcv/kraken_ohlc_full.json").read_bytes()

    parsed = SOURCE.parse(Payload(SOURCE.name, body, AT, ""), SOURCE.config())

    assert (len(parsed.rows), len(parsed.rejected)) == (721, 0)
    assert {(row.symbol, row.currency, row.interval) for row in parsed.rows} == {("BTC", "USDT", "1m")}
    assert sum(row.volume == 0 for row in parsed.rows) == 216
    assert [row.opened_at for row in parsed.rows if not row.is_final] == [parsed.rows[-1].opened_at]
