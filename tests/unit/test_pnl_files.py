"""Files as spreadsheets and strangers write them: read, or refused in one line, within bounded memory; never a wrong number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omc_infra.errors import BadInputError
from omc_pipeline.commands.pnl import pnl
from omc_pipeline.pnl.encoding import MOST_BYTES

HEADER = "id,time,symbol,side,qty,price,fee"
ROWS = (HEADER, "a,2026-01-01T00:00:00Z,BTC,buy,2,100,0", "b,2026-01-02T00:00:00Z,BTC,sell,0.5,150,0")
INHERITED = "\n".join(ROWS) + "\n"
QUOTED = "\r\n".join(",".join(f'"{cell}"' for cell in row.split(",")) for row in ROWS)
SEMICOLONS = INHERITED.replace(",", ";")
READ = {
    "plain": INHERITED.encode(),
    "no newline at the end": INHERITED.rstrip().encode(),
    "byte order mark": b"\xef\xbb\xbf" + INHERITED.encode(),
    "crlf": INHERITED.replace("\n", "\r\n").encode(),
    "old mac": INHERITED.replace("\n", "\r").encode(),
    "quotes": QUOTED.encode(),
    "semicolons": SEMICOLONS.encode(),
    "tabs": INHERITED.replace(",", "\t").encode(),
    "said separator": b"sep=;\r\n" + SEMICOLONS.encode(),
    "utf-16 of a spreadsheet": INHERITED.replace(",", "\t").encode("utf-16"),
    "utf-16, big end first": b"\xfe\xff" + INHERITED.encode("utf-16-be"),
    "blank lines": ("\n\n" + INHERITED.replace("\n", "\n\n")).encode(),
    "empty columns at the end": "\n".join(f"{row},,," for row in ROWS).encode(),
    "other order and capitals": b"PRICE,Side,Qty,ID,Time,Symbol\n100,BUY,2,a,2026-01-01T00:00:00Z,btc\n"
    b"150,Sell,0.5,b,2026-01-02T00:00:00Z,BTC\n",
    "not in order of time": "\n".join((ROWS[0], ROWS[2], ROWS[1])).encode(),
}
LATE = "c,2026-01-03T00:00:00Z,BTC,buy,1,100,0"
REFUSED = {
    "decimal comma": (
        SEMICOLONS.replace("0.5", "0,5"),
        "row 2 (line 3), field 'qty': '0,5' is not a finite decimal number; write decimals with",
    ),
    "thousands": (INHERITED + 'c,2026-01-03T00:00:00Z,BTC,buy,1,"1,000",0', "row 3 (line 4), field 'price': '1,000' is not a finite"),
    "currency sign": (INHERITED + LATE.replace("100", "$100"), "row 3 (line 4), field 'price'"),
    "spreadsheet time": (
        INHERITED + LATE.replace("2026-01-03T00:00:00Z", "3/01/2026 10:00"),
        "row 3 (line 4), field 'time': '3/01/2026 10:00'",
    ),
    "formula error": (INHERITED + LATE.replace("100", "#VALUE!"), "row 3 (line 4), field 'price'"),
    "too many cells": (INHERITED + LATE + ",surplus", "row 3 (line 4): 8 cells under 7 columns"),
    "too few cells": (INHERITED + "c,2026-01-03T00:00:00Z", "row 3 (line 4): 2 cells under 7 columns"),
    "open quote": (INHERITED + '"c,2026-01-03T00:00:00Z,BTC,buy,1,100,0\n' + LATE, "is a quote left open?"),
    "doubled id": (INHERITED + LATE.replace("c", "a"), "row 3 (line 4), field 'id': 'a' was given in row 1 (line 2) already"),
    "escape sequence": (INHERITED + LATE.replace("c", "\x1b[31mc"), "row 3 (line 4), field 'id': '\\x1b[31mc' holds characters"),
    "endless id": (INHERITED + LATE.replace("c", "c" * 5000), "has 5000 characters"),
    "endless cell": (INHERITED + LATE.replace("c", "c" * 200_000), "line 4"),
    "1e40": (INHERITED + LATE.replace("buy,1,", "buy,1e40,"), "row 3 (line 4), field 'qty': 1e40 is too large"),
    "NaN": (INHERITED + LATE.replace("buy,1,", "buy,NaN,"), "row 3 (line 4), field 'qty'"),
    "negative": (INHERITED + LATE.replace("buy,1,", "buy,-1,"), "row 3 (line 4), field 'qty': -1 must be greater than 0"),
    "unknown side": (INHERITED + LATE.replace("buy", "swap"), "row 3 (line 4), field 'side': 'swap' is neither buy nor sell"),
    "naive time": (INHERITED + LATE.replace("00Z", "00"), "row 3 (line 4), field 'time'"),
    "no such columns": ("time;symbol;side\n", "line 1 (header): no column 'id', 'qty'"),
    "numbers with arabic digits": (INHERITED + LATE.replace("buy,1,", "buy,١,"), "row 3 (line 4), field 'qty'"),
}


def computed(file: Path, *options: str) -> dict[str, Any]:
    outcome = CliRunner().invoke(pnl, ["compute", "--fills", str(file), *options, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


def refused(file: Path, *options: str) -> str:
    with pytest.raises(BadInputError) as caught:
        CliRunner().invoke(pnl, ["compute", "--fills", str(file), *options, "--json"], catch_exceptions=False)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", READ)
def test_a_spreadsheet_is_read_however_it_was_saved(name: str, tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    file.write_bytes(READ[name])

    found = computed(file)

    assert found["realized"] == [{"sell": "b", "gain": "25"}]
    assert found["open_lots"] == [{"id": "a", "qty": "1.5", "cost": "150"}]


@pytest.mark.parametrize("name", REFUSED)
def test_a_row_that_cannot_be_trusted_is_named(name: str, tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    text, complaint = REFUSED[name]
    file.write_text(text)

    assert complaint in refused(file)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (INHERITED.replace("BTC", "BÜC").encode("cp1252"), "line 2: not text in UTF-8; save the file as CSV UTF-8"),
        (INHERITED.encode("utf-16-le"), "line 1: holds a zero byte"),
        (INHERITED.encode() + b"\x00", "line 4: holds a zero byte"),
        (b"\xff\xfea", "not text in UTF-16"),
        (INHERITED.encode("utf-32"), "zero byte"),
        (b"PK\x03\x04" + bytes(range(256)), "not text in UTF-8"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b'{"trades": [{"id": "\\ud800"}]}', "row 1"),
    ],
)
def test_what_is_no_text_is_refused_by_its_line(content: bytes, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "fills"
    file.write_bytes(content)

    assert complaint in refused(file)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("prices.csv", "symbol,price\nBTC,1\nBTC,2\n", "line 3: the price of BTC is given twice"),
        ("prices.csv", "BTC,1\nbtc,2\n", "BTC is given twice"),
        ("prices.json", '{"BTC": "1", "btc": "2"}', "BTC is given twice"),
        ("prices.csv", "BTC;1,5\n", "write decimals with a point"),
        ("prices.csv", "BTC\n", "two columns"),
        ("prices.csv", "BTC,-1\n", "must not be negative"),
    ],
)
def test_prices_are_as_strict(name: str, text: str, complaint: str, tmp_path: Path) -> None:
    file, prices = tmp_path / "fills.csv", tmp_path / name
    file.write_text(INHERITED)
    prices.write_text(text)

    assert complaint in refused(file, "--prices", str(prices))


@pytest.mark.parametrize("text", ["sep=;\nsymbol;price\nBTC;120\n", '\ufeff"symbol","price"\r\n"BTC","120"\r\n', "btc\t120"])
def test_prices_of_a_spreadsheet_are_read(text: str, tmp_path: Path) -> None:
    file, prices = tmp_path / "fills.csv", tmp_path / "prices.csv"
    file.write_text(INHERITED)
    prices.write_text(text)

    assert computed(file, "--prices", str(prices))["mark"]["value"] == "180"


def test_a_file_of_two_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    with file.open("wb") as sparse:
        sparse.write(INHERITED.encode())
        sparse.truncate(2 * 1024**3)

    peak_mib, code, details = measured(file)

    assert (code, details.count("\n")) == (2, 1)
    assert "holds 2,048 MiB, and at most 128 MiB are read; split it by coin" in details
    assert peak_mib < 120


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no endless device here")
def test_an_endless_file_is_read_no_further_than_the_limit() -> None:
    peak_mib, code, details = measured(Path("/dev/zero"))

    assert (code, details.count("\n")) == (2, 1)
    assert peak_mib < 120 + 2 * MOST_BYTES / 1024**2


def test_fifty_megabytes_of_nothing_are_refused_within_twice_their_size(tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    with file.open("wb") as sparse:
        sparse.truncate(50 * 1024**2)

    peak_mib, code, details = measured(file)

    assert (code, details.count("\n")) == (2, 1)
    assert peak_mib < 120 + 2 * 50


def test_memory_stays_below_forty_times_the_file(tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    with file.open("w") as big:
        big.write(f"{HEADER}\n")
        for n in range(30_000):
            time, side = f"2026-01-{1 + n % 28:02d}T{n % 24:02d}:00:00Z", "sell" if n % 3 == 2 else "buy"
            big.write(f"fill-{n:09d},{time},C{n % 50},{side},1.{n % 997:03d},1{n % 77}.5,0.1\n")

    peak_mib, code, _ = measured(file)

    assert code == 0
    assert peak_mib < 75 + 40 * file.stat().st_size / 1024**2


def measured(file: Path) -> tuple[int, int, str]:
    """Run the command in a process of its own and answer its greatest memory, its code and what it complained of."""
    command = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // (1024**2 if sys.platform == 'darwin' else 1024)\n"
        "print(peak, done.returncode, done.stderr, end='')\n"
    )
    omc = Path(sys.executable).parent / "omc"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    details = subprocess.run(
        [sys.executable, "-c", command, omc, "pnl", "compute", "--fills", file, "--json"],
        capture_output=True, text=True, check=True, env=environ,
    ).stdout  # fmt: skip
    peak, code, complaint = details.split(" ", 2)
    return int(peak), int(code), complaint
