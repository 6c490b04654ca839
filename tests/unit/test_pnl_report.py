"""Cuts, days and figures of a report: all cuts add up alike, windows chain, and what isn't known is None."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import UNIT, exact_units
from omc_pipeline.pnl.compute import compute
from omc_pipeline.pnl.policy import METHOD_NAMES, OVERSELL_POLICIES, FeePolicy, Method, OversellPolicy
from omc_pipeline.pnl.report import display
from omc_pipeline.pnl.report.charts import draw, scale
from omc_pipeline.pnl.report.document import CUTS, Question, Report, report_of
from omc_pipeline.pnl.report.equity import equity, months
from omc_pipeline.pnl.report.export import COLUMNS, as_csv, as_parquet
from omc_pipeline.pnl.report.periods import PERIOD_KINDS, Window
from omc_pipeline.pnl.report.record import FillRow, PricePoint, Record, rows_of, with_own_trades
from omc_pipeline.pnl.report.sheet import tear_sheet
from omc_pipeline.pnl.trade import Trade

T0 = datetime(2026, 1, 1, tzinfo=UTC)
D = Decimal
SYDNEY = ZoneInfo("Australia/Sydney")
AMOUNTS = st.integers(1, 10**30)
DRAFTS = st.lists(
    st.tuples(st.sampled_from(["BTC", "ETH"]), st.sampled_from(["buy", "sell"]), st.integers(0, 24 * 100), AMOUNTS, AMOUNTS), max_size=30
)


def trade(number: int, side: str, qty: int, money: int, hours: float, symbol: str = "BTC", **changes: Any) -> Trade:
    made = Trade(str(number), symbol, "AUD", T0 + timedelta(hours=hours), side, qty * UNIT, money * UNIT)  # type: ignore[arg-type]
    return made._replace(**changes)


def record_of(
    trades: Sequence[Trade], method: Method = "fifo", policy: OversellPolicy = "exclude", fees: FeePolicy = "capitalise", **changes: Any
) -> Record:
    positions = compute(trades, method, policy)
    matches, lots = rows_of(positions)
    fills = [FillRow(t.symbol, t.time, t.money * UNIT // t.qty, t.money, 0) for t in trades]
    prices = with_own_trades({}, fills)
    base = Record("ada", "live", method, fees, policy, "AUD", sorted(trades, key=lambda t: t.time), matches, lots, fills, prices)
    marks = {symbol: points[-1] for symbol, points in prices.items()}
    found = replace(base, marks=marks, exceptions=[row for p in positions for row in p.exceptions])
    return replace(found, **changes)


def ask(record: Record, **question: Any) -> Report:
    return report_of(record, Question(**question))


def sums(rows: Sequence[dict[str, Any]], name: str) -> int:
    return sum(exact_units(D(row[name])) for row in rows)


@settings(max_examples=40)
@given(DRAFTS, st.sampled_from(METHOD_NAMES), st.sampled_from(["exclude", "zero_basis"]), st.sampled_from(PERIOD_KINDS))
def test_every_cut_adds_up_to_the_same_total_and_the_identity_holds(
    drafts: list[tuple[str, str, int, int, int]], method: Method, policy: OversellPolicy, period: str
) -> None:
    trades = [
        trade(n, side, 1, 1, hours, symbol)._replace(qty=qty, money=money, fee=n)
        for n, (symbol, side, hours, qty, money) in enumerate(drafts)
    ]
    record = record_of(trades, method, policy, "expense")

    by = {cut: ask(record, by=cut, period=period).document for cut in CUTS if cut != "algorithm"}

    totals = by["coin"]["totals"]
    fees = exact_units(D(totals["expensed_fees"]))
    gains = {sums(by["coin"]["rows"], "realized") + fees, sums(by["period"]["rows"], "gain"), sums(by["match"]["rows"], "gain")}
    assert gains == {exact_units(D(totals["realized"])) + fees}
    assert by["coin"]["totals"] == by["period"]["totals"] == by["match"]["totals"]
    assert totals["identity_holds"] is True


@settings(max_examples=40)
@given(DRAFTS, st.lists(st.integers(-10, 24 * 110), min_size=1, max_size=5, unique=True))
def test_windows_side_by_side_add_up_to_the_whole(drafts: list[tuple[str, str, int, int, int]], cuts: list[int]) -> None:
    trades = [
        trade(n, side, 1, 1, hours, symbol)._replace(qty=qty % 10**20 + 1, money=money % 10**22 + 1000)
        for n, (symbol, side, hours, qty, money) in enumerate(drafts)
    ]
    record = record_of(trades)
    bounds = [None, *(T0 + timedelta(hours=hours) for hours in sorted(cuts)), None]

    parts = [ask(record, window=Window(*pair)).document["totals"] for pair in pairwise(bounds)]

    whole = ask(record).document["totals"]
    for name in ("realized", "proceeds", "cost", "net"):
        assert sum(exact_units(D(part[name])) for part in parts) == exact_units(D(whole[name])), name
    assert all(part["identity_holds"] for part in parts)


def test_a_fill_exactly_on_a_bound_counts_once() -> None:
    record = record_of([trade(1, "buy", 2, 100, 0), trade(2, "sell", 1, 80, 24), trade(3, "sell", 1, 90, 48)])
    bound = T0 + timedelta(hours=24)

    before, after = ask(record, window=Window(None, bound)).document, ask(record, window=Window(bound, None)).document

    assert (before["totals"]["realized"], after["totals"]["realized"]) == ("0", "70")
    assert [row["period"] for row in ask(record, by="period", period="day").document["rows"]] == ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_realized_over_a_period_knows_the_buys_from_before_it() -> None:
    record = record_of([trade(1, "buy", 1, 100, 0), trade(2, "sell", 1, 170, 24 * 40)])

    (row,) = ask(record, by="period", window=Window(T0 + timedelta(days=31))).document["rows"]

    assert (row["period"], row["cost"], row["realized"]) == ("2026-02", "100", "70")


def test_a_window_values_what_was_held_at_its_end_by_the_last_price_before_it() -> None:
    trades = [trade(1, "buy", 2, 100, 0), trade(2, "sell", 1, 80, 24 * 10)]
    record = record_of(trades, prices={"BTC": [PricePoint(T0 + timedelta(days=d), (50 + d) * UNIT, "q") for d in range(9)]})

    document = ask(record, window=Window(None, T0 + timedelta(days=3))).document

    assert document["rows"][0]["price"] == "52"
    assert (document["totals"]["value"], document["totals"]["unrealized"]) == ("104", "4")


def test_a_held_coin_without_a_price_is_worth_unknown_and_not_nothing() -> None:
    record = record_of([trade(1, "buy", 2, 100, 0), trade(2, "buy", 1, 5, 0, "ETH")], marks={}, prices={})

    found = ask(record)

    assert {found.document["totals"][name] for name in ("value", "unrealized", "net")} == {None}
    assert found.document["totals"]["identity_holds"] is True
    assert found.equity.at_cost == ["BTC", "ETH"]
    assert "carried at cost" in tear_sheet(found).lower()


def test_a_lost_open_lot_breaks_the_identity() -> None:
    record = record_of([trade(1, "buy", 2, 100, 0)], open_lots=())

    assert ask(record).document["totals"]["identity_holds"] is False
    assert "Don't rely on these figures" in tear_sheet(ask(record))


def test_units_that_an_open_lot_lost_break_the_identity_even_where_its_cost_is_right() -> None:
    record = record_of([trade(1, "buy", 2, 100, 0)])

    short = replace(record, open_lots=[record.open_lots[0]._replace(qty=2 * UNIT - 1)])

    assert ask(short).document["totals"]["identity_holds"] is False


def test_a_cut_by_algorithm_names_who_bought_and_who_sold() -> None:
    record = record_of([trade(1, "buy", 2, 100, 0), trade(2, "sell", 1, 80, 1), trade(3, "sell", 1, 10, 2)])
    decided = [match._replace(bought_by="momentum", sold_by="reversal" if match.sell == "3" else None) for match in record.matches]

    rows = ask(replace(record, matches=decided), by="algorithm").document["rows"]

    assert [(row["bought_by"], row["sold_by"], row["gain"]) for row in rows] == [("momentum", None, "30"), ("momentum", "reversal", "-40")]
    with pytest.raises(BadInputError, match="algorithm"):
        ask(record, by="algorithm")


def test_days_follow_profit_value_and_return_on_the_capital_at_work() -> None:
    trades = [trade(1, "buy", 1, 100, 1), trade(2, "buy", 1, 100, 25), trade(3, "sell", 2, 330, 49)]
    prices = {"BTC": [PricePoint(T0 + timedelta(hours=h), p * UNIT, "q") for h, p in ((2, 110), (26, 121), (50, 165))]}

    days = equity(record_of(trades, prices=prices, marks={}), Window(), UTC).days

    assert [(day.profit // UNIT, day.realized // UNIT, day.value // UNIT) for day in days] == [(10, 0, 110), (42, 0, 242), (130, 130, 0)]
    assert [day.change for day in days] == [pytest.approx(0.1), pytest.approx(32 / 210), pytest.approx(88 / 242)]
    assert [day.drawdown for day in days] == [0, 0, 0]
    assert [(month.year, month.month, month.profit // UNIT) for month in months(days)] == [(2026, 1, 130)]


def test_days_go_by_the_clocks_of_the_zone() -> None:
    trades = [trade(1, "buy", 1, 100, 12), trade(2, "sell", 1, 120, 14)]

    assert len(equity(record_of(trades), Window(), UTC).days) == 1
    assert [day.day.day for day in equity(record_of(trades), Window(), SYDNEY).days] == [1, 2]


def test_a_day_that_profits_without_capital_has_no_return() -> None:
    record = record_of([trade(1, "sell", 1, 100, 0)], policy="zero_basis")

    found = equity(record, Window(), UTC)

    assert [(day.profit // UNIT, day.change) for day in found.days] == [(100, None)]
    assert found.changes == []
    assert ask(record).document["metrics"]["sharpe"] is None


def test_figures_count_sales_and_not_matches_and_leave_out_what_left_at_cost() -> None:
    record = record_of([trade(1, "buy", 1, 100, 0), trade(2, "buy", 1, 110, 24), trade(3, "sell", 2, 300, 48), trade(4, "buy", 1, 50, 50)])
    withdrawn = record.matches[0]._replace(sell="w", rule="withdrawal", proceeds=record.matches[0].cost)

    metrics = ask(replace(record, matches=[*record.matches, withdrawn])).document["metrics"]

    assert (metrics["closed_trades"], metrics["wins"], metrics["average_win"]) == (1, 1, "90")
    assert (metrics["volume"], metrics["fills"]) == ("560", 4)
    assert metrics["holding_time_days"] == pytest.approx((100 * 2 + 110 * 1) / 210)


@pytest.mark.parametrize("method", METHOD_NAMES)
@pytest.mark.parametrize("policy", [policy for policy in OVERSELL_POLICIES if policy != "refuse"])
def test_a_sheet_is_made_of_any_record(method: Method, policy: OversellPolicy) -> None:
    if policy == "short" and method in ("uk", "ca"):
        pytest.skip("short positions are matched lot by lot, which these rules do not do")
    trades = [trade(1, "buy", 1, 100, 0), trade(2, "sell", 2, 330, 49), trade(3, "buy", 1, 1, 60, "<i>")]

    sheet = tear_sheet(ask(record_of(trades, method, policy)))

    assert "&lt;i&gt;" in sheet
    assert "<i>" not in sheet


def test_a_record_without_trades_makes_a_report() -> None:
    empty = record_of([])

    for by in CUTS:
        assert ask(empty, by=by).document["rows"] == []
        assert as_csv(ask(empty, by=by).document) == ",".join(COLUMNS[by]) + "\n"
    assert "Nothing was sold" in tear_sheet(ask(empty))
    assert ask(empty, tax_year=2026).document["tax"]["net_gain"] == "0"


def test_a_sheet_needs_nothing_from_outside_and_runs_no_script() -> None:
    sheet = tear_sheet(ask(record_of([trade(1, "buy", 1, 100, 0, id="<script>x</script>"), trade(2, "sell", 1, 130, 30)])))

    assert "default-src 'none'" in sheet
    assert not re.search(r"<script|<iframe|<object|@import|url\(|\bon\w+=", sheet)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:,)""", sheet)


