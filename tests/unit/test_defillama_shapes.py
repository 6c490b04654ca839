"""Odd shapes of DefiLlama: negative fees, a slug told twice, another endpoint's body, sums that are no chains."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omc_infra.errors import BadInputError, PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.options import read_options
from omc_pipeline.collection.parsing import ENDPOINT, HISTORY
from omc_pipeline.collection.source import Parsed
from omc_pipeline.ledgers.glass import ProtocolDay, ProtocolRevenue
from omc_pipeline.sources.glass_defillama import SOURCE, DefiLlamaConfig

FIXTURES = Path(__file__).parent.parent / "fixtures/glass_defillama"
AT = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)
ONE = {"name": "Alpha", "slug": "alpha", "total24h": 10, "total7d": 70, "total30d": 300}


def _parsed(body: Any, **context: str) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return SOURCE.parse(Payload(SOURCE.name, raw, AT, "", context=context), SOURCE.config())


def _shape(shared: Path, name: str) -> bytes:
    return (shared / "payload-shapes/glass_defillama" / name).read_bytes()


def test_negative_fees_are_kept_with_the_spans_beside_them(shared: Path) -> None:
    rows = {row.protocol: row for row in _parsed(_shape(shared, "fees_negative.json")).rows}

    assert (rows["beta"].fees_24h_usd, rows["beta"].fees_7d_usd, rows["beta"].fees_30d_usd) == (
        Decimal("-14431.25"),
        -100,
        Decimal("5000.5"),
    )
    assert (rows["gamma"].fees_24h_usd, len(rows)) == (None, 4)


def test_the_second_row_of_a_slug_is_refused_with_its_reason_and_the_first_is_kept(shared: Path) -> None:
    parsed = _parsed(_shape(shared, "fees_dup_slug.json"))

    assert [(row.protocol, row.fees_24h_usd) for row in parsed.rows] == [("alpha", Decimal("10.5"))]
    (refused,) = parsed.rejected
    assert refused.reason.startswith("the body tells of protocol alpha, observed_at 2026-09-21 14:00:00")
    assert refused.row["fees_24h_usd"] == "99"


def test_a_row_that_is_told_twice_alike_is_one_row() -> None:
    parsed = _parsed({"protocols": [ONE, ONE]})

    assert (len(parsed.rows), parsed.rejected) == (1, [])


def test_a_list_of_chains_is_no_list_of_protocols(shared: Path) -> None:
    with pytest.raises(PayloadChangedError, match="no item has 'tvl' and 'slug'"):
        _parsed(_shape(shared, "chains_v2.json"))


@pytest.mark.parametrize(
    ("file", "endpoint"),
    [
        ("fees.json", "prices"),
        ("prices.json", "fees"),
        ("protocols.one.json", "fees"),
        ("protocols.json", "chains"),
        ("chains.json", "protocols"),
    ],
)
def test_an_answer_of_another_endpoint_s_shape_is_refused(file: str, endpoint: str) -> None:
    with pytest.raises(PayloadChangedError, match=r"has the shape of|no item has"):
        _parsed((FIXTURES / file).read_bytes(), **{ENDPOINT: endpoint})


def test_chains_are_those_that_are_followed_and_no_sums_of_the_source() -> None:
    parsed = _parsed((FIXTURES / "chains.json").read_bytes(), **{ENDPOINT: "chains"})

    ethereum, base = parsed.rows
    assert (ethereum.chain, ethereum.symbol, ethereum.tvl_usd) == ("Ethereum", "ETH", Decimal("50000000.5"))
    assert (base.chain, base.symbol, base.observed_at) == ("Base", None, datetime(2026, 9, 21, 14, tzinfo=UTC))
    assert [rejected.reason for rejected in parsed.rejected] == ["tvl -1 is below 0"]
    with pytest.raises(BadInputError, match="no sum such as"):
        read_options(DefiLlamaConfig, {"chains": ["Ethereum-staking"]}, "sources.glass_defillama")


def test_the_history_of_a_chain_is_that_of_the_chain_that_was_asked_for() -> None:
    points = [{"date": 1789948800, "tvl": 5.5}, {"date": "soon", "tvl": 6}]

    parsed = _parsed(points, chain="Solana", **{ENDPOINT: HISTORY})

    assert [(row.chain, row.tvl_usd) for row in parsed.rows] == [("Solana", Decimal("5.5"))]
    assert len(parsed.rejected) == 1


def test_revenue_has_the_shape_of_fees_and_is_known_by_its_endpoint() -> None:
    (row,) = _parsed({"protocols": [{**ONE, "parentProtocol": "parent#omega"}]}, **{ENDPOINT: "revenue"}).rows

    assert isinstance(row, ProtocolRevenue)
    assert (row.protocol, row.revenue_24h_usd, row.revenue_30d_usd, row.parent) == ("alpha", 10, 300, "omega")


def test_a_day_is_a_row_once_it_is_over_and_a_correction_may_be_negative() -> None:
    begin = int(AT.replace(hour=0, minute=0, second=0).timestamp())
    chart = [[begin - 172_800, "12.5"], [begin - 86_400, -3], [begin, 4], [begin - 86_399, 1], "odd", [1, 2, 3]]
    body = {"name": "Alpha", "slug": "alpha", "totalDataChart": chart}

    found = _parsed(body, slug="alpha", metric="revenue", **{ENDPOINT: "days"})

    days = [(row.observed_at, row.metric, row.amount_usd) for row in found.rows if isinstance(row, ProtocolDay)]
    assert days == [
        (AT.replace(hour=0, minute=0, second=0) - timedelta(days=n), "revenue", amount) for n, amount in ((2, Decimal("12.5")), (1, -3))
    ]
    assert [each.reason for each in found.rejected] == [
        "date 2026-09-20T00:00:01+00:00 is not the begin of a day",
        "row is 'odd', not an object",
        "row is a list, not an object",
    ]


def test_a_summary_of_days_is_no_answer_to_another_endpoint() -> None:
    with pytest.raises(PayloadChangedError, match="shape of 'days'"):
        _parsed({"name": "Alpha", "slug": "alpha", "totalDataChart": []}, **{ENDPOINT: "fees"})
