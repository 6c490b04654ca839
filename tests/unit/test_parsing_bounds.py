"""What every source's rows are held to: no future, no second row of a key, bounded refusals, no repeated JSON keys."""

from __future__ import annotations

import json
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.source import Parsed, Source
from omc_pipeline.sources import catalyst_sec_edgar, glass_defillama, human_fear_greed

AT = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)
TODAY = AT.replace(hour=0, minute=0, second=0)
EDGAR, LLAMA, FEAR_GREED = catalyst_sec_edgar.SOURCE, glass_defillama.SOURCE, human_fear_greed.SOURCE


def _parsed(source: Source, body: bytes | dict[str, Any], at: datetime = AT, **options: int) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_payload(source, Payload(source.name, raw, at, ""), source.config(**options))


def _index(*times: datetime) -> dict[str, Any]:
    data = [{"value": "50", "value_classification": "Neutral", "timestamp": str(int(at.timestamp()))} for at in times]
    return {"name": "Fear and Greed Index", "data": data, "metadata": {"error": None}}


@pytest.mark.parametrize(
    ("source", "file"),
    [
        (EDGAR, "catalyst_sec_edgar/future.json"),
        (LLAMA, "glass_defillama/protocol_future_points.json"),
        (FEAR_GREED, "human_fear_greed/times.json"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_row_of_the_future_is_refused_with_that_reason(shared: Path, source: Source, file: str) -> None:
    parsed = _parsed(source, (shared / "payload-shapes" / file).read_bytes())

    assert any("2099" in refused.reason and "in the future" in refused.reason for refused in parsed.rejected)
    assert all(getattr(row, row.table.clock) <= AT for row in parsed.rows)


def test_a_clock_may_go_wrong_by_some_minutes_and_how_many_is_an_option() -> None:
    soon, before = _index(TODAY), TODAY - timedelta(minutes=6)

    assert len(_parsed(FEAR_GREED, soon, before).rows) == 1
    assert len(_parsed(FEAR_GREED, soon, before, future_min=5).rejected) == 1


def test_the_second_row_of_a_key_is_refused_and_says_whether_it_differs(shared: Path) -> None:
    parsed = _parsed(LLAMA, (shared / "payload-shapes" / "glass_defillama" / "fees_dup_slug.json").read_bytes())
    same = _parsed(FEAR_GREED, _index(TODAY, TODAY))

    assert len(parsed.rejected) == 1
    assert "twice" in parsed.rejected[0].reason
    assert (len(same.rows), [refused.reason for refused in same.rejected]) == (1, ["human.sentiment row of one key is told twice"])


def test_refused_rows_beyond_a_bound_are_counted_and_not_kept() -> None:
    parsed = _parsed(FEAR_GREED, {**_index(), "data": [*_index(TODAY)["data"], *[0] * 50]}, quarantine_rows=10)

    assert len(parsed.rejected) == 11
    assert (parsed.rejected[-1].count, parsed.rejected[-1].row) == (40, {"rows": 40})


@pytest.mark.slow
def test_a_body_of_a_million_bad_elements_costs_little() -> None:
    body = b'{"name":"Fear","metadata":{"error":null},"data":[' + b"{}," * 999_999 + b"{}]}"
    began = time.process_time()
    tracemalloc.start()

    parsed = _parsed(FEAR_GREED, body)

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(refused.count for refused in parsed.rejected) == 1_000_000
    assert len(parsed.rejected) == 1_001
    assert most < 200e6
    assert time.process_time() - began < 60


def test_a_body_of_absurdly_many_values_is_refused_unread() -> None:
    with pytest.raises(PayloadChangedError, match="more than 3,000,000 values"):
        _parsed(FEAR_GREED, b"[" + b"0," * 3_000_000 + b"0]")


@pytest.mark.parametrize(("source", "key"), [("exchange_coinspot_prices", "btc"), ("human_fear_greed", "value")])
def test_an_object_that_holds_a_key_twice_is_refused(shared: Path, source: str, key: str) -> None:
    from omc_pipeline.collection.discovery import source_named

    body = (shared / "payload-shapes" / "nasty" / f"{source}__dupkeys.json").read_bytes()

    with pytest.raises(PayloadChangedError, match=f"holds the key '{key}' twice"):
        _parsed(source_named(source), body)