@pytest.mark.parametrize("by", [*CUTS, "tax_year"])
def test_parquet_keeps_every_digit_and_csv_says_the_same(by: str) -> None:
    from pyarrow import BufferReader, parquet

    trades = [
        trade(1, "buy", 1, 1, 0)._replace(qty=3 * UNIT, money=100 * UNIT + 1),
        trade(2, "sell", 1, 1, 24)._replace(qty=UNIT, money=10**37),
        trade(3, "sell", 1, 1, 30, id="=cmd()|x")._replace(qty=1),
    ]
    record = record_of(trades)
    record = replace(record, matches=[match._replace(bought_by="a", sold_by="b") for match in record.matches])
    document = (ask(record, tax_year=2026) if by == "tax_year" else ask(record, by=by)).document

    read = parquet.read_table(BufferReader(as_parquet(document)))

    assert read.column_names == list(COLUMNS[by]) == list(document["rows"][0])
    assert json.loads(json.dumps(document["rows"][0])) == document["rows"][0]
    for row, wrote, text in zip(read.to_pylist(), document["rows"], csv.DictReader(io.StringIO(as_csv(document))), strict=True):
        for name, kind in COLUMNS[by].items():
            if kind == "amount":
                assert (None if row[name] is None else row[name]) == (None if wrote[name] is None else D(wrote[name])), name
                assert text[name] == (wrote[name] or "")
            elif kind == "instant" and wrote[name] is not None:
                assert row[name] == datetime.fromisoformat(wrote[name])
            elif kind == "text" and name == "sell":
                assert text[name].removeprefix("'") == wrote[name] == row[name]
    assert read.schema.metadata[b"profile"] == b"live"


