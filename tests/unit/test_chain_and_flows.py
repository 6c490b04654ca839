"""What the parsers of chain heads and of smart-money flow make of bodies in their upstreams' shapes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from omc_infra.errors import (
    OmcError,
    PayloadChangedError,
    QuotaExhaustedError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.payload import Payload
from omc_pipeline.collection.source import Parsed, Source
from omc_pipeline.ledgers.glass import ApiCredit, ChainBlock, SmartMoneyFlow
from omc_pipeline.sources import glass_chain, glass_nansen

FIXTURES = Path(__file__).parent.parent / "fixtures"
AT = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)


def _parsed(source: Source, body: Any, **context: str) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return source.parse(Payload(source.name, raw, AT, "", context=context), source.config())


def test_a_recorded_block_is_read_to_the_digit(shared: Path) -> None:
    (block,) = _parsed(glass_chain.SOURCE, (shared / "payloads/chain_rpc/eth_getBlockByNumber.json").read_bytes(), chain="base").rows

    assert (block.chain, block.number, block.transactions) == ("base", 25092267, 242)
    assert block.observed_at == datetime(2026, 5, 14, 8, 46, 35, tzinfo=UTC)
    assert (block.base_fee_gwei, block.gas_used, block.gas_limit) == (Decimal("0.176755607"), 26617413, 60000000)


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ({"jsonrpc": "2.0", "id": 1, "result": None}, UpstreamUnavailableError, "result is null"),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32029, "message": "Too many"}}, RateLimitedError, "-32029: Too many"),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32012, "message": "credits"}}, RateLimitedError, "-32012"),
        (
            {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "header not found"}},
            UpstreamUnavailableError,
            "header not found",
        ),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "bad params"}}, UpstreamRefusedError, "bad params"),
        ({"jsonrpc": "2.0", "id": 2, "result": "0x17ee0b4"}, PayloadChangedError, "not a block"),
        ([{"jsonrpc": "2.0", "id": 1, "result": {}}], PayloadChangedError, "a list"),
    ],
)
def test_an_answer_of_a_node_that_is_no_block_has_its_name(body: Any, error: type[OmcError], said: str) -> None:
    with pytest.raises(error, match=said):
        _parsed(glass_chain.SOURCE, body)


@pytest.mark.parametrize("number", [1, 3, 4])
def test_recorded_errors_within_status_200_are_failures(shared: Path, number: int) -> None:
    body = (shared / f"payloads/chain_rpc/error_http200_jsonrpc_{number}.json").read_bytes()

    with pytest.raises((UpstreamRefusedError, UpstreamUnavailableError), match="the node reports error"):
        _parsed(glass_chain.SOURCE, body)
    assert glass_chain.error_of(200, body) is not None


def test_a_token_is_named_by_its_address_and_a_mark_of_the_source_is_no_part_of_its_symbol() -> None:
    parsed = _parsed(glass_nansen.SOURCE, (FIXTURES / "glass_nansen/netflow.json").read_bytes())

    marked, values = (row for row in parsed.rows if isinstance(row, SmartMoneyFlow))
    assert (marked.chain, marked.token_address) == ("ethereum", "0xabcdef0000000000000000000000000000000001")
    assert (marked.symbol, marked.marks, values.symbol, values.marks) == ("HRB/X", "\U0001f331", "MILL", None)
    assert values.token_address == "MiLL1111111111111111111111111111111111111111"
    assert (marked.net_flow_1h_usd, marked.net_flow_7d_usd) == (Decimal("0.0000125"), Decimal("-3685700.51"))
    assert marked.observed_at == datetime(2026, 9, 21, 14, 30, tzinfo=UTC)
    assert [rejected.reason for rejected in parsed.rejected] == ["token_address is missing"]


def test_what_an_answer_cost_is_a_row_and_unknown_where_it_does_not_say() -> None:
    body = {"data": [], "pagination": {"is_last_page": True}}
    details = {"header.x-nansen-credits-cost": "5", "header.x-nansen-credits-used": "45", "header.x-nansen-credits-remaining": "n/a"}

    (known,), (unknown,) = _parsed(glass_nansen.SOURCE, body, **details).rows, _parsed(glass_nansen.SOURCE, body).rows

    assert known == ApiCredit("nansen", "smart-money/netflow", AT, Decimal(5), Decimal(45), None)
    assert unknown == ApiCredit("nansen", "smart-money/netflow", AT, None, None, None)


def test_recorded_rows_without_an_address_name_no_token(shared: Path) -> None:
    parsed = _parsed(glass_nansen.SOURCE, (shared / "payloads/nansen/smart_money_netflow_rows_2026-09-27.json").read_bytes())

    assert (list(parsed.rows), len(parsed.rejected)) == ([], 2)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": "Payment Required", "message": "Insufficient credits"}, QuotaExhaustedError),
        ({"error": "Forbidden", "message": "You have no credits left"}, QuotaExhaustedError),
        ({"error": "Unprocessable Entity", "code": "invalid_chain", "param": "chains"}, UpstreamRefusedError),
        ({"page": 1}, PayloadChangedError),
    ],
)
def test_an_answer_without_flows_is_an_error_and_never_no_flow(body: Any, error: type[OmcError]) -> None:
    with pytest.raises(error):
        _parsed(glass_nansen.SOURCE, body)


def test_the_head_of_bitcoin_is_the_highest_of_the_blocks_and_has_no_gas() -> None:
    blocks = [
        {"id": f"{height:064x}", "height": height, "timestamp": 1_789_000_000 + height, "tx_count": 10 + height}
        for height in (900_001, 900_003, 900_002)
    ]

    (row,) = _parsed(glass_chain.SOURCE, blocks, chain="bitcoin").rows

    assert isinstance(row, ChainBlock)
    assert (row.chain, row.number, row.transactions, row.gas_used, row.base_fee_gwei) == ("bitcoin", 900_003, 900_013, None, None)


def test_the_head_of_solana_is_the_block_of_the_newest_slot_and_the_slot_alone_is_no_row() -> None:
    block = {"blockHeight": 371_000_000, "blockTime": 1_789_000_000, "blockhash": "5" * 43, "parentSlot": 392_000_000}

    (row,) = _parsed(glass_chain.SOURCE, {"jsonrpc": "2.0", "id": 1, "result": block}, chain="solana").rows
    slot = _parsed(glass_chain.SOURCE, {"jsonrpc": "2.0", "id": 1, "result": 392_000_001}, chain="solana", asks="slot")

    assert isinstance(row, ChainBlock)
    assert (row.chain, row.number, row.block_hash, row.transactions) == ("solana", 371_000_000, "5" * 43, None)
    assert list(slot.rows) == list(slot.rejected) == []


@pytest.mark.parametrize("change", [{"blockhash": "0" * 43}, {"blockHeight": None}, {"blockTime": None}, {"blockHeight": 2**40}])
def test_a_block_of_solana_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    block = {"blockHeight": 371_000_000, "blockTime": 1_789_000_000, "blockhash": "5" * 43, **change}

    found = _parsed(glass_chain.SOURCE, {"jsonrpc": "2.0", "id": 1, "result": block}, chain="solana")

    assert (len(found.rows), len(found.rejected)) == (0, 1)


def test_blocks_of_bitcoin_are_no_answer_of_another_chain() -> None:
    with pytest.raises(PayloadChangedError, match="jsonrpc"):
        _parsed(glass_chain.SOURCE, [{"id": "0" * 64, "height": 1, "timestamp": 1_789_000_000}], chain="base")
