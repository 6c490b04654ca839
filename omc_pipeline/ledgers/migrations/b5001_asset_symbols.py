"""The ledgers store the unique symbols of the registry of assets; what venues called otherwise is renamed, and so is what nobody knows.

Until here a source stored the ticker of its venue. What that ticker meant depends on the venue and the time of the row, and the registry
says it. All of it is one transaction: a process that is killed leaves the database as it was. Prints the number of rows by table.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from alembic import op

from omc_pipeline.assets.reading import shipped
from omc_pipeline.ledgers.renamed_tables import planned, rename_all
from omc_pipeline.ledgers.renaming import Named

revision = "b5001"
down_revision = "b8001"
branch_labels = None
depends_on = None

REWRITES_ROWS = True

VENUES = {
    "exchange_coinspot_prices": "coinspot",
    "exchange_coinspot_account": "coinspot",
    "catalyst_coinspot_announcements": "coinspot",
    "catalyst_coinspot_listings": "coinspot",
    "glass_defillama": "defillama",
    "glass_market_candles": "kraken",
    "human_cryptopanic": "cryptopanic",
}
"""The sources whose rows hold tickers of a venue; those of others are chosen by the user or made of rows of these."""
_QUOTE = ("symbol", "currency", "observed_at")
TABLES = (
    Named("exchange.quote", ("symbol", "currency"), (), "observed_at", ("source", *_QUOTE), (*_QUOTE, "bid", "ask", "last", "is_crossed")),
    Named(
        "exchange.fill", ("symbol", "currency", "fee_currency"), (), "executed_at", ("account_id", "fill_id"),
        ("fill_id", "user_id", "account_id", "symbol", "currency", "side", "qty", "price", "quote_amount", "fee", "fee_currency",
         "executed_at", "kind", "trade_id", "order_id", "algorithm_id"),
    ),
    Named(
        "exchange.balance", ("symbol",), (), "observed_at", ("source", "user_id", "account_id", "symbol", "observed_at"),
        ("user_id", "account_id", "symbol", "observed_at", "qty", "value_aud"),
    ),
    Named(
        "glass.protocol_tvl", ("symbol",), (), "observed_at", ("source", "protocol", "observed_at"),
        ("protocol", "observed_at", "symbol", "name", "category", "tvl_usd", "mcap_usd"),
    ),
    Named(
        "glass.market_candle", ("symbol", "currency"), (), "opened_at",
        ("source", "venue", "symbol", "currency", "interval", "opened_at"),
        ("venue", "symbol", "currency", "interval", "opened_at", "open", "high", "low", "close", "vwap", "volume", "trades", "is_final"),
    ),
    Named(
        "glass.chain_tvl", ("symbol",), (), "observed_at", ("source", "chain", "observed_at"),
        ("chain", "observed_at", "symbol", "tvl_usd"),
    ),
    Named(
        "catalyst.event", ("symbol",), (), "published_at", ("source", "event_id"),
        ("event_id", "event_type", "symbol", "ticker", "issuer", "title", "form", "items", "url", "filed_on",
         "published_at", "published_zone", "impact"),
    ),
    Named(
        "human.post", (), ("symbols",), "published_at", ("source", "post_id"),
        ("post_id", "channel", "published_at", "title", "link", "text", "symbols", "removed"),
    ),
)  # fmt: skip


def new_name(source: str, symbol: str, at: datetime) -> tuple[str, str] | None:
    """Return the symbol of a ticker as its source stored it, and the one where a row with that symbol is there already."""
    venue = VENUES.get(source)
    if venue is None or ":" in symbol:
        return None
    try:
        return shipped().symbol_of(venue, symbol, at), f"{venue.upper()}:{symbol}"
    except ValueError:  # stored before names were checked; it stays as it is
        return None


def upgrade() -> None:
    """Rename what the registry names otherwise, and tell the counts."""
    connection: Any = op.get_bind().connection.driver_connection
    counts = rename_all(connection, TABLES, planned(connection, TABLES, shipped(), new_name))
    if counts:
        structlog.get_logger(__name__).info("renamed symbols", **{table.replace(".", "_"): rows for table, rows in sorted(counts.items())})
