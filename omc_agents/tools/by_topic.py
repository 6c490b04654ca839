"""Which tool reads what on a topic of a question, for how many coins, and how far back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from omc_agents.claims.evidence import Evidence
from omc_agents.tools.arguments import SentimentSource, Timeframe
from omc_agents.tools.toolbox import Toolbox
from omc_pipeline.ledgers.glass import PROTOCOL_TVL

NO_COIN: Sequence[str | None] = (None,)
Reader = Callable[[Toolbox, Sequence[str], Timeframe], list[Evidence]]


def rows_on(box: Toolbox, topic: str, coins: Sequence[str], timeframe: Timeframe) -> list[Evidence]:
    """Return the rows on a topic; none where the ledgers hold none.

    Args:
        box: Bound to the session's user and knowledge time.
        topic: One of ``TOOL_OF``.
        coins: Symbols; none means the market, or all that the user holds.
        timeframe: How far back.
    """
    return _READERS[topic](box, coins, timeframe)


def _price(box: Toolbox, coins: Sequence[str], timeframe: Timeframe) -> list[Evidence]:
    found = [
        row
        for coin in coins
        for row in (*box.get_price_data(coin, timeframe), *box.get_market_candles(coin, timeframe), *box.get_indicators(coin))
    ]
    return [row for row in found if row.table != PROTOCOL_TVL.qualified]


def _sentiment(box: Toolbox, coins: Sequence[str], _timeframe: Timeframe) -> list[Evidence]:
    of_coins = [row for coin in coins for row in box.get_sentiment_data(coin, SentimentSource.ANY)]
    return [*of_coins, *box.get_sentiment_data(None, SentimentSource.FEAR_GREED)]


def _events(box: Toolbox, coins: Sequence[str], timeframe: Timeframe) -> list[Evidence]:
    found = [row for coin in coins or NO_COIN for row in box.get_catalyst_events(coin, None)]
    since = box.as_of - timeframe.span
    return [row for row in found if datetime.fromisoformat(row.row["published_at"]) >= since]


def _orders(box: Toolbox, coins: Sequence[str], _timeframe: Timeframe) -> list[Evidence]:
    return [row for coin in coins or NO_COIN for row in box.get_order_history(coin)]


def _profit(box: Toolbox, coins: Sequence[str], _timeframe: Timeframe) -> list[Evidence]:
    return box.get_pnl_summary(coins)


def _chain(box: Toolbox, coins: Sequence[str], _timeframe: Timeframe) -> list[Evidence]:
    return box.get_onchain_metrics(coins)


def _flows(box: Toolbox, coins: Sequence[str], _timeframe: Timeframe) -> list[Evidence]:
    return [row for coin in coins for row in box.get_smart_money_flow(coin)]


def _quality(box: Toolbox, _coins: Sequence[str], _timeframe: Timeframe) -> list[Evidence]:
    return box.get_ledger_quality()


_READERS: Mapping[str, Reader] = {
    "price": _price, "sentiment": _sentiment, "events": _events, "orders": _orders, "profit": _profit, "chain": _chain, "flows": _flows,
    "quality": _quality,
}  # fmt: skip
TOOL_OF: Mapping[str, str] = {
    "price": "get_price_data", "sentiment": "get_sentiment_data", "events": "get_catalyst_events", "orders": "get_order_history",
    "profit": "get_pnl_summary", "chain": "get_onchain_metrics", "flows": "get_smart_money_flow", "quality": "get_ledger_quality",
}  # fmt: skip
"""Names of the tools, as their evidence bears them."""
