"""The page of the agent data interface: the tools of ``omc mcp``, their parameters, their limits, and an example of each ledger.

The examples are made of rows by the code that makes results, without a database; a test asks a server for the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from generator.page import code, prose, table
from generator.settings import options
from omc_agents.mcp_server.arguments import DEFAULT_ROWS, MOST_ROWS, Arguments, schema_of
from omc_agents.mcp_server.options import McpSection
from omc_agents.mcp_server.pages import MOST_OFFSET
from omc_agents.mcp_server.results import OUTPUT_SCHEMA
from omc_agents.mcp_server.rows import seen, shown
from omc_agents.mcp_server.tools import TOOLS, DataTool
from omc_agents.tools.toolbox import evidence_of
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.glass import ProtocolTvl
from omc_pipeline.ledgers.human import Sentiment
from omc_pipeline.ledgers.table import LEDGERS, Row

PARAMETER_HEAD = ("parameter", "type", "default", "meaning")
FIELD_HEAD = ("field", "type", "meaning")
TRUE_AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
_RECORDED_AT, _AS_OF = TRUE_AT + timedelta(seconds=40), TRUE_AT + timedelta(minutes=10)
_SCORE = 0.98


@dataclass(frozen=True)
class Example:
    """A call, and the row of a ledger that it returns."""

    tool: str
    arguments: Mapping[str, Any]
    source: str
    row: Row


EXAMPLES: Sequence[Example] = (
    Example(
        "get_onchain_metrics",
        {"symbol": "CRV"},
        "glass_defillama",
        ProtocolTvl("curve-dex", TRUE_AT, "CRV", "Curve DEX", "Dexs", Decimal("2104335000.5"), None),
    ),
    Example(
        "get_sentiment_data",
        {"symbol": "CRV", "source": "human_sentiment"},
        "human_sentiment",
        Sentiment("CRV", "title_sentiment", TRUE_AT, Decimal("0.31"), "positive"),
    ),
    Example(
        "get_catalyst_events",
        {"symbol": "CRV", "event_type": "listing"},
        "catalyst_coinspot_listings",
        CatalystEvent(
            "CRV", "listing", "CRV", None, "CoinSpot", "CRV listed on CoinSpot", None, None, "https://a.example/crv", None, TRUE_AT
        ),
    ),
    Example(
        "get_price_data",
        {"symbol": "CRV", "timeframe": "24h"},
        "exchange_coinspot_prices",
        Quote("CRV", "AUD", TRUE_AT, Decimal("0.61"), Decimal("0.63"), Decimal("0.62")),
    ),
    Example(
        "get_order_history",
        {"symbol": "CRV"},
        "exchange_coinspot_account",
        Fill(
            "coinspot-31",
            "ada",
            "coinspot",
            "CRV",
            "AUD",
            "buy",
            Decimal(100),
            Decimal("0.62"),
            Decimal(62),
            Decimal("0.62"),
            "AUD",
            TRUE_AT,
        ),
    ),
)


def row_of(example: Example) -> dict[str, Any]:
    """Return the row of an example as a result has it."""
    own = {field.name: getattr(example.row, field.name) for field in fields(example.row)}
    record = {**own, "source": example.source, "version": 1, "recorded_at": _RECORDED_AT, "payload_sha256": None, "row_sha256": "0" * 64}
    return shown(seen(evidence_of(example.row.table, record, example.tool)), _AS_OF, dict.fromkeys(LEDGERS, _SCORE))


def block() -> str:
    """Return the limits, what every result has, then a section for each tool."""
    return "\n\n".join([*_common(), *(_section(tool) for tool in TOOLS.values())])


def _common() -> Iterator[str]:
    yield "## What every call takes"
    yield table(PARAMETER_HEAD, _parameters(Arguments, ()))
    yield "## What every result has"
    yield table(FIELD_HEAD, [(code(name), _type(field), field.get("description", "")) for name, field in _result_fields()])
    yield "## Limits"
    yield (
        f"A result has {DEFAULT_ROWS} rows, or up to {MOST_ROWS} where `limit` asks for them. Page by page, up to {MOST_OFFSET:,} rows can"
        " be reached. A page has fewer rows where they would be too long together. Section `[mcp]` of `omc.toml` sets that length, and"
        " how many calls are answered in a minute:"
    )
    yield options(McpSection)


def _result_fields() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in OUTPUT_SCHEMA["properties"].items():
        yield name, field
        for inner, of_row in field.get("items", {}).get("properties", {}).items():
            yield f"{name}[].{inner}", of_row


def _section(tool: DataTool) -> str:
    parts = [f"## {tool.name}", prose(tool.description), f"Reads `{tool.reads.replace(', ', '`, `')}`."]
    parts.append(table(PARAMETER_HEAD, _parameters(tool.arguments, tuple(Arguments.model_fields))))
    for example in EXAMPLES:
        if example.tool == tool.name:
            called = ", ".join(f"{name}={json.dumps(value)}" for name, value in example.arguments.items())
            parts.append(f"A row of `{tool.name}({called})`:")
            parts.append(f"```json\n{json.dumps(row_of(example), indent=2)}\n```")
    return "\n\n".join(parts)


def _parameters(model: type[Arguments], left_out: Sequence[str]) -> list[tuple[str, str, str, str]]:
    schema = schema_of(model)
    required = schema.get("required", ())
    return [
        (
            code(name),
            _type(field, schema),
            "required" if name in required else code(field.get("default") or ""),
            field.get("description", ""),
        )
        for name, field in schema["properties"].items()
        if name not in left_out
    ]


def _type(field: Mapping[str, Any], schema: Mapping[str, Any] | None = None) -> str:
    if "$ref" in field:
        return _type((schema or {})["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "enum" in field:
        return ", ".join(code(value) for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type(each, schema) for each in field["anyOf"] if each.get("type") != "null")
    kinds = field.get("type", "")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
