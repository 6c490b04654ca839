"""Columns of the kernel: Arrow decimals in and out where they lie, and one clear line for columns that will not do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import exact_units
from omc_pipeline.pnl.kernel.columns import column_of, integers_of, to_arrow
from omc_pipeline.pnl.kernel.fills import BUY, SELL, fills_from_arrow, fills_of
from omc_pipeline.pnl.kernel.run import match_fills

AMOUNT = pa.decimal128(38, 18)


def decimals(*numbers: str, kind: pa.DataType = AMOUNT) -> pa.Array:
    return pa.array([Decimal(number) for number in numbers], kind)


def table(**changed: Any) -> pa.Table:
    columns = {
        "side": pa.array([BUY, SELL, BUY, SELL], pa.int8()),
        "qty": decimals("2", "1.5", "1000000000000", "0.000000000000000001"),
        "money": decimals("200.000000000000000001", "-3", "1", "7.5"),
        **changed,
    }
    return pa.table({name: column for name, column in columns.items() if column is not None})


@given(st.lists(st.integers(-(2**127), 2**127 - 1)))
def test_integers_survive_the_way_into_a_column_and_back(values: list[int]) -> None:
    assert integers_of(column_of(values)) == values


@given(st.lists(st.decimals(-(10**19), 10**19, places=18)))
def test_a_column_is_the_same_bytes_as_arrow_decimals(numbers: list[Decimal]) -> None:
    array = pa.array(numbers, AMOUNT)

    assert to_arrow(column_of([exact_units(number) for number in numbers])).equals(array)


def test_arrow_decimals_are_read_where_they_lie_also_in_a_slice() -> None:
    whole = table()
    part = whole.slice(2)

    fills = fills_from_arrow(part, [0, 2])

    for name in ("qty", "money"):
        assert getattr(fills, name).ctypes.data == whole[name].chunk(0).buffers()[1].address + 2 * 16
    assert fills.side.ctypes.data == whole["side"].chunk(0).buffers()[1].address + 2
    assert integers_of(fills.qty) == [10**30, 1]


@pytest.mark.slow
def test_results_are_given_as_arrow_decimals_where_they_lie() -> None:
    matched = match_fills(fills_from_arrow(table(), [0, 2, 4]), "fifo")

    tables = matched.to_arrow()

    for name, columns in (("matches", matched.matches), ("open_lots", matched.open_lots), ("positions", matched.totals)):
        tables[name].validate(full=True)
        assert tables[name]["qty"].type == AMOUNT
        assert tables[name]["qty"].chunk(0).buffers()[1].address == columns.qty.ctypes.data


def test_results_in_arrow_say_what_was_matched_and_what_is_open() -> None:
    tables = match_fills(fills_from_arrow(table(), [0, 2, 4]), "fifo").to_arrow()

    assert tables["matches"].select(["position", "sell", "lot", "qty", "proceeds", "at_no_cost"]).to_pylist() == [
        {"position": 0, "sell": 1, "lot": 0, "qty": Decimal("1.5").quantize(Decimal("1e-18")), "proceeds": -3, "at_no_cost": False},
        {"position": 1, "sell": 3, "lot": 2, "qty": Decimal("1e-18"), "proceeds": Decimal("7.5"), "at_no_cost": False},
    ]
    assert tables["open_lots"]["cost"].to_pylist() == [Decimal("50"), Decimal("0.999999999999999999")]
    assert tables["positions"]["gain"].to_pylist() == [Decimal("-153.000000000000000001"), Decimal("7.499999999999999999")]
    assert tables["unmatched"].num_rows == 0


def test_units_without_a_lot_have_none_in_arrow_and_the_pool_has_none_either() -> None:
    oversold = table(qty=decimals("2", "3", "1", "1"))

    by_lot = match_fills(fills_from_arrow(oversold, [0, 2, 4]), "lifo", "zero_basis").to_arrow()["matches"]
    pooled = match_fills(fills_from_arrow(oversold, [0, 2, 4]), "avg", "zero_basis").to_arrow()["matches"]

    assert by_lot["lot"].to_pylist() == [0, None, 2]
    assert pooled["lot"].to_pylist() == [None, None, None]
    assert by_lot["at_no_cost"].to_pylist() == pooled["at_no_cost"].to_pylist() == [False, True, False]


def test_several_chunks_are_one_column() -> None:
    chunked = pa.concat_tables([table(), table()])

    fills = fills_from_arrow(chunked, [0, 8])

    assert integers_of(fills.qty) == 2 * integers_of(fills_from_arrow(table(), [0, 4]).qty)


@pytest.mark.parametrize("method", ["fifo", "hifo", "avg"])
def test_no_fills_and_empty_positions_give_no_rows(method: Any) -> None:
    nothing = column_of([])

    none, empty = (match_fills(fills_of(offsets, [], nothing, nothing, nothing), method) for offsets in ([0], [0, 0, 0]))

    assert [len(none.matches.ends), len(empty.matches.ends)] == [0, 2]
    assert integers_of(empty.totals.qty) == [0, 0]
    assert empty.to_arrow()["matches"].num_rows == 0


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"money": None}, "column 'money' is missing; there are side, qty"),
        ({"qty": pa.array([1.0, 2.0, 3.0, 4.0])}, r"column 'qty' is double; it must be decimal128\(38, 18\)"),
        ({"qty": decimals("1", "2", "3", "4", kind=pa.decimal128(38, 8))}, r"column 'qty' is decimal128\(38, 8\)"),
        ({"money": pa.array([Decimal(1), None, Decimal(1), Decimal(1)], AMOUNT)}, "column 'money' has 1 nulls"),
        ({"side": pa.array(["buy", "sell", "buy", "sell"])}, "column 'side' is string"),
        ({"side": pa.array([0, 1, 3, 1], pa.uint8())}, "fill 2 has side 3"),
        ({"qty": decimals("1", "-2", "3", "4")}, "position 0: a quantity is negative"),
        ({"remaining": decimals("1", "1", "3000000000000", "1")}, "position 1: a quantity is negative, or more remains of a lot"),
    ],
)
def test_columns_that_will_not_do_are_refused_by_name(changed: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInputError, match=complaint):
        match_fills(fills_from_arrow(table(**changed), [0, 2, 4]), "fifo")


@pytest.mark.parametrize("offsets", [[], [1, 4], [0, 3], [0, 3, 2, 4]])
def test_offsets_that_do_not_cover_the_fills_are_refused(offsets: list[int]) -> None:
    with pytest.raises(BadInputError, match="offsets must start at 0, never fall, and end at 4"):
        fills_from_arrow(table(), offsets)


def test_hifo_without_prices_and_methods_without_a_kernel_are_refused() -> None:
    fills = fills_from_arrow(table(), np.array([0, 4]))

    with pytest.raises(BadInputError, match="hifo compares prices; the fills have none"):
        match_fills(fills, "hifo")
    with pytest.raises(BadInputError, match="the kernel has no method 'uk'"):
        match_fills(fills, "uk")


def test_prices_may_have_any_scale() -> None:
    prices = decimals("0.000000000001", "0", "0.000000000002", "0", kind=pa.decimal128(20, 12))
    priced = table(price=prices, side=pa.array([0, 0, 0, 1], pa.int8()))

    dearest = match_fills(fills_from_arrow(priced, [0, 4]), "hifo")

    assert dearest.matches.lot.tolist() == [2]
