"""What can happen to holdings, each fill by itself and then through the engine: amounts are written as decimals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import decimal_of, text_of
from omc_pipeline.pnl.compute import compute
from omc_pipeline.pnl.conservation import conservation_findings
from omc_pipeline.pnl.expand import Expansion, expand
from omc_pipeline.pnl.fill import Fill, Rate, Rates
from omc_pipeline.pnl.policy import LotPolicy, Method
from omc_pipeline.pnl.result import PositionResult
from omc_pipeline.pnl.trade import Trade

T0 = datetime(2026, 1, 1, tzinfo=UTC)
D = Decimal


def fill(id: str, side: Any, qty: str, price: str | None = None, day: int = 0, symbol: str = "BTC", **fields: Any) -> Fill:  # noqa: A002 the field's name
    amount = None if price is None else D(qty) * D(price)
    details = {"account": "main", "currency": "AUD", "fee": D(0), "fee_currency": "AUD", "amount": amount}
    numbers = {name: D(fields.pop(name)) for name in ("fee", "amount") if name in fields}
    return Fill(
        id=id, symbol=symbol, side=side, qty=D(qty), price=None if price is None else D(price),
        time=T0 + timedelta(days=day), **{**details, **fields, **numbers},
    )  # fmt: skip


def rates(**values: str) -> Rates:
    return lambda _fill, coin: Rate(D(values[coin]), f"quote of {coin}") if coin in values else None


def amounts(trade: Trade) -> tuple[str, str, str, str]:
    return trade.symbol, trade.side, text_of(trade.qty), text_of(trade.money)


def computed(found: Expansion, method: Method = "fifo", lots: LotPolicy = "universal") -> Mapping[str, PositionResult]:
    positions = compute(found.trades, method, "exclude", lots)
    assert [finding for position in positions for finding in conservation_findings(position)] == []
    return {position.symbol: position for position in positions}


def test_a_trade_in_another_currency_is_settled_by_a_rate_whose_row_is_recorded() -> None:
    found = expand([fill("t", "buy", "2", "100", currency="USD", fee="1", fee_currency="USD")], rates(USD="1.5"), "AUD")

    assert [amounts(trade) for trade in found.trades] == [("BTC", "buy", "2", "301.5")]
    assert {(use.fill.id, use.coin, use.rate.id) for use in found.rates} == {("t", "USD", "quote of USD")}


def test_a_trade_without_a_rate_is_not_counted_but_reported() -> None:
    found = expand([fill("t", "buy", "2", "100", currency="USD")], rates(), "AUD")

    assert found.trades == []
    assert [(row.kind, row.fill) for row in found.exceptions] == [("missing_price", "t")]
    assert "USD" in found.exceptions[0].message


def test_coin_for_coin_is_two_trades_under_one_id_and_what_one_brings_the_other_costs() -> None:
    found = expand([fill("t", "buy", "10", "0.05", symbol="ETH", currency="BTC")], rates(BTC="60000"), "AUD")

    assert {trade.id for trade in found.trades} == {"t"}
    assert [amounts(trade) for trade in found.trades] == [("ETH", "buy", "10", "30000"), ("BTC", "sell", "0.5", "30000")]


def test_coin_for_coin_is_valued_by_what_was_traded_where_the_other_coin_has_no_rate() -> None:
    found = expand([fill("t", "sell", "10", "0.05", symbol="ETH", currency="ODD")], rates(ETH="3000"), "AUD")

    assert [amounts(trade) for trade in found.trades] == [("ETH", "sell", "10", "30000"), ("ODD", "buy", "0.5", "30000")]


def test_a_fee_in_a_third_coin_is_part_of_the_cost_and_a_disposal_of_that_coin() -> None:
    bought = fill("bnb", "buy", "10", "400", symbol="BNB")
    found = expand([bought, fill("t", "buy", "1", "100", 1, fee="0.01", fee_currency="BNB")], rates(BNB="500"), "AUD")

    positions = computed(found)

    assert text_of(positions["BTC"].cost) == "105"
    assert [(m.sell, text_of(m.gain)) for m in positions["BNB"].matching.matches] == [("t:fee", "1")]


def test_a_rebate_in_a_third_coin_lowers_the_cost_by_what_the_coins_are_worth() -> None:
    found = expand([fill("t", "buy", "1", "100", fee="-0.01", fee_currency="BNB")], rates(BNB="500"), "AUD")

    assert [amounts(trade) for trade in found.trades] == [("BNB", "buy", "0.01", "5"), ("BTC", "buy", "1", "95")]


def test_a_fee_in_the_coin_paid_with_is_a_disposal_of_its_own() -> None:
    traded = fill("t", "buy", "10", "0.05", symbol="ETH", currency="BTC", fee="0.001", fee_currency="BTC")
    found = expand([traded], rates(BTC="60000"), "AUD")

    assert sorted(amounts(trade) for trade in found.trades) == [
        ("BTC", "sell", "0.001", "60"),
        ("BTC", "sell", "0.5", "30000"),
        ("ETH", "buy", "10", "30060"),
    ]


def test_a_fee_that_nobody_can_value_is_left_out_and_reported() -> None:
    found = expand([fill("t", "buy", "1", "100", fee="2", fee_currency="BNB")], rates(), "AUD")

    assert [amounts(trade) for trade in found.trades] == [("BTC", "buy", "1", "100")]
    assert [row.kind for row in found.exceptions] == ["unpriced_fee"]


def test_a_fill_whose_fee_nobody_states_counts_without_one_and_is_reported() -> None:
    found = expand([fill("t", "buy", "1", "100")._replace(fee=None)], rates(), "AUD")

    assert [amounts(trade) for trade in found.trades] == [("BTC", "buy", "1", "100")]
    assert [(row.kind, row.fill) for row in found.exceptions] == [("unknown_fee", "t")]


def test_a_fee_in_the_coin_itself_changes_what_arrives_and_what_leaves() -> None:
    found = expand(
        [fill("b", "buy", "1", "100", fee="0.01", fee_currency="BTC"), fill("s", "sell", "0.5", "120", 1, fee="0.01", fee_currency="BTC")],
        rates(), "AUD",
    )  # fmt: skip

    assert [amounts(trade) for trade in found.trades] == [("BTC", "buy", "0.99", "100"), ("BTC", "sell", "0.51", "60")]


@pytest.mark.parametrize("kind", ["staking", "airdrop", "interest"])
def test_income_is_a_lot_at_market_value_and_an_entry_of_its_own(kind: Any) -> None:
    found = expand([fill("i", "buy", "2", kind=kind)], rates(BTC="100"), "AUD")

    assert [(*amounts(trade), text_of(trade.income)) for trade in found.trades] == [("BTC", "buy", "2", "200", "200")]


def test_a_deposit_states_its_cost_or_counts_at_market_value_and_is_reported() -> None:
    found = expand([fill("known", "buy", "2", "40", kind="deposit"), fill("unknown", "buy", "2", kind="deposit")], rates(BTC="100"), "AUD")

    assert [text_of(trade.money) for trade in found.trades] == ["80", "200"]
    assert [(row.kind, row.fill) for row in found.exceptions] == [("missing_history", "unknown")]


def test_a_withdrawal_takes_lots_along_at_cost_and_its_fee_in_kind_is_a_disposal() -> None:
    found = expand(
        [fill("b", "buy", "2", "100"), fill("w", "sell", "1", None, 1, kind="withdrawal", fee="0.1", fee_currency="BTC")],
        rates(BTC="150"), "AUD",
    )  # fmt: skip

    (position,) = computed(found).values()

    assert [(m.sell, m.rule, text_of(m.gain)) for m in position.matching.matches] == [("w", "withdrawal", "0"), ("w:fee", None, "5")]
    assert (text_of(position.qty), text_of(position.cost)) == ("0.9", "90")


def moved() -> list[Fill]:
    return [
        fill("b1", "buy", "1", "100", 0, account="a"),
        fill("b2", "buy", "1", "300", 1, account="b"),
        fill("out", "sell", "1", None, 2, account="a", kind="transfer", trade_id="m"),
        fill("in", "buy", "0.9", None, 3, account="b", kind="transfer", trade_id="m"),
        fill("s", "sell", "1", "400", 4, account="b"),
    ]


def test_a_transfer_carries_date_and_cost_to_the_other_account_and_what_is_lost_on_the_way_is_a_disposal() -> None:
    found = expand(moved(), rates(BTC="200"), "AUD", lots="account")

    (position,) = computed(found, lots="account").values()

    assert [(m.sell, m.lot, text_of(m.qty), text_of(m.cost), m.rule) for m in position.matching.matches] == [
        ("out", "b1", "0.9", "90", "transfer"),
        ("out:network", "b1", "0.1", "10", None),
        ("s", "b1@out", "0.9", "90", None),
        ("s", "b2", "0.1", "30", None),
    ]
    assert position.matching.matches[2].acquired_at == T0
    assert (text_of(position.realized), text_of(position.proceeds)) == ("290", "420")


def test_within_universal_lots_a_transfer_moves_nothing_but_its_fee() -> None:
    found = expand(moved(), rates(BTC="200"), "AUD")

    (position,) = computed(found).values()

    assert [(m.sell, m.lot, text_of(m.qty)) for m in position.matching.matches] == [
        ("out:network", "b1", "0.1"),
        ("s", "b1", "0.9"),
        ("s", "b2", "0.1"),
    ]


def test_lots_of_one_account_are_not_sold_from_another() -> None:
    fills = [fill("b", "buy", "1", "100", account="a"), fill("s", "sell", "1", "120", 1, account="b")]
    found = expand(fills, rates(), "AUD", lots="account")

    (position,) = computed(found, lots="account").values()

    assert position.matching.unmatched == {"s": 10**18}
    assert [row.kind for row in position.exceptions] == ["oversell"]


@pytest.mark.parametrize("method", ["fifo", "lifo", "hifo", "lofo", "avg"])
def test_coins_moved_to_and_fro_are_still_there_with_their_cost(method: Method) -> None:
    there = [fill(f"o{n}", "sell", "1.5", None, 2 + n, account="ab"[n % 2], kind="transfer", trade_id=f"m{n}") for n in range(6)]
    back = [fill(f"i{n}", "buy", "1.5", None, 2 + n, account="ba"[n % 2], kind="transfer", trade_id=f"m{n}") for n in range(6)]
    buys = [fill("b1", "buy", "1", "100", account="a"), fill("b2", "buy", "1", "130.000000000000000001", 1, account="a")]

    (position,) = computed(expand(buys + there + back, rates(), "AUD", lots="account"), method, "account").values()

    assert (text_of(position.qty), decimal_of(position.cost)) == ("2", D("230.000000000000000001"))
    assert position.realized == 0


def test_a_transfer_that_has_not_arrived_is_reported_and_one_without_a_departure_is_of_unknown_history() -> None:
    gone, come = moved()[2], moved()[3]

    assert [row.kind for row in expand([gone], rates(), "AUD", lots="account").exceptions] == ["in_transit"]
    assert [row.kind for row in expand([come], rates(BTC="1"), "AUD", lots="account").exceptions] == ["missing_history"]


def test_a_fee_larger_than_the_notional_makes_proceeds_negative() -> None:
    found = expand([fill("b", "buy", "1", "1"), fill("s", "sell", "1", "0.1", 1, fee="5")], rates(), "AUD")

    (position,) = computed(found).values()

    assert text_of(position.realized) == "-5.9"


def test_parts_of_an_order_are_fills_and_what_was_cancelled_never_happened() -> None:
    parts = [fill("o-1", "buy", "0.3", "100"), fill("o-2", "buy", "0.2", "101")]

    (position,) = computed(expand(parts, rates(), "AUD")).values()

    assert (text_of(position.qty), text_of(position.cost)) == ("0.5", "50.2")


def test_money_moved_in_or_out_is_no_holding() -> None:
    fills = [fill("d", "buy", "500", kind="deposit", symbol="AUD"), fill("w", "sell", "5", kind="withdrawal", symbol="USD")]
    found = expand(fills, rates(), "AUD")

    assert (found.trades, found.exceptions) == ([], [])


def test_nonsense_is_reported_and_the_rest_goes_on() -> None:
    fills = [fill("zero", "buy", "0", "1"), fill("odd", "sell", "1", kind="airdrop"), fill("fine", "buy", "1", "1")]

    found = expand(fills, rates(), "AUD")

    assert [trade.id for trade in found.trades] == ["fine"]
    assert [(row.kind, row.fill) for row in found.exceptions] == [("invalid_fill", "zero"), ("invalid_fill", "odd")]


def test_uk_pooling_knows_no_accounts() -> None:
    found = expand(moved(), rates(BTC="200"), "AUD", lots="account")

    with pytest.raises(BadInputError, match="universal"):
        compute(found.trades, "uk", "exclude", "account")


def test_what_leaves_at_cost_comes_out_of_the_uk_pool_after_the_days_sells() -> None:
    fills = [fill("b", "buy", "2", "100"), fill("w", "sell", "1", None, 1, kind="withdrawal"), fill("s", "sell", "1", "150", 1)]

    (position,) = computed(expand(fills, rates(), "AUD"), "uk").values()

    assert [(m.sell, m.rule, text_of(m.gain)) for m in position.matching.matches] == [("s", "s104", "50"), ("w", "withdrawal", "0")]
