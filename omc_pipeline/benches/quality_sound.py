"""Scenes that only look like faults: each must pass without an alert."""

from __future__ import annotations

from collections.abc import Mapping

_OFF = "{clock} >= %(now)s - interval '{since}' AND {clock} < %(now)s - interval '{until}'"
_RECORDED = (
    "exchange.quote", "exchange.balance", "glass.coin_price", "glass.protocol_tvl", "glass.protocol_fees", "glass.protocol_revenue",
    "glass.chain_tvl", "human.news", "human.title_score",
)  # fmt: skip


def _reboot(since: str, until: str) -> tuple[str, ...]:
    """Leave out all that was asked and recorded in a span; candles come later, because their source reads its past."""
    rows = (
        f"DELETE FROM {table} WHERE {_OFF.format(clock='recorded_at', since=since, until=until)}"
        for table in _RECORDED
        if "human" not in table
    )
    return (*rows, f"DELETE FROM raw.fetch WHERE {_OFF.format(clock='fetched_at', since=since, until=until)}")


SOUND: Mapping[str, tuple[str, ...]] = {
    "crash of all markets": (
        ("UPDATE exchange.quote SET bid = bid * f, ask = ask * f, last = last * f FROM (SELECT observed_at AS at, greatest(0.55, 1 - 0.012"
        " * extract(epoch FROM observed_at - (%(now)s - interval '45 min'))::numeric / 60) AS f FROM exchange.quote WHERE observed_at > "
        "%(now)s"
        " - interval '45 min' GROUP BY 1) AS fall WHERE observed_at = at"),
        ("UPDATE glass.coin_price SET price_usd = price_usd * greatest(0.55, 1 - 0.012 * extract(epoch FROM observed_at - (%(now)s - "
        "interval"
        " '45 min'))::numeric / 60) WHERE observed_at > %(now)s - interval '45 min'"),
    ),
    "a crash faster than the dollar prices": (
        "UPDATE exchange.quote SET bid = bid * 0.6, ask = ask * 0.6, last = last * 0.6 WHERE observed_at > %(now)s - interval '20 min'",
    ),
    "a lull of news": (
        "DELETE FROM human.news WHERE published_at > %(now)s - interval '30 h' AND abs(hashtext(guid)) %% 100 < 50",
        "DELETE FROM human.title_score WHERE published_at > %(now)s - interval '30 h' AND abs(hashtext(item_id)) %% 100 < 50",
    ),
    "a reboot of ten minutes": _reboot("13 min", "3 min"),
    "a reboot of three hours, yesterday": _reboot("29 h", "26 h"),
    "a backfill of an hour of dollar prices": (
        ("UPDATE glass.coin_price SET recorded_at = %(now)s - interval '5 min' WHERE observed_at BETWEEN %(now)s - interval '9 h' AND "
        "%(now)s -"
        " interval '5 h'"),
    ),
    "a delisting that was announced": (
        "DELETE FROM exchange.quote WHERE symbol = 'ADA' AND observed_at > %(now)s - interval '20 h'",
        ("INSERT INTO catalyst.event (event_id, event_type, symbol, issuer, title, url, published_at, impact, source, version, recorded_at,"
        " row_sha256) VALUES ('44999', 'delisting', 'ADA', 'CoinSpot', 'Delisting of ADA', 'https://venue.invalid/ada', %(now)s - "
        "interval '3 d',"
        " 8, 'catalyst_coinspot_announcements', 1, %(now)s - interval '3 d', 'd')"),
    ),
    "a symbol that is long gone": ("DELETE FROM exchange.quote WHERE symbol = 'ADA' AND observed_at > %(since)s + interval '6 h'",),
    "old fills that were recorded today": (
        ("INSERT INTO exchange.fill (fill_id, user_id, account_id, symbol, currency, side, qty, price, quote_amount, fee, fee_currency,"
        " executed_at, kind, source, version, recorded_at, row_sha256) SELECT 'old ' || n, 'default', 'old', 'ETH', 'AUD', 'buy', n, "
        "400, 400 * n,"
        " 0.4 * n, 'AUD', %(now)s - interval '5 y' - n * interval '1 h', 'trade', 'exchange_coinspot_account', 1, %(now)s - interval "
        "'2 min',"
        " 'o' || n FROM generate_series(1, 40) AS n"),
    ),
    "a new symbol": (
        "DELETE FROM exchange.quote WHERE symbol = 'LINK' AND observed_at < %(now)s - interval '3 h'",
    ),
    "a quiet coin": (("UPDATE exchange.quote SET bid = 23.9, ask = 24.1, last = 24 WHERE symbol = 'LINK' AND observed_at > %(now)s - "
    "interval '3 d'"),
        ("UPDATE glass.coin_price SET price_usd = 24 / pg_temp.rate(observed_at)::numeric WHERE symbol = 'LINK' AND observed_at > "
        "%(now)s - interval '3 d'")),
}  # fmt: skip
"""Statements by the name of the scene; they bind ``now`` and ``since``, the begin of the data."""
