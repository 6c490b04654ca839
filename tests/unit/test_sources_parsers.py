"""What each source's parser makes of bodies in its upstream's shape, with invented values."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omc_infra.errors import AccessDeniedError, PayloadChangedError, RateLimitedError, UpstreamRefusedError
from omc_infra.payload import Payload
from omc_pipeline.collection.source import Parsed, Source
from omc_pipeline.collection.values import described
from omc_pipeline.sources import (
    catalyst_sec_edgar,
    exchange_coinspot_account,
    exchange_coinspot_prices,
    glass_defillama,
    human_fear_greed,
)

FIXTURES = Path(__file__).parent.parent / "fixtures"
FETCHED_AT = datetime(2026, 9, 21, 14, 35, 7, 123_456, tzinfo=UTC)
DEFILLAMA, FEAR_GREED, EDGAR = glass_defillama.SOURCE, human_fear_greed.SOURCE, catalyst_sec_edgar.SOURCE
PRICES, ACCOUNT = exchange_coinspot_prices.SOURCE, exchange_coinspot_account.SOURCE


def _parsed(source: Source, body: bytes | dict[str, Any] | list[Any], **context: str) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return source.parse(Payload(source.name, raw, FETCHED_AT, "", context=context), source.config())


def _fixture(source: Source, name: str) -> bytes:
    return (FIXTURES / source.name / name).read_bytes()


def _document(source: Source, name: str) -> dict[str, Any]:
    return dict(json.loads(_fixture(source, name)))


def test_defillamas_list_of_protocols_is_observed_in_the_hour_of_its_fetch() -> None:
    parsed = _parsed(DEFILLAMA, _fixture(DEFILLAMA, "protocols.json"))

    harbour, mill = parsed.rows
    assert (harbour.protocol, harbour.tvl_usd, harbour.mcap_usd) == ("harbour", Decimal("1250000.25"), Decimal("99000.5"))
    assert harbour.observed_at == datetime(2026, 9, 21, 14, tzinfo=UTC)
    assert (mill.symbol, mill.mcap_usd, mill.tvl_usd) == (None, None, 0)
    assert [rejected.reason for rejected in parsed.rejected] == ["tvl -3.5 is below 0"]


def test_a_protocols_history_gives_a_row_a_point_under_the_slug_that_was_asked_for() -> None:
    rows = _parsed(DEFILLAMA, _fixture(DEFILLAMA, "protocols.one.json"), slug="harbour-v2").rows

    assert [(row.protocol, row.tvl_usd) for row in rows] == [("harbour-v2", Decimal("1200000.125")), ("harbour-v2", Decimal("1250000.25"))]
    assert rows[0].observed_at == datetime(2026, 9, 21, tzinfo=UTC)
    assert {row.mcap_usd for row in rows} == {None}


def test_a_saved_protocol_without_its_slug_takes_the_one_of_its_name() -> None:
    body = _document(DEFILLAMA, "protocols.one.json") | {"name": "Mill's Street"}

    assert {row.protocol for row in _parsed(DEFILLAMA, body).rows} == {"mills-street"}


def test_fees_that_nobody_knows_are_none_and_not_nothing() -> None:
    known, unknown = _parsed(DEFILLAMA, _fixture(DEFILLAMA, "fees.json")).rows

    assert (known.fees_24h_usd, known.fees_30d_usd) == (Decimal("200.5"), 6000)
    assert (unknown.fees_24h_usd, unknown.fees_7d_usd) == (None, None)


def test_a_coin_that_borrows_the_symbol_of_a_followed_one_is_refused() -> None:
    parsed = _parsed(DEFILLAMA, _fixture(DEFILLAMA, "prices.json"))

    assert {row.symbol: row.price_usd for row in parsed.rows} == {
        "BTC": Decimal("64000.12345678901"),
        "DEFILLAMA:HRB": Decimal("0.0000125"),
    }
    assert parsed.rows[1].confidence is None
    assert parsed.rejected[0].reason == "solana:Fake111 calls itself BTC, which is another coin's symbol"
    assert parsed.rejected[0].row["id"] == "solana:Fake111"


@pytest.mark.parametrize(
    "body", [[], {}, [1, 2], {"tvl": 5}, {"tvl": []}, {"protocols": []}, {"protocols": [{"a": 1}]}, {"coins": {}}, {"coins": []}]
)
def test_what_is_no_answer_of_defillama_is_refused(body: Any) -> None:
    with pytest.raises(PayloadChangedError, match="glass_defillama: "):
        _parsed(DEFILLAMA, body)


def test_an_error_that_defillama_reports_is_told() -> None:
    with pytest.raises(UpstreamRefusedError, match="Protocol is not in our database"):
        _parsed(DEFILLAMA, {"message": "Protocol is\nnot in our database"})


def test_the_index_is_read_as_a_score_a_day() -> None:
    parsed = _parsed(FEAR_GREED, _fixture(FEAR_GREED, "index.json"))

    assert [(row.score, row.label, row.observed_at.day) for row in parsed.rows] == [(61, "Greed", 21), (12, "Extreme Fear", 20)]
    assert {(row.symbol, row.metric) for row in parsed.rows} == {("MARKET", "fear_greed")}


@pytest.mark.parametrize(
    ("value", "timestamp"),
    [("101", "1789948800"), (61, "1789948800"), ("-1", "1789948800"), ("6e1", "1789948800"), ("61", "09-21-2026"), ("61", None)],
)
def test_a_day_with_an_impossible_score_or_time_is_refused(value: Any, timestamp: Any) -> None:
    body = _document(FEAR_GREED, "index.json")
    body["data"][0] |= {"value": value, "timestamp": timestamp}

    parsed = _parsed(FEAR_GREED, body)

    assert (len(parsed.rows), len(parsed.rejected)) == (1, 1)


@pytest.mark.parametrize(
    "body",
    [
        {"status": {"error_code": 0}, "data": {"value": 5, "value_classification": "Fear"}},
        {"data": []},
        {"metadata": {"error": None}, "data": []},
        [],
    ],
)
def test_another_vendors_index_or_an_empty_one_is_refused(body: Any) -> None:
    with pytest.raises(PayloadChangedError, match="human_fear_greed: "):
        _parsed(FEAR_GREED, body)


def test_an_error_inside_a_good_status_is_told() -> None:
    with pytest.raises(UpstreamRefusedError, match="limit must be a number"):
        _parsed(FEAR_GREED, {"name": "x", "data": [], "metadata": {"error": "limit must be a number"}})


def test_a_filing_names_its_items_its_coin_and_where_it_can_be_read() -> None:
    report, prospectus = _parsed(EDGAR, _fixture(EDGAR, "submissions.json")).rows

    assert report.title == "8-K Results of Operations (2.02), Exhibits (9.01) - Strategy Inc"
    assert (report.symbol, report.ticker, report.event_type, report.event_id) == ("BTC", "MSTR", "filing", "0001050446-26-000777")
    assert report.url == "https://www.sec.gov/Archives/edgar/data/1050446/000105044626000777/form8-k.htm"
    assert (report.filed_on, report.published_at) == (date(2026, 9, 21), datetime(2026, 9, 21, 20, 5, 6, tzinfo=UTC))
    assert (prospectus.title, prospectus.items) == ("424B5 - Strategy Inc", None)
    assert prospectus.url.endswith("/000105044626000776/0001050446-26-000776-index.htm")


def test_columns_of_unequal_length_are_refused_and_not_cut_to_the_shortest() -> None:
    body = _document(EDGAR, "submissions.json")
    body["filings"]["recent"]["items"].pop()

    with pytest.raises(PayloadChangedError, match="items has 1, the longest 2"):
        _parsed(EDGAR, body)


def test_a_filing_with_a_broken_number_or_time_is_refused_alone() -> None:
    body = _document(EDGAR, "submissions.json")
    body["filings"]["recent"]["accessionNumber"][0] = "../../etc"
    body["filings"]["recent"]["acceptanceDateTime"][1] = "2026-09-18T12:00:00"

    parsed = _parsed(EDGAR, body)

    assert not parsed.rows
    assert ["accessionNumber" in parsed.rejected[0].reason, "zone" in parsed.rejected[1].reason] == [True, True]


def test_a_document_name_that_leads_elsewhere_does_not_get_into_the_link() -> None:
    body = _document(EDGAR, "submissions.json")
    body["filings"]["recent"]["primaryDocument"] = ["../../../evil.htm", "a b?c"]

    assert all(row.url.endswith("-index.htm") for row in _parsed(EDGAR, body).rows)


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        (b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code><Message>Gone.</Message></Error>', UpstreamRefusedError, "NoSuchKey: Gone"),
        (b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", AccessDeniedError, "AccessDenied: Access Denied"),
        (
            b"<!DOCTYPE html><html><head><title>SEC.gov | Undeclared Tool</title></head></html>",
            AccessDeniedError,
            "Undeclared Tool.*OMC_CONTACT",
        ),
        (b"<html><h1>Request Rate Threshold Exceeded</h1></html>", RateLimitedError, "too many requests"),
        (b"<feed><entry/></feed>", PayloadChangedError, "XML document"),
    ],
)
def test_edgars_errors_are_named_from_the_body_alone(body: bytes, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        _parsed(EDGAR, body)


def test_quotes_are_stamped_with_the_second_of_their_fetch_and_crossed_ones_marked() -> None:
    parsed = _parsed(PRICES, _fixture(PRICES, "latest.json"))

    quotes = {(row.symbol, row.currency): (row.bid, row.ask, row.last) for row in parsed.rows}
    assert quotes[("BTC", "AUD")] == (Decimal("98000.5"), Decimal("98100"), Decimal("98200.75"))
    assert quotes[("BTC", "USDT")][0] == 64000
    assert quotes[("COINSPOT:THIN", "AUD")] == (None, Decimal(3), None)
    assert ("XLM", "AUD") in quotes
    assert quotes[("COINSPOT:UPSIDEDOWN", "AUD")][:2] == (2, 1)
    assert [row.symbol for row in parsed.rows if row.is_crossed] == ["COINSPOT:UPSIDEDOWN"]
    assert {row.observed_at for row in parsed.rows} == {datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)}
    assert quotes[("COINSPOT:FREE", "AUD")] == quotes[("COINSPOT:ODD", "AUD")] == (None, 1, 1)
    assert [rejected.row["market"] for rejected in parsed.rejected] == ["dead"]


def test_an_unusable_price_is_absent_and_its_row_is_kept(shared: Path) -> None:
    nan, zero = (
        _parsed(PRICES, (shared / "payload-shapes" / PRICES.name / f"{name}.json").read_bytes()) for name in ("nan_last", "zero_crossed")
    )

    assert {row.symbol: (row.bid, row.ask, row.last) for row in nan.rows if row.symbol != "BTC"} == {
        "COINSPOT:ZED": (Decimal("0.1"), Decimal("0.2"), None),
        "COINSPOT:KAT": (None, Decimal("0.3"), Decimal("0.25")),
        "COINSPOT:WOW": (None, Decimal("0.3"), None),
    }
    assert [(each.row["market"], each.reason) for each in nan.rejected] == [
        ("yak", "no usable price: bid is 'NaN', ask is 'NaN', last is 'NaN'")
    ]
    assert {row.symbol: row.bid for row in zero.rows if row.bid is None or row.is_crossed} == {
        "COINSPOT:ABC": None, "COINSPOT:DEF": Decimal("0.6"), "COINSPOT:JKL": None, "COINSPOT:MNO": None, "COINSPOT:VWX": None,
    }  # fmt: skip
    assert [row.symbol for row in zero.rows if row.is_crossed] == ["COINSPOT:DEF"]
    assert [each.row["market"] for each in zero.rejected] == ["pqr"]


def test_a_holding_without_a_usable_value_is_a_holding(shared: Path) -> None:
    body = json.loads((shared / "payload-shapes" / ACCOUNT.name / "bal_null_aud.json").read_bytes())
    odd = {"status": "ok", "balances": [{"AAA": {"balance": 5, "audbalance": value}} for value in ("NaN", -1, "", [])][:1]}

    held = {row.symbol: (row.qty, row.value_aud) for row in _parsed(ACCOUNT, body).rows}

    assert (held["COINSPOT:ZED"], held["COINSPOT:ABC"]) == ((5, None), (5, None))
    assert [(row.qty, row.value_aud) for row in _parsed(ACCOUNT, odd).rows] == [(5, None)]


def test_a_fill_with_an_unusable_fee_is_kept_and_its_fee_unknown(shared: Path) -> None:
    unknown, free = _parsed(ACCOUNT, (shared / "payload-shapes" / ACCOUNT.name / "zero_fee_null.json").read_bytes()).rows
    order = _document(ACCOUNT, "orders.json")["buyorders"][0]
    odd = [{**order, "audGst": value} for value in (None, "NaN", -1, "")]

    assert (unknown.fee, free.fee) == (None, 0)
    assert [row.fee for row in _parsed(ACCOUNT, {"status": "ok", "buyorders": odd[:1], "sellorders": odd[1:2]}).rows] == [None, None]
    assert [row.fee for row in _parsed(ACCOUNT, {"status": "ok", "buyorders": odd[2:3], "sellorders": odd[3:]}).rows] == [None, None]


def test_an_old_ticker_beside_its_new_one_is_refused_in_either_order() -> None:
    quote = {"bid": "1", "ask": "2", "last": "1"}
    for prices in ({"str": quote, "xlm": quote}, {"xlm": quote, "str": quote}):
        parsed = _parsed(PRICES, {"status": "ok", "prices": prices})

        assert [row.symbol for row in parsed.rows] == ["XLM"]
        assert parsed.rejected[0].row["market"] == "str"


@pytest.mark.parametrize("prices", [{}, None, [], "none", {"bid": "1", "ask": "2", "last": "1"}])
def test_an_empty_price_set_is_an_error_and_never_a_success(prices: Any) -> None:
    with pytest.raises(PayloadChangedError, match="exchange_coinspot_prices: "):
        _parsed(PRICES, {"status": "ok", "prices": prices})


@pytest.mark.parametrize("source", [PRICES, ACCOUNT], ids=lambda source: source.name)
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"status": "invalid"}, AccessDeniedError),
        ({"status": "no nonce"}, UpstreamRefusedError),
        ({"status": "error", "message": "Coin not found"}, UpstreamRefusedError),
        ({"status": "ok", "message": "maintenance", "prices": {}}, UpstreamRefusedError),
        ({"prices": {}}, PayloadChangedError),
        ({"status": {"deep": 1}}, PayloadChangedError),
        ([], PayloadChangedError),
    ],
)
def test_anything_coinspot_does_not_call_ok_is_an_error(source: Source, body: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{source.name}: "):
        _parsed(source, body)


def test_fills_carry_both_parts_of_the_fee_and_the_owner_from_the_context() -> None:
    parsed = _parsed(ACCOUNT, _fixture(ACCOUNT, "orders.json"), user_id="ada", account_id="coinspot")

    buy = parsed.rows[0]
    assert (buy.symbol, buy.currency, buy.side, buy.qty, buy.price, buy.quote_amount) == ("BTC", "AUD", "buy", Decimal("0.01"), 90000, 900)
    assert (buy.fee, buy.fee_currency) == (Decimal("0.90000000"), "AUD")
    assert (buy.user_id, buy.account_id) == ("ada", "coinspot")
    assert buy.executed_at == datetime(2026, 9, 1, 1, 2, 3, 456_000, tzinfo=UTC)
    assert [(row.side, row.price is None) for row in parsed.rows] == [*[("buy", False)] * 3, ("sell", False), ("sell", True)]
    assert not parsed.rejected


@pytest.mark.parametrize("bad", [None, "NaN", "", 0, "-1"])
def test_an_order_with_one_unusable_field_is_kept_and_is_the_same_fill_once_the_field_is_told(bad: Any) -> None:
    order = _document(ACCOUNT, "orders.json")["buyorders"][0]

    def read(**changes: Any) -> Parsed:
        return _parsed(ACCOUNT, {"status": "ok", "buyorders": [order | changes], "sellorders": []})

    (whole,) = read().rows
    for field, of_row in (("rate", "price"), ("total", "quote_amount"), ("audGst", "fee"), ("audfeeExGst", "fee")):
        (row,) = read(**{field: bad}).rows
        is_no_fee = of_row == "fee" and bad == 0
        assert row.fill_id == whole.fill_id
        assert is_no_fee or row == dataclasses.replace(whole, **{of_row: None})
    assert [refused.reason for refused in read(rate=bad, total=bad).rejected] == [
        f"neither rate nor total is usable: they are {described(bad)} and {described(bad)}"
    ]


def test_equal_orders_are_told_apart_by_their_place_and_named_alike_in_every_window() -> None:
    whole = _document(ACCOUNT, "orders.json")
    part = whole | {"sellorders": [], "buyorders": whole["buyorders"][1::-1]}

    first, second, other, *_ = [row.fill_id for row in _parsed(ACCOUNT, whole).rows]

    assert len({first, second, other}) == 3
    assert [row.fill_id for row in _parsed(ACCOUNT, part).rows] == [first, second]


def test_orders_that_differ_in_amount_time_side_or_account_have_different_ids() -> None:
    order = _document(ACCOUNT, "orders.json")["buyorders"][0]
    variants = [
        order,
        order | {"amount": 0.011},
        order | {"solddate": "2026-09-01T01:02:03.457Z"},
    ]
    bodies = [{"status": "ok", "buyorders": [variant], "sellorders": []} for variant in variants]
    bodies.append({"status": "ok", "buyorders": [], "sellorders": [order]})
    ids = {_parsed(ACCOUNT, body).rows[0].fill_id for body in bodies} | {
        _parsed(ACCOUNT, bodies[0], account_id="bob-coinspot").rows[0].fill_id
    }

    assert len(ids) == len(variants) + 2


def test_an_order_keeps_its_id_when_its_numbers_are_written_otherwise_or_fields_are_added() -> None:
    order = _document(ACCOUNT, "orders.json")["buyorders"][0]
    alike = [
        order | {"rate": 90000.0, "total": 900.00, "note": "new"},
        order | {"rate": "90000.00", "amount": "0.0100", "audGst": str(order["audGst"]) + "0"},
        order | {"coin": "btc", "market": "btc/aud", "type": "Market"},
        order | {"market": "BTCAUD"},
        order | {"solddate": "2026-09-01T11:02:03.456+10:00"},
        order | {"solddate": 1788224523456},
    ]

    ids = {_parsed(ACCOUNT, {"status": "ok", "buyorders": [one], "sellorders": []}).rows[0].fill_id for one in (order, *alike)}

    assert len(ids) == 1


def test_a_time_without_milliseconds_is_the_same_as_one_with_none() -> None:
    order = _document(ACCOUNT, "orders.json")["buyorders"][0]
    details = [order | {"solddate": sold} for sold in ("2026-09-01T01:02:03Z", "2026-09-01T01:02:03.000Z", 1788224523000)]

    assert len({_parsed(ACCOUNT, {"status": "ok", "buyorders": [one], "sellorders": []}).rows[0].fill_id for one in details}) == 1


def test_orders_that_agree_in_every_fact_are_told_apart_by_their_place() -> None:
    order = _document(ACCOUNT, "orders.json")["buyorders"][0]
    body = {"status": "ok", "buyorders": [order, order | {"type": "limit", "audtotal": 1}], "sellorders": []}

    assert len({row.fill_id for row in _parsed(ACCOUNT, body).rows}) == 2


def test_the_same_order_has_one_id_in_every_recorded_spelling(shared: Path) -> None:
    lower = _parsed(ACCOUNT, json.loads((shared / "payload-shapes/exchange_coinspot_account/market_lower_noslash.json").read_text()))
    order = {
        "coin": "BTC",
        "market": "BTC/AUD",
        "rate": 95000.5,
        "amount": 0.01,
        "total": 950.005,
        "audfeeExGst": 8.63641,
        "audGst": 0.863641,
    }
    usual = order | {"solddate": "2026-05-21T13:22:45.000Z"}
    twins = _parsed(ACCOUNT, {"status": "ok", "buyorders": [usual, usual], "sellorders": []})

    assert [row.fill_id for row in lower.rows if row.symbol == "BTC"] == [row.fill_id for row in twins.rows]
    assert [rejected.row["market"] for rejected in lower.rejected] == ["BTC", "BTC/"]


def test_a_coin_that_its_market_does_not_trade_is_refused() -> None:
    order = _document(ACCOUNT, "orders.json")["buyorders"][0] | {"coin": "ETH"}

    parsed = _parsed(ACCOUNT, {"status": "ok", "buyorders": [order], "sellorders": []})

    assert parsed.rejected[0].reason == "coin ETH is not what market BTC/AUD trades"


def test_the_three_shapes_of_balances_read_the_same() -> None:
    shapes = [
        {"status": "ok", "balance": {"btc": 0.5, "str": 2}},
        {"status": "ok", "balance": [{"btc": 0.5}, {"str": "2"}]},
        {"status": "ok", "balances": [{"BTC": {"balance": 0.5}}, {"STR": {"balance": "2"}}]},
    ]

    held = [{row.symbol: row.qty for row in _parsed(ACCOUNT, shape).rows} for shape in shapes]

    assert held == [{"BTC": Decimal("0.5"), "XLM": 2}] * 3


def test_an_nft_among_the_balances_is_a_finding_and_a_retired_coin_a_row_of_nothing() -> None:
    parsed = _parsed(ACCOUNT, _fixture(ACCOUNT, "balances.json"))

    assert {row.symbol: row.qty for row in parsed.rows} == {"AUD": Decimal("20.440000000000005"), "BTC": Decimal("0.015"), "REV": 0}
    assert parsed.rows[1].value_aud == Decimal("1365.99")
    assert [rejected.reason for rejected in parsed.rejected] == ["an NFT, not a coin"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"status": "ok", "sendtransactions": [], "receivetransactions": []}, "transfers are not collected yet"),
        ({"status": "ok", "prices": {"btc": {}}}, "exchange_coinspot_prices"),
        ({"status": "ok", "quote": None}, "neither orders nor balances"),
        ({"status": "ok", "balances": "many"}, "neither an object nor a list"),
        ({"status": "ok", "buyorders": []}, "both lists"),
    ],
)
def test_other_answers_of_the_account_are_named(body: Any, said: str) -> None:
    with pytest.raises(PayloadChangedError, match=said):
        _parsed(ACCOUNT, body)


def test_orders_of_the_first_api_are_refused_row_by_row_for_want_of_a_side() -> None:
    body = {"status": "ok", "orders": [{"amount": 1, "rate": 2, "total": 2, "coin": "DOGE", "solddate": 1414029447346}]}

    assert [rejected.reason for rejected in _parsed(ACCOUNT, body).rejected] == [
        "the v1 order history tells neither side nor whose order it was"
    ]
