"""Defects of naive engines, each by its name; amounts are written as decimals and computed through the reading of rows."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import UNIT, text_of
from omc_pipeline.pnl.answer import answer
from omc_pipeline.pnl.compute import compute
from omc_pipeline.pnl.document import Document, Row
from omc_pipeline.pnl.policy import FeePolicy, Method, OversellPolicy
from omc_pipeline.pnl.reading import read_trades
from omc_pipeline.pnl.trade import Trade

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def row(id: str, side: str, qty: str, price: str | None = None, day: int = 0, **fields: str) -> dict[str, object]:  # noqa: A002 the field's name
    moment = (T0 + timedelta(days=day)).isoformat()
    return {"id": id, "time": moment, "symbol": "BTC", "side": side, "qty": qty, "price": price, "fee_ccy": "AUD", **fields}


def computed(
    *rows: Mapping[str, object], method: Method = "fifo", fees: FeePolicy = "capitalise", oversell: OversellPolicy = "exclude"
) -> dict[str, Any]:
    reading = read_trades(Document([Row(f"row {number}", fields) for number, fields in enumerate(rows, 1)]), fees, "AUD")
    return answer(compute(reading.trades, method, oversell), method, reading.exceptions)


def test_a_sell_of_more_than_is_held_never_meets_a_later_buy() -> None:
    found = computed(row("b1", "buy", "1", "10", 0), row("s", "sell", "3", "40", 1), row("b2", "buy", "2", "20", 2))

    assert [(match["lot"], match["qty"]) for match in found["matches"]] == [("b1", "1")]
    assert found["total_realized"] == "30"
    assert found["unmatched"] == {"s": "2"}
    assert found["open_lots"] == [{"id": "b2", "qty": "2", "cost": "40"}]
    assert found["exceptions"][0]["kind"] == "oversell"


def test_units_not_held_are_pure_gain_at_zero_basis_and_still_reported() -> None:
    found = computed(row("b", "buy", "1", "10"), row("s", "sell", "3", "40", 1), oversell="zero_basis")

    assert found["total_realized"] == "110"
    assert found["unmatched"] == {"s": "2"}
    assert found["matches"][1] == {"sell": "s", "lot": None, "qty": "2", "cost": "0", "proceeds": "80", "gain": "80", "rule": "zero_basis"}


@pytest.mark.parametrize("method", ["fifo", "avg", "uk"])
def test_units_not_held_are_refused_where_that_is_the_policy(method: Method) -> None:
    with pytest.raises(BadInputError, match=r"sell 's' of 3 BTC exceeds the 1 held"):
        computed(row("b", "buy", "1", "10"), row("s", "sell", "3", "40", 1), method=method, oversell="refuse")


def test_a_price_below_1e_8_is_not_nothing() -> None:
    found = computed(row("b", "buy", "1000000000000", "0.000000000012"), row("s", "sell", "1", "0.000000000015", 1))

    assert found["matches"][0]["cost"] == "0.000000000012"
    assert found["total_realized"] == "0.000000000003"


def test_at_the_same_instant_buys_come_before_sells_and_then_the_id_decides() -> None:
    found = computed(row("a-sell", "sell", "3", "10"), row("z-buy", "buy", "2", "5"), row("m-buy", "buy", "2", "7"))

    assert [(match["lot"], match["qty"]) for match in found["matches"]] == [("m-buy", "2"), ("z-buy", "1")]
    assert found["unmatched"] == {}


def test_a_fee_above_the_notional_makes_proceeds_negative_and_their_parts_still_sum() -> None:
    found = computed(
        row("b1", "buy", "1", "1"), row("b2", "buy", "1", "1"), row("b3", "buy", "1", "1"), row("s", "sell", "3", "0.1", 1, fee="1.3")
    )

    assert [match["proceeds"] for match in found["matches"]] == ["-0.333333333333333334", "-0.333333333333333333", "-0.333333333333333333"]
    assert found["total_realized"] == "-4"


def test_a_rebate_lowers_the_cost_of_a_buy_and_raises_the_proceeds_of_a_sell() -> None:
    found = computed(row("b", "buy", "1", "100", fee="-0.5"), row("s", "sell", "1", "110", 1, fee="-0.25"))

    assert (found["matches"][0]["cost"], found["matches"][0]["proceeds"], found["total_realized"]) == ("99.5", "110.25", "10.75")


def test_expensed_fees_leave_gains_alone_and_are_taken_from_the_total() -> None:
    found = computed(row("b", "buy", "2", "100", fee="3"), row("s", "sell", "1", "110", 1, fee="1"), fees="expense")

    assert (found["realized"], found["total_realized"]) == ([{"sell": "s", "gain": "10"}], "6")


def test_the_product_of_18_and_12_decimals_is_rounded_once_and_half_even() -> None:
    qty, price = "123456789012.123456789012345678", "0.123456789012"

    found = computed(row("b", "buy", qty, price))

    exact = Fraction(qty) * Fraction(price) * UNIT
    assert found["open_lots"][0]["cost"] == text_of(round(exact)), "the 28-digit context is off by 2.3e-19 here"


def test_a_tie_of_the_rounding_goes_to_the_even_digit() -> None:
    found = computed(row("b1", "buy", "0.000000000000000001", "0.5"), row("b2", "buy", "0.000000000000000003", "0.5"))

    assert [lot["cost"] for lot in found["open_lots"]] == ["0", "0.000000000000000002"]


def test_a_stated_cost_wins_over_quantity_times_price_and_the_fee() -> None:
    found = computed(
        row("b", "buy", "2", "100", fee="5", cost="190"), row("s", "sell", "2", "1", 1, fee="7", proceeds="200"), fees="expense"
    )

    assert (found["matches"][0]["cost"], found["matches"][0]["proceeds"], found["total_realized"]) == ("190", "200", "10")


def test_a_fee_in_the_coin_lies_within_the_quantity() -> None:
    found = computed(row("b", "buy", "1", "100"), row("s", "sell", "1", "110", 1, fee="0.1", fee_ccy="BTC"))

    assert found["matches"][0]["proceeds"] == "99"


def test_a_fee_in_a_third_coin_is_reported_and_not_taken_for_money() -> None:
    found = computed(row("b", "buy", "1", "100", fee="2", fee_ccy="BNB"))

    assert found["open_lots"][0]["cost"] == "100"
    assert [row["kind"] for row in found["exceptions"]] == ["unpriced_fee"]


def test_the_fee_of_a_transfer_is_a_disposal_at_market_value() -> None:
    found = computed(row("b", "buy", "1", "100"), row("m", "sell", "0.01", "120", 1, kind="move", fee="0.01", fee_ccy="BTC"))

    assert found["matches"][0]["proceeds"] == "1.2"


def test_income_is_a_lot_at_market_value_and_an_entry_of_its_own() -> None:
    found = computed(row("i", "buy", "2", "100", kind="staking"), row("z", "buy", "1", "50", kind="gift"))

    assert found["income"] == "200"
    assert [lot["cost"] for lot in found["open_lots"]] == ["200", "50"]


def test_highest_first_compares_the_spot_price_without_the_fee() -> None:
    rows = (row("cheap", "buy", "1", "100", fee="50"), row("dear", "buy", "1", "101", fee="0"), row("s", "sell", "1", "120", 1))

    assert computed(*rows, method="hifo")["matches"][0]["lot"] == "dear"
    assert computed(*rows, method="lofo")["matches"][0]["lot"] == "cheap"


def test_a_lot_that_states_only_its_cost_is_compared_by_its_cost_a_unit() -> None:
    rows = (row("a", "buy", "2", None, cost="300"), row("b", "buy", "1", "149"), row("s", "sell", "1", "1", 1))

    assert computed(*rows, method="hifo")["matches"][0]["lot"] == "a"


def test_the_parts_of_a_lot_sum_to_its_cost_exactly() -> None:
    sells = [row(f"s{number}", "sell", "1", "1", number) for number in range(1, 8)]

    found = computed(row("b", "buy", "7", None, cost="0.00000000000000001"), *sells)

    units = [int(match["cost"].removeprefix("0.").ljust(18, "0") or 0) for match in found["matches"]]
    assert sum(units) == 10
    assert max(units) - min(units) <= 1


def test_uk_days_match_the_same_day_then_thirty_days_ahead_and_not_the_thirty_first() -> None:
    rows = (row("b0", "buy", "10", "1", 0), row("s", "sell", "4", "9", 5), row("b30", "buy", "1", "5", 35), row("b31", "buy", "1", "6", 36))

    found = computed(*rows, method="uk")

    assert [(match["lot"], match["rule"], match["qty"]) for match in found["matches"]] == [("b30", "30_day", "1"), ("pool", "s104", "3")]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fifo", "lifo", "avg"])
def test_many_buys_and_then_sells_take_time_in_proportion(method: Method) -> None:
    def seconds(count: int) -> float:
        buys = [Trade(f"b{n}", "BTC", "AUD", T0 + timedelta(seconds=n), "buy", UNIT, UNIT + n) for n in range(count // 2)]
        sells = [b._replace(id=f"s{n}", side="sell", time=b.time + timedelta(days=99)) for n, b in enumerate(buys)]
        gc.disable()  # its passes grow with what lives, which is not what is asked here
        started = time.process_time()
        compute(buys + sells, method, "refuse")
        taken = time.process_time() - started
        gc.enable()
        return taken

    small, large = min(seconds(12_500) for _ in range(3)), min(seconds(200_000) for _ in range(2))

    assert large < 16 * 2.5 * small, f"16 times the trades took {large / small:.0f} times as long"
