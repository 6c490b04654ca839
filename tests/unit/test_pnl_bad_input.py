"""Whatever a file holds, the answer is right or one line that says which row and field is wrong; never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_infra.settings import PROJECT_ROOT
from omc_pipeline.commands.pnl import pnl

GOOD = {"id": "a", "time": "2026-01-01T00:00:00Z", "symbol": "BTC", "side": "buy", "qty": "1", "price": "100", "fee": "0", "fee_ccy": "AUD"}
HEADER = "id,time,symbol,side,qty,price"
BAD_FIELDS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "not a number": ({"qty": "NaN"}, "qty"),
    "infinite": ({"price": "Infinity"}, "price"),
    "negative": ({"qty": "-1"}, "qty"),
    "zero": ({"qty": "0"}, "qty"),
    "too large": ({"qty": "1e40"}, "qty"),
    "beyond any memory": ({"qty": "1e999999"}, "qty"),
    "beyond any smallness": ({"price": "1e-999999"}, "price"),
    "underscores": ({"qty": "1_000"}, "qty"),
    "thousands": ({"qty": "1,000"}, "qty"),
    "five thousand digits": ({"price": "9" * 5000}, "price"),
    "a product beyond the ledger": ({"qty": "99999999999", "price": "99999999999"}, "price"),
    "unknown side": ({"side": "hold"}, "side"),
    "unknown kind": ({"kind": "transfer_in"}, "kind"),
    "kind against side": ({"kind": "sell"}, "kind"),
    "no zone": ({"time": "2026-01-01T00:00:00"}, "time"),
    "no time": ({"time": "yesterday"}, "time"),
    "a time before time": ({"time": "0001-01-01T00:00:00+23:00"}, "time"),
    "nanoseconds": ({"time": "2026-01-01T00:00:00.1234567Z"}, "time"),
    "missing": ({"qty": None}, "qty"),
    "a list": ({"id": ["x"]}, "id"),
    "an object": ({"qty": {"a": 1}}, "qty"),
    "true": ({"qty": True}, "qty"),
    "no price at all": ({"price": None}, "price"),
    "negative price": ({"price": "-1"}, "price"),
    "an id given twice": ({"id": "a"}, "id"),
}
BAD_FILES = {
    "empty.json": b"",
    "blank.csv": b" \n",
    "broken.json": b'[{"id": "a"',
    "trailing.json": b"[] x",
    "no-trades.json": b"[]",
    "no-list.json": b'{"method": "fifo"}',
    "text.json": b'"trades"',
    "numbers.json": b"[1, 2]",
    "deep.json": b"[" * 100_000,
    "key-twice.json": b'[{"id": "a", "id": "b"}]',
    "unknown-method.json": json.dumps({"method": "magic", "trades": [GOOD]}).encode(),
    "header-only.csv": HEADER.encode(),
    "no-column.csv": b"id,time,symbol,side\na,2026-01-01T00:00:00Z,BTC,buy",
    "column-twice.csv": f"{HEADER},qty\n".encode(),
    "short-row.csv": f"{HEADER}\na,2026-01-01T00:00:00Z,BTC,buy,1".encode(),
    "open-quote.csv": f'{HEADER}\na,"2026'.encode(),
    "binary.json": bytes(range(256)),
    "nul.csv": b"id\x00,time\n",
    "utf-16.csv": "id,time".encode("utf-16"),
}


def refused(file: Path, *options: str) -> str:
    with pytest.raises(BadInputError) as caught:
        CliRunner().invoke(pnl, ["compute", "--fills", str(file), *options, "--json"], catch_exceptions=False)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def computed(file: Path, *options: str) -> dict[str, Any]:
    outcome = CliRunner().invoke(pnl, ["compute", "--fills", str(file), *options, "--json"], catch_exceptions=False)
    document: dict[str, Any] = json.loads(outcome.stdout)
    return document


@pytest.mark.parametrize("fault", BAD_FIELDS)
def test_a_bad_field_is_refused_by_row_and_name(fault: str, tmp_path: Path) -> None:
    changes, field = BAD_FIELDS[fault]
    file = tmp_path / "fills.json"
    file.write_text(json.dumps([GOOD, {**GOOD, "id": "b", **changes}]))

    message = refused(file)

    assert "row 2" in message
    assert f"field '{field}'" in message


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(BAD_FILES[name])

    assert str(file) in refused(file)


def test_a_bare_nan_in_json_is_refused_by_row_and_name(tmp_path: Path) -> None:
    file = tmp_path / "fills.json"
    file.write_text(json.dumps([{**GOOD, "qty": float("nan")}]))

    assert "row 1, field 'qty'" in refused(file)


def test_a_csv_row_is_named_by_its_line_too(tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    file.write_text(f"{HEADER}\na,2026-01-01T00:00:00Z,BTC,buy,1,5\n\nb,2026-01-01T00:00:00Z,BTC,buy,x,5\n")

    assert "row 2 (line 4), field 'qty'" in refused(file)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    assert "directory" in refused(tmp_path)
    assert "No such file" in refused(tmp_path / "missing.csv")


def test_fees_in_several_currencies_ask_which_one_the_prices_are_in(tmp_path: Path) -> None:
    file = tmp_path / "fills.json"
    file.write_text(json.dumps([{**GOOD, "fee": "1", "fee_ccy": "AUD"}, {**GOOD, "id": "b", "fee": "1", "fee_ccy": "USD"}]))

    assert "--quote" in refused(file)
    assert [row["kind"] for row in computed(file, "--quote", "AUD")["exceptions"]] == ["unpriced_fee"]


@pytest.mark.parametrize("zero_fee", [True, False])
def test_a_venues_own_coin_is_never_taken_for_the_currency_of_the_prices(zero_fee: bool, tmp_path: Path) -> None:
    file = tmp_path / "fills.json"
    known = {**GOOD, "id": "m", "fee": "0", "fee_ccy": "AUD"} if zero_fee else None
    rows = [{**GOOD, "fee": "0.05", "fee_ccy": "BNB"}, {**GOOD, "id": "b", "side": "sell", "fee": "0.05", "fee_ccy": "BNB"}]
    file.write_text(json.dumps([*rows, known] if known else rows))

    if known is None:
        assert "fees are in BNB; name the currency of the prices with --quote" in refused(file)
    answer = computed(file, *([] if known else ["--quote", "AUD"]))

    assert [row["kind"] for row in answer["exceptions"]] == ["unpriced_fee"] * 2
    assert answer["total_realized"] == "0"


def test_a_column_that_names_the_currency_of_each_price_is_heeded(tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    file.write_text(
        "id,time,symbol,side,qty,price,quote\na,2026-01-01T00:00:00Z,BTC,buy,1,100,AUD\nb,2026-01-02T00:00:00Z,BTC,sell,1,90,USD\n"
    )

    assert "prices are in AUD, USD" in refused(file)
    file.write_text(file.read_text().replace("USD", "aud"))
    assert computed(file)["total_realized"] == "-10"
    assert "prices are in AUD" in refused(file, "--quote", "USD")


@pytest.mark.parametrize(("field", "kind", "said"), [("fees", "", "called 'fee'"), ("kind", "fee", "contradicts side 'buy'")])
def test_what_would_be_passed_over_or_contradicts_itself_is_refused(field: str, kind: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "fills.json"
    file.write_text(json.dumps([{**GOOD, field: kind or "2"}]))

    assert said in refused(file)


def test_a_file_in_one_currency_is_not_computed_in_another(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps({"quote": "USD", "trades": [{**GOOD, "fee_ccy": "USD"}]}))

    assert "without rates" in refused(file, "--quote", "AUD")


def test_only_a_case_file_may_leave_out_the_zone(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps({"trades": [{**GOOD, "time": "2026-01-01T00:00:00"}]}))

    assert computed(file)["open_lots"] == [{"id": "a", "qty": "1", "cost": "100"}]


def test_csv_and_json_with_numbers_instead_of_text_give_the_same(tmp_path: Path) -> None:
    table, document = tmp_path / "fills.csv", tmp_path / "fills.json"
    table.write_text("\ufeffID, time,symbol,side,qty,price,fee\r\na,2026-01-01T00:00:00Z,btc,BUY,0.1,0.3,\r\n")
    document.write_text('[{"id": "a", "time": "2026-01-01T00:00:00+00:00", "symbol": "BTC", "side": "buy", "qty": 0.1, "price": 0.3}]')

    assert computed(table) == computed(document)
    assert computed(table)["open_lots"] == [{"id": "a", "qty": "0.1", "cost": "0.03"}]


def test_several_symbols_are_separate_positions_and_every_entry_names_its_own(tmp_path: Path) -> None:
    file = tmp_path / "fills.json"
    file.write_text(
        json.dumps([GOOD, {**GOOD, "id": "b", "symbol": "ETH"}, {**GOOD, "id": "s", "symbol": "ETH", "side": "sell", "price": "150"}])
    )

    found = computed(file)

    assert [(match["symbol"], match["lot"]) for match in found["matches"]] == [("ETH", "b")]
    assert found["open_lots"] == [{"symbol": "BTC", "id": "a", "qty": "1", "cost": "100"}]


def test_trades_after_the_given_time_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "fills.json"
    file.write_text(json.dumps([GOOD, {**GOOD, "id": "s", "side": "sell", "time": "2026-01-02T00:00:00Z"}]))

    assert computed(file, "--as-of", "2026-01-01T23:59:59Z")["realized"] == []
    assert computed(file, "--as-of", "2026-01-02T00:00:00Z")["open_lots"] == []
    assert "--as-of" in refused(file, "--as-of", "2026-01-02")


@pytest.mark.parametrize(("name", "text"), [("prices.json", '{"btc": 120.5}'), ("prices.csv", "symbol,price\nBTC,120.5\n")])
def test_prices_value_what_is_held(name: str, text: str, tmp_path: Path) -> None:
    file, prices = tmp_path / "fills.json", tmp_path / name
    file.write_text(json.dumps([GOOD]))
    prices.write_text(text)

    assert computed(file, "--prices", str(prices))["mark"] == {"value": "120.5", "unrealized": "20.5", "gross": "20.5", "net": "20.5"}


def test_a_held_coin_without_a_price_has_no_value_and_is_reported(tmp_path: Path) -> None:
    file, prices = tmp_path / "fills.json", tmp_path / "prices.json"
    file.write_text(json.dumps([GOOD]))
    prices.write_text('{"ETH": "1"}')

    found = computed(file, "--prices", str(prices))

    assert found["mark"]["value"] is None
    assert [row["kind"] for row in found["exceptions"]] == ["missing_price"]


def test_a_bad_price_names_its_file_and_symbol(tmp_path: Path) -> None:
    file, prices = tmp_path / "fills.json", tmp_path / "prices.json"
    file.write_text(json.dumps([GOOD]))
    prices.write_text('{"BTC": "NaN"}')

    assert "prices.json: prices, field 'BTC'" in refused(file, "--prices", str(prices))


def test_the_human_form_is_a_table(tmp_path: Path) -> None:
    file = tmp_path / "fills.json"
    file.write_text(json.dumps([GOOD, {**GOOD, "id": "s", "side": "sell", "price": "150"}]))

    outcome = CliRunner().invoke(pnl, ["compute", "--fills", str(file)], catch_exceptions=False)

    assert "Matches" in outcome.stdout
    assert "50.00" in outcome.stdout


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_whatever_make_a_traceback(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "fills"
    file.write_bytes(content)

    refused(file)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([*GOOD, "cost", "gross", "kind"]),
            st.text(max_size=8) | st.none() | st.floats() | st.sampled_from([*GOOD.values()]),
        )
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_values_whatever_make_a_traceback(tmp_path: Path, rows: list[Any]) -> None:
    file = tmp_path / "fills.json"
    file.write_text(json.dumps([{**GOOD, "id": str(number), **row} for number, row in enumerate(rows)]))

    outcome = CliRunner().invoke(pnl, ["compute", "--fills", str(file), "--json"])

    assert outcome.exit_code == 0 or isinstance(outcome.exception, BadInputError)


def test_the_command_ends_with_one_line_and_code_2_and_loads_nothing_heavy(tmp_path: Path) -> None:
    file = tmp_path / "fills.json"
    file.write_text(json.dumps([{**GOOD, "qty": "NaN"}]))
    code = (
        "import sys; from omc_infra.errors import OmcError; from omc_pipeline.commands.pnl import pnl\n"
        f"try: pnl(['compute', '--fills', {str(file)!r}])\n"
        "except OmcError: print([m for m in ('dagster', 'pandas', 'sqlalchemy', 'psycopg', 'great_expectations') if m in sys.modules])"
    )

    command = subprocess.run(
        [Path(sys.executable).parent / "omc", "pnl", "compute", "--fills", file], capture_output=True, text=True, check=False
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)

    assert (command.returncode, command.stdout, command.stderr.count("\n")) == (2, "", 1)
    assert command.stderr == f"omc: {file}: row 1, field 'qty': 'NaN' is not a finite decimal number\n"
    assert loaded.stdout.strip() == "[]"
