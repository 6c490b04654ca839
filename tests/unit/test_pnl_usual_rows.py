"""The short way to read a row gives the very trade that the long way gives, and leaves what it does not know to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.document import Table, read_document
from omc_pipeline.pnl.policy import FeePolicy
from omc_pipeline.pnl.reading import Reading, read_trades
from omc_pipeline.pnl.usual_rows import usual_row

HEADER = "id,time,symbol,side,qty,price,fee"
_numbers = st.one_of(
    st.integers(0, 10**12).map(str),
    st.decimals(0, 10**8, places=8, allow_nan=False).map(lambda number: f"{number:f}"),
    st.decimals(0, 10, places=18, allow_nan=False).map(lambda number: f"{number:f}"),
    st.sampled_from(["", "0", "-1", "1e3", "1,5", " 2 ", "0.1234567890123456789", "99999999999999999999", "nan", "٣"]),
)
_rows = st.lists(
    st.tuples(
        st.integers(0, 10**6).map(lambda second: f"{datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}"),
        st.sampled_from(["BTC", "eth", "Pepe", "1INCH", "B C"]),
        st.sampled_from(["buy", "sell", "BUY", "Sell", "swap"]),
        _numbers,
        _numbers,
        _numbers,
    ),
    min_size=1,
    max_size=6,
)


def long_way(text: str, policy: FeePolicy) -> Reading | str:
    document = read_document(text)
    assert isinstance(document.rows, Table)
    slow = type(document)(list(document.rows), document.header, document.is_case, document.columns)
    return outcome(slow, policy)


def outcome(document: object, policy: FeePolicy) -> Reading | str:
    try:
        return read_trades(document, policy, "USD")  # type: ignore[arg-type]  # a document, however its rows are kept
    except BadInputError as error:
        return str(error)


@pytest.mark.parametrize("policy", ["capitalise", "expense"])
@given(rows=_rows)
def test_both_ways_give_the_same_trades_or_the_same_refusal(policy: FeePolicy, rows: list[tuple[str, ...]]) -> None:
    text = "\n".join([HEADER, *(",".join([f"t{number}", *(f'"{cell}"' for cell in row)]) for number, row in enumerate(rows))])

    assert outcome(read_document(text), policy) == long_way(text, policy)


_fine = st.integers(1, 10**21).map(lambda units: f"{units // 10**18}.{units % 10**18:018d}")


@pytest.mark.parametrize("policy", ["capitalise", "expense"])
@given(rows=st.lists(st.tuples(st.sampled_from(["buy", "sell"]), _fine, _fine, _fine), min_size=1, max_size=4))
def test_numbers_with_eighteen_decimals_are_rounded_alike(policy: FeePolicy, rows: list[tuple[str, str, str, str]]) -> None:
    lines = [f"t{at},2024-01-0{at + 1}T00:00:00Z,BTC,{','.join(row)}" for at, row in enumerate(rows)]
    text = "\n".join([HEADER, *lines])

    found = outcome(read_document(text), policy)

    assert isinstance(found, Reading)
    assert found == long_way(text, policy)


def test_a_usual_row_goes_the_short_way_and_an_odd_one_does_not() -> None:
    read = usual_row(HEADER.split(","), "USD", "capitalise")

    assert read is not None
    assert read(["a", "2024-01-01T00:00:00Z", "BTC", "buy", "1.5", "100", "0.1"]) is not None
    for at, odd in ((1, "2024-01-01 00:00:00"), (3, "swap"), (4, "-1"), (4, "0"), (5, "1e3"), (6, "x"), (0, "")):
        cells = ["a", "2024-01-01T00:00:00Z", "BTC", "buy", "1.5", "100", "0.1"]
        cells[at] = odd
        assert read(cells) is None
    assert usual_row([*HEADER.split(","), "cost"], "USD", "capitalise") is None


def test_an_id_given_twice_is_refused_by_both_rows_of_it() -> None:
    rows = ["a,2024-01-01T00:00:00Z,BTC,buy,1,100,0", "a,2024-01-01T00:00:00Z,ETH,buy,1,100,0", "a,2024-01-02T00:00:00Z,BTC,buy,1,100,0"]

    with pytest.raises(BadInputError, match=r"row 3 \(line 4\), field 'id': 'a' was given in row 1 \(line 2\) already"):
        read_trades(read_document("\n".join([HEADER, *rows])), "capitalise", "USD")
