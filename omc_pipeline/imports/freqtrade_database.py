"""freqtrade, its database (``tradesv3.sqlite``): the table ``trades``, the filled orders of each counted; nothing is changed there."""

from __future__ import annotations

from omc_pipeline.imports.format import Format
from omc_pipeline.imports.freqtrade_trades import COLUMNS, OPTIONAL, read

_QUERY = """
SELECT id, pair, is_open, is_short, amount, open_date, open_rate, fee_open, close_date, close_rate, fee_close, leverage,
    (SELECT count(*) FROM orders WHERE orders.ft_trade_id = trades.id AND orders.filled > 0) AS orders
FROM trades ORDER BY id
"""

FORMAT = Format(
    name="freqtrade_database",
    venue="",
    title="freqtrade database (SQLite)",
    link="https://www.freqtrade.io/en/stable/sql_cheatsheet/",
    shape="sqlite",
    columns=COLUMNS,
    optional=OPTIONAL,
    zone="UTC",
    query=_QUERY,
    read=read,
)
