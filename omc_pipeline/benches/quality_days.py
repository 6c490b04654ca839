"""Days of sound data in all ledgers, written by PostgreSQL itself: prices on waves, candles that agree, an account that adds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import zstandard

from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.exchange import QUOTE
from omc_pipeline.ledgers.glass import MARKET_CANDLE
from omc_pipeline.ledgers.partitions import make_months

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

DAYS = 9
ENDS_AT = datetime(2026, 3, 18, 15, 42, tzinfo=UTC)
"""A Wednesday; data of days that are past have no present to collide with."""
LOOKS = 13_000
"""Fetches of an endpoint that are kept; those of earlier times were let go."""
LEVELS = {"BTC": 93_000, "ETH": 3_150, "SOL": 172, "XRP": 2.35, "ADA": 0.61, "DOGE": 0.187, "LTC": 96, "LINK": 15.8}
ACCOUNT = "bench"
_NAMES = (
    "exchange_coinspot_prices", "exchange_coinspot_account", "glass_defillama", "glass_market_candles", "glass_fx", "human_news",
    "human_fear_greed", "human_sentiment", "catalyst_coinspot_announcements", "catalyst_sec_edgar",
)  # fmt: skip
_QUOTED = '{"bid": "1", "ask": "2", "last": "1.5"}'
BODIES = {
    "exchange_coinspot_prices": f'{{"status": "ok", "prices": {{"btc": {_QUOTED}, "eth": {_QUOTED}}}}}',
    "glass_defillama": '{"coins": {"coingecko:bitcoin": {"price": 1.5, "symbol": "BTC", "timestamp": 1, "confidence": 0.99}}}',
    "human_fear_greed": '{"name": "index", "data": [{"value": "40", "value_classification": "Fear", "timestamp": "1"}], "metadata": {}}',
    "catalyst_coinspot_announcements": '{"articles": [{"id": 1, "html_url": "https://x", "title": "t", "created_at": "2026"}], "count": 1}',
}
"""A body of each source whose keys a fault changes."""

FUNCTIONS = """
CREATE FUNCTION pg_temp.wave(level float8, phase float8, t float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT level * exp(0.05 * sin(t / 130000 + phase) + 0.014 * sin(t / 13700 + 2 * phase) + 0.005 * sin(t / 1150 + 3 * phase)
        + 0.0015 * sin(t / 95 + phase) + 0.0004 * sin(t / 9.5 + phase)) $$;
CREATE FUNCTION pg_temp.usd(symbol text, at timestamptz) RETURNS float8 LANGUAGE sql STABLE AS $$
    SELECT pg_temp.wave((CASE symbol {levels} END)::float8, ascii(symbol) * 1.7 + length(symbol), extract(epoch FROM at)::float8) $$;
CREATE FUNCTION pg_temp.rate(at timestamptz) RETURNS float8 LANGUAGE sql STABLE AS $$
    SELECT 1.52 * exp(0.012 * sin(extract(epoch FROM at)::float8 / 275000)) $$;
CREATE FUNCTION pg_temp.noise(of text) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT (abs(hashtext(of)) % 100000) / 100000.0 $$;
"""

_COINS = f"unnest(ARRAY[{', '.join(repr(symbol) for symbol in LEVELS)}]) AS symbol"
_BOOKKEEPING = "source, version, recorded_at, payload_sha256, row_sha256"


def _insert(table: str, columns: str, source: str, recorded: str, named: str, rows: str) -> str:
    return f"""INSERT INTO {table} ({columns}, {_BOOKKEEPING}) SELECT {columns}, '{source}', 1, {recorded}, NULL, md5({named}) FROM ({rows})
        AS made"""


_QUOTES = f"""SELECT symbol, 'AUD' AS currency, at AS observed_at, round((price * 0.997)::numeric, 8) AS bid,
    round((price * 1.003)::numeric, 8) AS ask, round(price::numeric, 8) AS last FROM {_COINS},
    generate_series(%(since)s + interval '20 s', %(until)s - interval '5 s', interval '1 min') AS at,
    LATERAL (SELECT pg_temp.usd(symbol, at) * pg_temp.rate(at) AS price) AS p"""
_DOLLARS = f"""SELECT symbol, at + interval '4 min 50 s' AS observed_at, round(pg_temp.usd(symbol, at + interval '4 min 50 s')::numeric, 8)
    AS price_usd, 0.99 AS confidence FROM {_COINS}, generate_series(%(since)s, %(until)s - interval '6 min', interval '1 h') AS at"""
_PROTOCOLS = """(VALUES ('lido', 27e9, 'LDO', NULL), ('aave', 24e9, 'AAVE', NULL), ('aave-v3', 20e9, NULL, 'aave'), ('aave-v2', 4e9, NULL,
    'aave'), ('uniswap', 5e9, 'UNI', NULL), ('jito', 2.4e9, 'JTO', NULL)) AS p (protocol, level, symbol, parent)"""
_WAVE = "(1 + 0.02 * sin(extract(epoch FROM at) / 70000 + CASE WHEN protocol LIKE 'aave%%' THEN 1 ELSE length(protocol) END))"
_TVL = f"""SELECT protocol, at + interval '5 min' AS observed_at, symbol, protocol AS name, 'DeFi' AS category,
    round((level * {_WAVE})::numeric, 2) AS tvl_usd, CASE WHEN symbol IS NOT NULL THEN round((level * {_WAVE} / 8)::numeric, 2) END
    AS mcap_usd, parent FROM {_PROTOCOLS}, generate_series(%(since)s, %(until)s - interval '6 min', interval '1 h') AS at"""
_FEES = f"""SELECT protocol, date_trunc('hour', at) AS observed_at, protocol AS name,
    round((level / 8e3 * {_WAVE})::numeric, 2) AS fees_24h_usd, round((level / 8e3 * {_WAVE} * 6.8)::numeric, 2) AS fees_7d_usd,
    round((level / 8e3 * {_WAVE} * 29)::numeric, 2) AS fees_30d_usd, parent
    FROM {_PROTOCOLS}, generate_series(%(since)s, %(until)s - interval '6 min', interval '1 h') AS at"""
_REVENUE = _FEES.replace("fees_", "revenue_").replace("8e3", "4e4")
_CHAINS = """SELECT chain, date_trunc('hour', at) AS observed_at, coin AS symbol, round((level * (1 + 0.02 * sin(extract(epoch FROM
    at) / 70000
    + length(chain))))::numeric, 2) AS tvl_usd FROM (VALUES ('Ethereum', 'ETH', 60e9), ('Solana', 'SOL', 9e9), ('Base', NULL, 4e9)) AS c
    (chain, coin, level), generate_series(%(since)s, %(until)s - interval '6 min', interval '1 h') AS at"""
_FEE_DAYS = (
    """SELECT protocol, metric, day AS observed_at, protocol AS name, round((level / share * (1 + 0.03 * sin(extract(epoch FROM day)
    / 9e4)))::numeric, 2) AS amount_usd, parent FROM """
    + _PROTOCOLS
    + """, (VALUES ('fees', 8e3), ('revenue', 4e4)) AS m (metric, share),
    generate_series(date_trunc('day', %(since)s::timestamptz) - interval '20 d', %(until)s - interval '28 h', interval '1 d') AS day"""
)
_RATES = """SELECT 'EUR' AS base, currency, day::date AS day, day + interval '13 h 15 min' AS observed_at, round((level * CASE currency WHEN
    'AUD' THEN pg_temp.rate(day) ELSE 1 + 0.003 * sin(extract(epoch FROM day) / 9e4) END)::numeric, 4) AS rate FROM (VALUES ('AUD', 1.09),
    ('USD', 1.09), ('GBP', 0.85)) AS c (currency, level), generate_series(date_trunc('day', %(since)s::timestamptz) - interval '20 d',
    %(until)s - interval '16 h', interval '1 d') AS day WHERE extract(isodow FROM day) < 6"""
_MINUTES = """SELECT 'kraken' AS venue, symbol, 'AUD' AS currency, '1m' AS interval, at AS opened_at, round(first::numeric, 8) AS open,
    round((greatest(first, last) * 1.0003)::numeric, 8) AS high, round((least(first, last) * 0.9997)::numeric, 8) AS low,
    round(last::numeric, 8) AS close, round(((first + last) / 2)::numeric, 8) AS vwap,
    round((2 + 3 * pg_temp.noise(symbol || at))::numeric, 8) AS volume, 1 + (9 * pg_temp.noise(at || symbol))::int AS trades, true AS
        is_final
    FROM unnest(ARRAY['BTC', 'ETH', 'SOL']) AS symbol, generate_series(date_trunc('day', %(since)s::timestamptz), %(until)s -
    interval '2 min', interval '1 min') AS at, LATERAL (SELECT pg_temp.usd(symbol, at) * pg_temp.rate(at) AS first,
    pg_temp.usd(symbol, at + interval '1 min') * pg_temp.rate(at + interval '1 min') AS last) AS p"""
_LONGER = """SELECT venue, symbol, currency, '{name}' AS interval, date_bin('{span}', opened_at, '2000-01-01Z') AS opened_at,
    (array_agg(open ORDER BY opened_at))[1] AS open, max(high) AS high, min(low) AS low, (array_agg(close ORDER BY opened_at DESC))[1]
    AS close, round(avg(vwap), 8) AS vwap, sum(volume) AS volume, sum(trades)::int AS trades,
    date_bin('{span}', opened_at, '2000-01-01Z') + '{span}' <= %(until)s AS is_final
    FROM glass.market_candle WHERE interval = '1m' GROUP BY 1, 2, 3, 5, 13"""
_CANDLE = "venue, symbol, currency, interval, opened_at, open, high, low, close, vwap, volume, trades, is_final"
_SUBJECT = "(ARRAY['Miners', 'Traders', 'Regulators', 'Banks', 'Developers', 'Funds', 'Brokers', 'Lenders'])"
_VERB = "(ARRAY['expect', 'question', 'welcome', 'delay', 'test', 'fear', 'study'])"
_OBJECT = "(ARRAY['new rules', 'a fork', 'lower fees', 'an upgrade', 'record flows', 'a lawsuit', 'custody plans', 'staking yields'])"
_NEWS = f"""SELECT feed, feed || '-' || at AS guid, at + pg_temp.noise(feed || at) * interval '9 min' AS published_at,
    {_SUBJECT}[1 + (7.99 * pg_temp.noise('s' || feed || at))::int % 8] || ' in ' || substr(md5(at::text || feed), 1, 6) || ' '
    || {_VERB}[1 + (6.99 * pg_temp.noise('v' || at || feed))::int % 7] || ' ' || {_OBJECT}[1 + (7.99 * pg_temp.noise('o' || at ||
        feed))::int
    % 8] || ' after ' || substr(md5(feed || at), 1, 5) AS title, 'https://' || feed || '.invalid/' || md5(feed || at) AS link,
    'A summary.' AS summary FROM unnest(ARRAY['coindesk', 'cointelegraph', 'decrypt']) AS feed,
    generate_series(%(since)s, %(until)s - interval '22 min', interval '10 min') AS at
    WHERE pg_temp.noise('k' || at || feed) < CASE WHEN extract(isodow FROM at) > 5 THEN 0.3 ELSE 0.6 END""".replace("% 8", "%% 8").replace(
    "% 7", "%% 7"
)
_SCORES = """SELECT 'human_news' AS title_source, feed AS channel, guid AS item_id, published_at, 'MARKET' AS symbols,
    round((1.6 * pg_temp.noise(title) - 0.8)::numeric, 4) AS score, CASE WHEN round((1.6 * pg_temp.noise(title) - 0.8)::numeric, 4) > 0 THEN
    'bullish' WHEN round((1.6 * pg_temp.noise(title) - 0.8)::numeric, 4) < 0 THEN 'bearish' ELSE 'neutral' END AS label, 'bench-1' AS model
    FROM human.news"""
_MEANS = """SELECT 'MARKET' AS symbol, 'title_sentiment' AS metric, date_trunc('day', published_at, 'UTC') AS observed_at,
    round(avg(score), 6) AS score, 'neutral' AS label FROM human.title_score GROUP BY 3"""
_MOODS = """SELECT 'MARKET' AS symbol, 'fear_greed' AS metric, day AS observed_at, (20 + 60 * pg_temp.noise('m' || day))::int AS
    score, 'Fear'
    AS label FROM generate_series(date_trunc('day', %(until)s::timestamptz) - interval '60 d', %(until)s, interval '1 d') AS day"""
_ARTICLES = """SELECT (4400000000000 + extract(epoch FROM at)::bigint)::text AS event_id, 'listing' AS event_type, 'C' || upper(substr(
    md5(at::text), 1, 4)) AS symbol, NULL::text AS ticker, 'CoinSpot' AS issuer, 'New Coin Listing: ' || substr(md5(at::text), 1, 4)
        AS title,
    NULL::text AS form, NULL::text AS items, 'https://venue.invalid/' || md5(at::text) AS url, NULL::date AS filed_on, at AS published_at,
    NULL::text AS published_zone, 1 + (extract(hour FROM at))::int %% 7 AS impact
    FROM generate_series(%(since)s - interval '30 d', %(until)s - interval '2 h', interval '11 h') AS at"""
_FILINGS = """SELECT '0001050446-26-' || lpad((row_number() OVER (ORDER BY at))::text, 6, '0') AS event_id, 'filing' AS event_type, 'BTC' AS
    symbol, 'MSTR' AS ticker, 'Strategy' AS issuer, '8-K Other Events (8.01) - Strategy' AS title, '8-K' AS form, '8.01' AS items,
    'https://www.sec.gov/' || md5(at::text) AS url, (at AT TIME ZONE 'UTC')::date AS filed_on, at AS published_at, 'utc' AS published_zone,
    5 AS impact FROM generate_series(%(since)s - interval '30 d', %(until)s - interval '3 h', interval '17 h') AS at"""
_EVENT = "event_id, event_type, symbol, ticker, issuer, title, form, items, url, filed_on, published_at, published_zone, impact"
_FILL_COLUMNS = "fill_id, user_id, account_id, symbol, currency, side, qty, price, quote_amount, fee, fee_currency, executed_at, kind"
_FILLS = f"""SELECT md5(symbol || at) AS fill_id, 'default' AS user_id, '{ACCOUNT}' AS account_id, symbol, 'AUD' AS currency, CASE WHEN
    pg_temp.noise(symbol || at) < 0.7 THEN 'buy' ELSE 'sell' END AS side, qty, price, qty * price AS quote_amount, round(qty * price
        * 0.001, 8)
    AS fee, 'AUD' AS fee_currency, at AS executed_at, 'trade' AS kind FROM unnest(ARRAY['BTC', 'ETH', 'SOL', 'XRP']) AS symbol,
    generate_series(%(since)s + interval '37 min', %(until)s - interval '1 h', interval '9 h 13 min') AS at,
    LATERAL (SELECT round((500 / (pg_temp.usd(symbol, at) * pg_temp.rate(at)) * CASE WHEN pg_temp.noise(symbol || at) < 0.7 THEN 2 ELSE 1
    END)::numeric, 8) AS qty, round((pg_temp.usd(symbol, at) * pg_temp.rate(at))::numeric, 8) AS price) AS p"""
_DEPOSITS = f"""SELECT md5('d' || symbol) AS fill_id, 'default' AS user_id, '{ACCOUNT}' AS account_id, symbol, 'AUD' AS currency,
    'buy' AS side,
    round((5000 / pg_temp.usd(symbol, %(since)s))::numeric, 8) AS qty, NULL::numeric AS price, NULL::numeric AS quote_amount,
        0::numeric AS fee,
    'AUD' AS fee_currency, %(since)s::timestamptz AS executed_at, 'deposit' AS kind FROM unnest(ARRAY['BTC', 'ETH', 'SOL', 'XRP']) AS
        symbol"""
_HOLDINGS = f"""SELECT 'default' AS user_id, '{ACCOUNT}' AS account_id, symbol, at AS observed_at, (SELECT sum(CASE side WHEN 'buy' THEN qty
    ELSE -qty END) FROM exchange.fill AS f WHERE f.symbol = c.symbol AND f.executed_at <= at) AS qty, NULL::numeric AS value_aud
    FROM unnest(ARRAY['BTC', 'ETH', 'SOL', 'XRP']) AS c (symbol),
    generate_series(%(since)s + interval '110 s', %(until)s - interval '8 s', interval '5 min') AS at"""

STATEMENTS: tuple[str, ...] = (
    _insert("exchange.quote", "symbol, currency, observed_at, bid, ask, last", _NAMES[0], "observed_at + interval '2 s'",
        "symbol || observed_at", _QUOTES),
    _insert("exchange.fill", _FILL_COLUMNS, _NAMES[1], "executed_at + interval '3 min'", "fill_id", f"{_FILLS} UNION ALL {_DEPOSITS}"),
    _insert("exchange.balance", "user_id, account_id, symbol, observed_at, qty, value_aud", _NAMES[1], "observed_at + interval '2 s'",
        "symbol || observed_at", _HOLDINGS),
    _insert("glass.coin_price", "symbol, observed_at, price_usd, confidence", _NAMES[2], "observed_at + interval '30 s'",
        "symbol || observed_at", _DOLLARS),
    _insert("glass.protocol_tvl", "protocol, observed_at, symbol, name, category, tvl_usd, mcap_usd, parent", _NAMES[2],
        "observed_at + interval '30 s'", "protocol || observed_at", _TVL),
    _insert("glass.protocol_fees", "protocol, observed_at, name, fees_24h_usd, fees_7d_usd, fees_30d_usd, parent", _NAMES[2],
        "observed_at + interval '5 min'", "protocol || observed_at", _FEES),
    _insert("glass.protocol_revenue", "protocol, observed_at, name, revenue_24h_usd, revenue_7d_usd, revenue_30d_usd, parent", _NAMES[2],
        "observed_at + interval '5 min'", "protocol || observed_at", _REVENUE),
    _insert("glass.chain_tvl", "chain, observed_at, symbol, tvl_usd", _NAMES[2], "observed_at + interval '5 min'", "chain || observed_at",
        _CHAINS),
    _insert("glass.protocol_day", "protocol, metric, observed_at, name, amount_usd, parent", _NAMES[2], "observed_at + interval '27 h "
    "35 min'",
        "protocol || metric || observed_at", _FEE_DAYS),
    _insert("glass.market_candle", _CANDLE, _NAMES[3], "opened_at + interval '75 s'", "symbol || opened_at", _MINUTES),
    *(
        _insert("glass.market_candle", _CANDLE, _NAMES[3], f"least(opened_at + interval '{span}' + interval '70 s', %(until)s)",
            "symbol || interval || opened_at", _LONGER.format(name=name, span=span))
        for name, span in (("5m", "5 min"), ("1h", "1 h"), ("1d", "1 d"))
    ),
    _insert("glass.fx_rate", "base, currency, day, observed_at, rate", _NAMES[4], "observed_at + interval '2 h'", "currency || observed_at",
        _RATES),
    _insert("human.news", "feed, guid, published_at, title, link, summary", _NAMES[5], "published_at + interval '3 min'", "guid", _NEWS),
    _insert("human.title_score", "title_source, channel, item_id, published_at, symbols, score, label, model", _NAMES[7],
        "published_at + interval '6 min'", "item_id", _SCORES),
    _insert("human.sentiment", "symbol, metric, observed_at, score, label", _NAMES[7], "observed_at + interval '4 h'", "metric || "
    "observed_at",
        _MEANS),
    _insert("human.sentiment", "symbol, metric, observed_at, score, label", _NAMES[6], "observed_at + interval '1 h'", "metric || "
    "observed_at",
        _MOODS),
    _insert("catalyst.event", _EVENT, _NAMES[8], "published_at + interval '1 min'", "event_id", _ARTICLES),
    _insert("catalyst.event", _EVENT, _NAMES[9], "published_at + interval '1 min'", "event_id", _FILINGS),
)  # fmt: skip
_FETCHES = """INSERT INTO raw.fetch (source, url, request_sha256, status, payload_sha256, context, fetched_at, parsed_at)
    SELECT %(source)s, 'https://upstream.invalid/' || %(endpoint)s, %(endpoint)s, 200, %(sha)s, jsonb_build_object('endpoint',
    %(endpoint)s::text), at, at + interval '1 s' FROM generate_series(%(since)s, %(until)s - interval '3 s', %(every)s * interval
        '1 s') AS at"""
_STATES = """INSERT INTO collection.state (source, endpoint, account_id, is_configured, last_success_at, last_rows, rows)
    VALUES (%s, %s, %s, true, %s, 1, 1)"""


@dataclass(frozen=True)
class Days:
    """Sound data up to ``until``, and the sources it is of."""

    since: datetime
    until: datetime
    sources: Mapping[str, Source]

    @property
    def times(self) -> dict[str, datetime]:
        """What the statements bind."""
        return {"since": self.since, "until": self.until}


def fill_days(database: Database) -> Days:
    """Write the days into an empty migrated database."""
    found = discover_sources()
    days = Days(ENDS_AT.replace(minute=0) - timedelta(days=DAYS), ENDS_AT, {name: found[name] for name in _NAMES})
    with database.connect("writer") as connection:
        prepare(connection)
        for table in (QUOTE, MARKET_CANDLE):
            make_months(connection, table, days.since - timedelta(days=2), days.until)
        for statement in STATEMENTS:
            connection.execute(statement, days.times)
        for source in days.sources.values():
            _looks(connection, source, days)
    with database.connect("owner") as connection:
        connection.autocommit = True
        connection.execute("ANALYZE")
    return days


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Give a session the functions that say what is right."""
    levels = " ".join(f"WHEN '{symbol}' THEN {level}" for symbol, level in LEVELS.items())
    connection.execute(FUNCTIONS.replace("{levels}", levels))


def store_body(connection: psycopg.Connection[Any], text: str, sha256: str, at: datetime) -> None:
    """Keep a body in the raw store under a name."""
    body = zstandard.ZstdCompressor().compress(text.encode())
    connection.execute(
        "INSERT INTO raw.payload (sha256, body, size_bytes, media_type, first_seen_at) VALUES (%s, %b, %s, 'application/json', %s)",
        [sha256, body, len(text.encode()), at],
    )


def _looks(connection: psycopg.Connection[Any], source: Source, days: Days) -> None:
    sha256 = f"sound {source.name}"
    store_body(connection, BODIES.get(source.name, '{"rows": []}'), sha256, days.since)
    for endpoint in source.endpoints:
        bound = {**days.times, "source": source.name, "endpoint": endpoint.name, "sha": sha256, "every": endpoint.every_s}
        span = timedelta(seconds=endpoint.every_s)
        looks = min((days.until - days.since) // span, LOOKS)
        connection.execute(_FETCHES, {**bound, "since": days.until - looks * span - timedelta(seconds=20)})
        account = ACCOUNT if source.per_account else ""
        connection.execute(_STATES, [source.name, endpoint.name, account, days.until - timedelta(seconds=19)])
