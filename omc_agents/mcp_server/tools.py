"""The tools: name, description, arguments, and the parts of each result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omc_agents.mcp_server.arguments import (
    Arguments,
    ChainArguments,
    DocumentArguments,
    EventArguments,
    FlowArguments,
    Interval,
    OrderArguments,
    PositionArguments,
    PriceArguments,
    QualityArguments,
    SentimentArguments,
)
from omc_agents.mcp_server.documents import document_parts
from omc_agents.mcp_server.pages import Part
from omc_agents.mcp_server.reading import Reading
from omc_agents.tools.arguments import SentimentSource, Timeframe
from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.candle import CANDLE
from omc_pipeline.ledgers.catalyst import EVENT
from omc_pipeline.ledgers.exchange import FILL, QUOTE
from omc_pipeline.ledgers.glass import CHAIN_BLOCK, COIN_PRICE, SMART_MONEY_FLOW
from omc_pipeline.ledgers.human import SENTIMENT
from omc_pipeline.ledgers.read import Record

_INTERVALS: Mapping[Timeframe, Interval] = {Timeframe.DAY: "1h", Timeframe.WEEK: "1d", Timeframe.MONTH: "1d"}


@dataclass(frozen=True)
class DataTool:
    """One tool.

    Attributes:
        reads: What its rows are, for the reference page.
        parts: Returns the parts of its result, in the order in which their rows are shown.
    """

    name: str
    description: str
    reads: str
    arguments: type[Arguments]
    parts: Callable[[Reading, Any], Sequence[Part]]


def _prices(reading: Reading, arguments: PriceArguments) -> list[Part]:
    coin, currency, since = arguments.symbol, arguments.currency, reading.box.as_of - arguments.timeframe.span
    interval = arguments.interval or _INTERVALS[arguments.timeframe]

    def quotes() -> list[Record]:
        newest = reading.ledgers.latest_quotes([coin], currency=currency)
        series = [{name: row[name] for name in ("source", "symbol", "currency")} for row in newest]
        oldest = [row for each in series for row in reading.ledgers.rows(QUOTE, since=since, limit=1, newest_first=False, **each)]
        return [*newest, *oldest]

    return [
        reading.latest(QUOTE, f"quotes of {coin} in {currency}", quotes, symbol=coin, currency=currency),
        reading.latest(COIN_PRICE, f"prices of {coin} in USD", lambda: reading.ledgers.latest_prices_usd([coin]), symbol=coin),
        reading.rows(CANDLE, f"{interval} candles of {coin} in {currency}", since, symbol=coin, currency=currency, interval=interval),
    ]


def _sentiment(reading: Reading, arguments: SentimentArguments) -> list[Part]:
    of_source: dict[str, Any] = {} if arguments.source is SentimentSource.ANY else {"source": arguments.source.value}
    return [reading.rows(SENTIMENT, f"sentiment of {arguments.symbol}", symbol=arguments.symbol, **of_source)]


def _events(reading: Reading, arguments: EventArguments) -> list[Part]:
    given: dict[str, Any] = {name: value for name, value in (("symbol", arguments.symbol), ("event_type", arguments.event_type)) if value}
    return [reading.rows(EVENT, f"events{_of(*given.values())}", **given)]


def _orders(reading: Reading, arguments: OrderArguments) -> list[Part]:
    _require_own(reading, arguments.user_id)
    given: dict[str, Any] = {"symbol": arguments.symbol} if arguments.symbol else {}
    return [reading.rows(FILL, f"fills{_of(arguments.symbol)} of your user", user_id=reading.box.user_id, **given)]


def _positions(reading: Reading, arguments: PositionArguments) -> list[Part]:
    _require_own(reading, arguments.user_id)
    coins = [arguments.symbol] if arguments.symbol else []
    why = (
        f"of positions{_of(arguments.symbol)} of your user, because none is known as of {reading.box.as_of.isoformat()};"
        " `omc pnl positions` computes them, and the earlier figures of one that was computed again later are not kept"
    )
    return [reading.found(lambda: reading.box.get_pnl_summary(coins), why)]


def _scores(reading: Reading, arguments: QualityArguments) -> list[Part]:
    why = f"of scores{_of(arguments.ledger)}, because no check had run as of {reading.box.as_of.isoformat()}; `omc quality` runs them"
    return [
        reading.found(
            lambda: [row for row in reading.box.get_ledger_quality() if arguments.ledger in (None, row.row["ledger"])],
            why,
        )
    ]


def _chains(reading: Reading, arguments: ChainArguments) -> list[Part]:
    found = reading.box.get_onchain_metrics([arguments.symbol] if arguments.symbol else [])
    blocks = [row for row in found if row.table == CHAIN_BLOCK.qualified]
    locked = [row for row in found if row.table != CHAIN_BLOCK.qualified]
    known = f"as of {reading.box.as_of.isoformat()}"
    parts = [
        reading.found(
            lambda: blocks, f"of chain heads, because glass.chain_block holds nothing {known}: its sources were not collected or configured"
        )
    ]
    if arguments.symbol:
        why = f"of value locked in protocols of {arguments.symbol}, because glass.protocol_tvl holds none of that coin {known}"
        parts.append(reading.found(lambda: locked, why))
    return parts


def _flows(reading: Reading, arguments: FlowArguments) -> list[Part]:
    coin = arguments.symbol
    return [
        reading.latest(
            SMART_MONEY_FLOW,
            f"smart-money flows of {coin}",
            lambda: reading.ledgers.latest(SMART_MONEY_FLOW, symbol=coin),
            symbol=coin,
        )
    ]


def _require_own(reading: Reading, user_id: str | None) -> None:
    if user_id is not None and user_id != reading.box.user_id:
        raise BadInputError("user_id: this server reads for its own user only; leave the argument out")


def _of(*words: str | None) -> str:
    said = " ".join(word for word in words if word)
    return f" of {said}" if said else ""


TOOLS: Mapping[str, DataTool] = {
    tool.name: tool
    for tool in (
        DataTool(
            "get_price_data",
            "Prices of a coin: the newest quote, the oldest of the timeframe, the newest price in USD, then candles, newest first.",
            "exchange.quote, glass.coin_price, glass.candle",
            PriceArguments,
            _prices,
        ),
        DataTool(
            "get_sentiment_data",
            "Sentiment of a coin or of the whole market, newest first: fear and greed from 0 to 100, scores of titles from -1 to 1.",
            "human.sentiment",
            SentimentArguments,
            _sentiment,
        ),
        DataTool(
            "get_catalyst_events",
            "Events that may move a price, newest first: filings, exchange listings and announcements, governance proposals.",
            "catalyst.event",
            EventArguments,
            _events,
        ),
        DataTool(
            "get_documents",
            "What the documents of a filing say: the documents, then facts with the passage that bears each, or the passages.",
            "catalyst.document",
            DocumentArguments,
            document_parts,
        ),
        DataTool(
            "get_order_history",
            "Fills of the server's own user, newest first: what was bought and sold, at which price and fee.",
            "exchange.fill",
            OrderArguments,
            _orders,
        ),
        DataTool(
            "get_pnl_summary",
            "Positions of the server's own user with realized and unrealized gains, those with the most money in them first.",
            "pnl.position, pnl.valuation",
            PositionArguments,
            _positions,
        ),
        DataTool(
            "get_quality_scores",
            "How far the ledgers can be trusted: scores from 0 to 1 for completeness, timeliness, accuracy and overall.",
            "quality.score",
            QualityArguments,
            _scores,
        ),
        DataTool(
            "get_onchain_metrics",
            "The newest block of each chain with its fees, and the value locked in the largest protocol of a coin.",
            "glass.chain_block, glass.protocol_tvl",
            ChainArguments,
            _chains,
        ),
        DataTool(
            "get_smart_money_flow",
            "What wallets marked as smart money moved of a coin, the newest on each chain.",
            "glass.smart_money_flow",
            FlowArguments,
            _flows,
        ),
    )
}
"""By name; clients see them in this order."""
