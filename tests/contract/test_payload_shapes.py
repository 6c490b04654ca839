"""The odd shapes of answers that collectors met: of each file what is right, and no file without an answer here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from omc_infra.errors import OmcError, PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.discovery import source_named
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.source import Parsed
from omc_pipeline.ledgers.table import Row

AT = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)


def _by(parsed: Parsed, field: str) -> Mapping[Any, Row]:
    return {getattr(row, field): row for row in parsed.rows}


def _no_future(parsed: Parsed) -> None:
    assert all(getattr(row, row.table.clock) <= AT for row in parsed.rows)
    assert any("in the future" in refused.reason for refused in parsed.rejected)


def _readable_titles(parsed: Parsed) -> None:
    assert len(parsed.rows) > 1
    assert not [row.title for row in parsed.rows if "(S-4)" in row.title or "2021-05-17" in row.title or "(," in row.title]  # type: ignore[attr-defined]


def _usable_prices(parsed: Parsed) -> None:
    found = _by(parsed, "symbol")
    assert found["BTC"].bid is not None  # type: ignore[attr-defined]
    assert all(any(price is not None for price in (row.bid, row.ask, row.last)) for row in found.values())  # type: ignore[attr-defined]
    assert any(None in (row.bid, row.ask, row.last) for row in found.values())  # type: ignore[attr-defined]
    assert [refused.reason.startswith("no usable price") for refused in parsed.rejected] == [True]


def _nothing_is_lost(parsed: Parsed) -> None:
    assert (len(parsed.rows), len(parsed.rejected)) == (27, 0)


def _a_holding_of_five(parsed: Parsed) -> None:
    held = _by(parsed, "symbol")
    (zed,) = [row for name, row in held.items() if name.endswith("ZED")]
    assert (zed.qty, zed.value_aud) == (5, None)  # type: ignore[attr-defined]
    assert {refused.reason for refused in parsed.rejected} >= {"balance is missing", "2 coins in one entry"}


def _fee_unknown(parsed: Parsed) -> None:
    assert ([row.fee for row in parsed.rows], parsed.rejected) == ([None, 0], [])  # type: ignore[attr-defined]


def _one_fill_of_two_spellings(parsed: Parsed) -> None:
    assert len({row.fill_id for row in parsed.rows}) == len(parsed.rows) > 0  # type: ignore[attr-defined]


def _negative_fees(parsed: Parsed) -> None:
    beta = _by(parsed, "protocol")["beta"]
    assert beta.fees_24h_usd < 0  # type: ignore[attr-defined]
    assert None not in (beta.fees_7d_usd, beta.fees_30d_usd)  # type: ignore[attr-defined]


def _second_refused(parsed: Parsed) -> None:
    assert len(_by(parsed, "protocol")) == len(parsed.rows)
    assert ["twice" in refused.reason for refused in parsed.rejected] == [True]


def _scores_in_range(parsed: Parsed) -> None:
    assert (len(parsed.rows), len(parsed.rejected)) == (4, 7)
    assert all(0 <= row.score <= 100 for row in parsed.rows)  # type: ignore[attr-defined]


def _all_forty(parsed: Parsed) -> None:
    assert (len(parsed.rows), len(parsed.rejected)) == (40, 0)


Right = Callable[[Parsed], None] | str
SHAPES: dict[str, Right] = {
    "catalyst_sec_edgar/future.json": _no_future,
    "catalyst_sec_edgar/effect_items.json": _readable_titles,
    "catalyst_sec_edgar/old_8k_items.json": _readable_titles,
    "exchange_coinspot_prices/nan_last.json": _usable_prices,
    "exchange_coinspot_prices/zero_crossed.json": _usable_prices,
    "exchange_coinspot_prices/tickers_2026.json": _nothing_is_lost,
    "exchange_coinspot_account/bal_null_aud.json": _a_holding_of_five,
    "exchange_coinspot_account/zero_fee_null.json": _fee_unknown,
    "exchange_coinspot_account/strings.json": _one_fill_of_two_spellings,
    "exchange_coinspot_account/market_lower_noslash.json": _one_fill_of_two_spellings,
    "glass_defillama/fees_negative.json": _negative_fees,
    "glass_defillama/fees_dup_slug.json": _second_refused,
    "glass_defillama/chains_v2.json": "as those of /protocols do",
    "glass_defillama/protocol_future_points.json": _no_future,
    "human_fear_greed/times.json": _no_future,
    "human_fear_greed/odd_values.json": _scores_in_range,
    "nasty/exchange_coinspot_prices__dupkeys.json": "twice",
    "nasty/human_fear_greed__dupkeys.json": "twice",
    "sec_zone/CIK0001677077_20260310_first40.json": _all_forty,
    "sec_zone/CIK0001677077_20260620_first40.json": _all_forty,
}
"""By file: what holds of its rows, or what the error says for which its body is refused."""


def _read(shared: Path, file: str) -> Parsed | OmcError:
    folder, _, name = file.partition("/")
    source = {"nasty": name.partition("__")[0], "sec_zone": "catalyst_sec_edgar"}.get(folder, folder)
    try:
        return parse_payload(source_named(source), Payload(source, (shared / "payload-shapes" / file).read_bytes(), AT, ""))
    except OmcError as error:
        return error


@pytest.mark.parametrize("file", SHAPES)
def test_an_odd_shape_gets_the_right_answer(shared: Path, file: str) -> None:
    found, right = _read(shared, file), SHAPES[file]

    if isinstance(right, str):
        assert isinstance(found, PayloadChangedError)
        assert right in str(found)
    else:
        assert isinstance(found, Parsed)
        right(found)


def test_every_file_of_odd_shapes_has_its_answer_here(shared: Path) -> None:
    folder = shared / "payload-shapes"

    assert {str(file.relative_to(folder)) for file in folder.rglob("*.json")} == SHAPES.keys()


def test_one_order_has_one_id_however_its_numbers_market_or_time_are_written(shared: Path) -> None:
    strings, spelled = (_read(shared, f"exchange_coinspot_account/{name}.json") for name in ("strings", "market_lower_noslash"))
    assert isinstance(strings, Parsed)
    assert isinstance(spelled, Parsed)

    # The two orders differ in their fees, which have no part in an id; those of one answer are as many fills.
    assert strings.rows[0].fill_id in {row.fill_id for row in spelled.rows}  # type: ignore[attr-defined]


def test_a_filing_has_one_time_whichever_zone_its_file_was_written_in(shared: Path) -> None:
    first, second = (_read(shared, f"sec_zone/CIK0001677077_{day}_first40.json") for day in ("20260310", "20260620"))
    assert isinstance(first, Parsed)
    assert isinstance(second, Parsed)

    times = _by(first, "event_id")
    both = [(times[name], row) for name, row in _by(second, "event_id").items() if name in times]
    assert len(both) > 20
    assert all(one.published_at == other.published_at for one, other in both)  # type: ignore[attr-defined]
