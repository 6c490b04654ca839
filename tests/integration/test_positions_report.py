"""Reports from the database through the command: every format, every bound, and what they must agree with."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.commands.pnl import pnl
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append
from omc_pipeline.positions import compute_positions, summary, value_positions

T0 = datetime(2026, 1, 1, tzinfo=UTC)
USER = "reporter"
D = Decimal


def fill(number: int, side: str, qty: str, price: str, hours: float, fee: str = "0", symbol: str = "BTC", **changes: Any) -> Fill:
    values = {
        "fill_id": f"f{number}",
        "user_id": USER,
        "account_id": "main",
        "symbol": symbol,
        "currency": "AUD",
        "side": side,
        "qty": D(qty),
        "price": D(price),
        "quote_amount": D(qty) * D(price),
        "fee": D(fee),
        "fee_currency": "AUD",
        "executed_at": T0 + timedelta(hours=hours),
    }
    return Fill(**{**values, **changes})  # type: ignore[arg-type]


FILLS = (
    fill(1, "buy", "2", "100", 0, "0.2"),
    fill(2, "sell", "0.5", "150", 24, "0.1"),
    fill(3, "sell", "0.5", "170", 24 * 31, "0.1"),  # the first instant of February
    fill(4, "buy", "10", "3", 24 * 32, "0.3", "ETH"),
    fill(5, "sell", "1", "2.123456789012345678", 24 * 40, "0", "ETH"),
)
QUOTES = (
    Quote("BTC", "AUD", T0 + timedelta(days=20), D(155), D(165), None),
    Quote("BTC", "AUD", T0 + timedelta(days=45), D(180), D(182), None),
    Quote("ETH", "AUD", T0 + timedelta(days=45), D("2.5"), D("2.5"), None),
)


@pytest.fixture(scope="module")
def reported(database: Database, settings: Settings) -> Iterator[Settings]:
    """Store fills and quotes, compute and value; answer the settings to ask the command with."""
    store(database, *FILLS, *QUOTES)
    compute_positions(database, USER)
    value_positions(database, USER, T0 + timedelta(days=45))
    return settings


def store(database: Database, *rows: Row) -> None:
    with database.connect("writer") as connection:
        append(connection, "test", rows, payload_sha256=None)


def run(settings: Settings, *options: str) -> Result:
    command = ["report", "--user", USER, *options]
    return CliRunner(env=settings.environ()).invoke(pnl, command, catch_exceptions=False)


def document(settings: Settings, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(settings, *options, "--json").stdout)
    return found


def test_a_report_agrees_with_the_summary_to_the_last_digit(reported: Settings, database: Database) -> None:
    totals, kept = document(reported)["totals"], summary(database, USER)

    for name in ("realized", "unrealized", "proceeds", "value", "cost"):
        assert D(totals[name]) == getattr(kept, name), name
    assert totals["identity_holds"] is kept.identity_holds is True
    assert D(totals["net"]) == kept.realized + (kept.unrealized or 0)


def test_a_fill_on_a_bound_counts_once_and_its_buys_lie_before_it(reported: Settings) -> None:
    january, february = document(reported, "--to", "2026-02-01"), document(reported, "--from", "2026-02-01T00:00:00Z", "--by", "period")

    assert january["totals"]["realized"] == "24.85"
    assert (january["totals"]["value"], january["rows"][0]["price"]) == ("240", "160")
    assert [(row["period"], row["sells"], row["realized"]) for row in february["rows"]] == [("2026-02", 2, "33.943456789012345678")]
    assert D(january["totals"]["net"]) + D(february["totals"]["net"]) == D(document(reported)["totals"]["net"])


@pytest.mark.parametrize(
    ("period", "label"), [("hour", "2026-02-01T11:00+11:00"), ("day", "2026-02-01"), ("week", "2026-W05"), ("month", "2026-02")]
)
def test_periods_go_by_the_zone_that_is_asked_for(period: str, label: str, reported: Settings) -> None:
    rows = document(reported, "--by", "period", "--period", period, "--zone", "Australia/Sydney")["rows"]

    assert label in [row["period"] for row in rows]


def test_the_table_is_for_people_and_names_the_profile(reported: Settings) -> None:
    shown = run(reported).stdout

    assert "sandbox" in shown
    assert "win rate per trade" in shown
    assert "identity holds" in shown


def test_csv_goes_to_stdout_and_has_all_digits(reported: Settings) -> None:
    rows = list(csv.DictReader(io.StringIO(run(reported, "--by", "match", "--format", "csv").stdout)))

    assert [row["proceeds"] for row in rows] == ["74.9", "84.9", "2.123456789012345678"]


def test_parquet_needs_a_file_and_keeps_all_digits(reported: Settings, tmp_path: Path) -> None:
    from pyarrow import parquet

    target = tmp_path / "matches.parquet"
    details = document(reported, "--by", "match", "--out", str(target))

    assert (details["format"], details["rows"], details["size_bytes"]) == ("parquet", 3, target.stat().st_size)
    assert parquet.read_table(target)["gain"].to_pylist()[2] == D("-0.906543210987654322")
    with pytest.raises(BadInputError, match="--out"):
        run(reported, "--format", "parquet")


def test_the_sheet_is_one_file_with_the_profile_in_its_title(reported: Settings, tmp_path: Path) -> None:
    target = tmp_path / "sheet.html"

    run(reported, "--out", str(target))

    text = target.read_text()
    assert "<title>SANDBOX · reporter: profit and loss</title>" in text
    assert "to the last of 18 decimals" in text
    assert list(tmp_path.iterdir()) == [target]


def test_a_tax_year_shows_the_discount_of_each_match(reported: Settings) -> None:
    found = document(reported, "--tax-year", "2026")

    assert [row["treatment"] for row in found["rows"]] == ["other", "other", "loss"]
    assert found["tax"]["net_gain"] == "58.793456789012345678"
    assert "Not tax advice" in run(reported, "--tax-year", "2026").stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "2026-02-01T00:00:00"], "--from"),
        (["--from", "soon"], "--from"),
        (["--from", "2026-02-01", "--to", "2026-02-01"], "before"),
        (["--zone", "Mars/Olympus"], "no zone"),
        (["--zone", "../etc/passwd"], "no zone"),
        (["--by", "moon"], "group by"),
        (["--by", "algorithm"], "algorithm"),
        (["--period", "decade"], "no period"),
        (["--tax-year", "2028"], "indexation"),
        (["--tax-year", "2026", "--from", "2026-01-01"], "fixed bounds"),
        (["--currency", "EUR"], "EUR"),
        (["--method", "lifo"], "lifo"),
        (["--out", "/dev/null/sheet.html"], "cannot be written"),
    ],
)
def test_a_wrong_question_is_answered_in_one_line(options: list[str], words: str, reported: Settings) -> None:
    with pytest.raises(BadInputError, match=words) as caught:
        run(reported, *options)

    assert "\n" not in str(caught.value)


def test_fills_after_the_last_run_are_left_out_and_said_so(reported: Settings, database: Database) -> None:
    before = document(reported)
    store(database, fill(6, "sell", "1", "500", 24 * 50))

    after = document(reported)

    assert after["totals"] == before["totals"]
    assert [row["kind"] for row in after["exceptions"]] == ["not_computed"]
