"""Trades at one instant: what a file tells of their order counts, as far as holdings allow it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from omc_pipeline.commands.pnl import pnl
from omc_pipeline.pnl.sequence import as_holdings_allow, direction, numbered
from omc_pipeline.pnl.trade import Side, Trade, in_order

T0 = datetime(2024, 3, 1, 10, tzinfo=UTC)
HEADER = "id,time,symbol,side,qty,price"
AGO, NOW = "2024-03-01T10:00:00Z", "2024-03-01T12:00:00Z"


def trade(name: str, minute: int, side: Side, qty: int = 1, symbol: str = "BTC") -> Trade:
    return Trade(name, symbol, "USD", T0 + timedelta(minutes=minute), side, qty, qty)


def order(trades: list[Trade]) -> str:
    return "".join(one.id for one in in_order(trades))


@pytest.mark.parametrize(
    ("keys", "minutes", "expected"),
    [([1, 2, 3], [0, 5, 5], 1), ([3, 2, 1], [0, 5, 5], -1), ([1, 3, 2], [0, 1, 2], 0), ([1, 2], [5, 5], None), ([], [], None)],
)
def test_keys_grow_or_fall_with_time_or_tell_nothing(keys: list[int], minutes: list[int], expected: int | None) -> None:
    assert direction(keys, minutes) == expected


def test_rows_oldest_first_and_newest_first_tell_the_same_order() -> None:
    rows = [trade("a", 0, "buy"), trade("s", 5, "sell"), trade("b", 5, "buy")]

    assert order(numbered(rows, by_rows=True)) == "asb"
    assert order(numbered(rows[::-1], by_rows=True)) == "asb"
    assert order(numbered(rows, by_rows=False)) == "abs"


def test_rows_that_are_not_in_order_of_time_tell_nothing() -> None:
    rows = [trade("s", 5, "sell"), trade("b", 5, "buy"), trade("a", 0, "buy"), trade("c", 9, "buy")]

    assert order(numbered(rows, by_rows=True)) == "absc"


def test_ids_that_count_decide_before_rows_do() -> None:
    rows = [trade("3", 5, "buy"), trade("2", 5, "sell"), trade("1", 0, "buy")]

    assert order(numbered(rows, by_rows=False)) == "123"


def test_what_sells_more_than_was_held_lets_purchases_come_first() -> None:
    rows = numbered([trade("a", 0, "buy", 1), trade("s", 5, "sell", 2), trade("b", 5, "buy", 1)], by_rows=True)

    found, lines = as_holdings_allow(rows)

    assert order(found) == "abs"
    assert lines == ["at 1 time the order of the file sells more than was held, so what was bought comes first there"]


@pytest.mark.parametrize(
    "rows",
    [
        (f"a,{AGO},BTC,buy,1,100", f"s,{NOW},BTC,sell,1,150", f"b,{NOW},BTC,buy,1,140"),
        (f"b,{NOW},BTC,buy,1,140", f"s,{NOW},BTC,sell,1,150", f"a,{AGO},BTC,buy,1,100"),
        (f"a,{AGO},BTC,buy,1,100", f"x,{NOW},ETH,buy,1,5", f"s,{NOW},BTC,sell,1,150", f"b,{NOW},BTC,buy,1,140"),
    ],
)
def test_sold_and_bought_back_in_one_second_gains_what_was_sold(rows: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    file.write_text("\n".join((HEADER, *rows)))

    outcome = CliRunner().invoke(pnl, ["compute", "--fills", str(file), "--method", "avg", "--quote", "USD", "--json"])

    assert '"total_realized": "50"' in outcome.stdout
    assert "the file tells which came first" in outcome.stdout