def test_a_text_that_a_spreadsheet_would_run_is_defused() -> None:
    record = record_of([trade(1, "buy", 1, 100, 0, id="@SUM(A1)"), trade(2, "sell", 1, 90, 1, id="=1+1")])

    text = as_csv(ask(record, by="match").document)

    assert "'=1+1" in text
    assert "'@SUM(A1)" in text
    assert ",-10," in text


@settings(max_examples=50)
@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))
def test_axis_steps_are_round_and_span_the_values(one: float, other: float) -> None:
    low, high, steps = scale(min(one, other), max(one, other))

    hair = (steps[1] - steps[0]) * 1e-8
    assert low <= min(one, other, 0) + hair
    assert high >= max(one, other, 0) - hair
    assert 2 <= len(steps) <= 8


@settings(max_examples=25)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=700))
def test_a_chart_stays_in_its_box(values: list[float]) -> None:
    days = [(T0 + timedelta(days=n)).date() for n in range(len(values))]

    chart = draw([values], days, display.short, [""] * len(values))

    points = [tuple(map(float, point.split(","))) for point in chart.lines[0].lstrip("M").split("L")]
    assert len(points) == len(values) + 1
    assert all(0 <= x <= 1000 and -0.1 <= y <= 300.1 for x, y in points)
    assert len(chart.strips) <= 240
    assert sum(strip.width for strip in chart.strips) == pytest.approx(1000)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (display.money(1_234_567 * UNIT + 5 * 10**15), "1,234,567.00"),
        (display.money(15 * 10**15), "0.02"),
        (display.money(-12 * UNIT, signed=True), "−12.00"),
        (display.money(12 * UNIT, signed=True), "+12.00"),
        (display.money(-1, signed=True), "0.00"),
        (display.money(None), "–"),
        (display.quantity(10**9), "0.000000001"),
        (display.quantity(1_000_000 * UNIT + 10**11), "1,000,000.0000001"),
        (display.percent(-0.00001), "0.00 %"),
        (display.percent(0.1234, signed=True), "+12.34 %"),
        (display.short(-12_345_678), "−12.35M"),
        (display.days(1.5), "36.0 hours"),
    ],
)
def test_numbers_look_as_a_person_expects(shown: str, text: str) -> None:
    assert shown == text
