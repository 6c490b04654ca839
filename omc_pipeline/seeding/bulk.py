"""Millions of quotes and fills, made by the server itself.

A month that holds no quotes yet is made as a table without indexes, filled, and put in the place of the empty partition, which makes its
indexes in one go each. Where there are quotes already, rows go the usual way, those that are there being left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from omc_pipeline.ledgers.exchange import QUOTE
from omc_pipeline.ledgers.knowledge import stamp
from omc_pipeline.ledgers.partitions import make_months
from omc_pipeline.seeding.seed import BULK_SOURCE, account_made, begun, refuse_live

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

SYMBOLS = 500
FILLS_SHARE = 10
"""Quotes for each fill."""
_USER, _ACCOUNT = "seed-scale", "seed-scale-venue"
_COINS_OF_USER = 50
_COLUMNS = "source, symbol, currency, observed_at, bid, ask, last, is_crossed, version, recorded_at, row_sha256"
_ISO = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') || '+00:00'"""
_DIGEST = "encode(sha256(convert_to(concat_ws(chr(31), {}), 'UTF8')), 'hex')"
_QUOTES = f"""
INSERT INTO {{target}} ({_COLUMNS})
SELECT %(source)s, coin.symbol, 'AUD', tick.at, bid, ask, last, false, 1, %(recorded_at)s,
    {_DIGEST.format("coin.symbol, 'AUD', tick.iso, trim_scale(bid)::text, trim_scale(ask)::text, trim_scale(last)::text, 'False'")}
FROM (
    SELECT at, {_ISO.format("at")} AS iso, 1 + 0.2 * sin(%(seed)s + n / 5000.0) + 0.01 * sin(%(seed)s + n / 11.0) AS moved
    FROM (
        SELECT n, %(first)s::timestamptz + n * make_interval(secs => %(step_s)s) AS at
        FROM generate_series(%(from_tick)s::bigint, %(to_tick)s::bigint - 1) AS n
    ) AS numbered
) AS tick
CROSS JOIN (
    SELECT 'S' || lpad(n::text, 4, '0') AS symbol, (n + 1) * 1.37 AS level FROM generate_series(0, %(symbols)s - 1) AS n
) AS coin
CROSS JOIN LATERAL (SELECT round((level * moved)::numeric, 4) AS last) AS price
CROSS JOIN LATERAL (SELECT round(last * 0.999, 4) AS bid, round(last * 1.001, 4) AS ask) AS sides
"""
_LATEST = f"""
INSERT INTO exchange.latest_quote AS kept ({_COLUMNS})
SELECT {_COLUMNS} FROM partitions.seeding_month WHERE observed_at = (SELECT max(observed_at) FROM partitions.seeding_month)
ON CONFLICT (symbol, currency, source) DO UPDATE SET
    (observed_at, bid, ask, last, is_crossed, version, recorded_at, row_sha256) = (EXCLUDED.observed_at, EXCLUDED.bid, EXCLUDED.ask,
        EXCLUDED.last, EXCLUDED.is_crossed, EXCLUDED.version, EXCLUDED.recorded_at, EXCLUDED.row_sha256)
WHERE EXCLUDED.observed_at > kept.observed_at
"""
_FILL_TEXTS = (
    "fill_id", "user_id", "account_id", "symbol", "'AUD'", "side", "trim_scale(qty)::text", "trim_scale(price)::text",
    "trim_scale(quote_amount)::text", "trim_scale(fee)::text", "'AUD'", _ISO.format("executed_at"), "'trade'", "trade_id", "order_id",
    "'bulk'",
)  # fmt: skip
_FILLS = f"""
INSERT INTO exchange.fill (source, fill_id, user_id, account_id, symbol, currency, side, qty, price, quote_amount, fee, fee_currency,
    executed_at, kind, trade_id, order_id, algorithm_id, version, recorded_at, row_sha256)
SELECT %(source)s, fill_id, user_id, account_id, symbol, 'AUD', side, qty, price, quote_amount, fee, 'AUD', executed_at, 'trade', trade_id,
    order_id, 'bulk', 1, %(recorded_at)s, {_DIGEST.format(", ".join(_FILL_TEXTS))}
FROM (
    SELECT 'n-' || n AS fill_id, %(user)s AS user_id, %(account)s AS account_id, 'S' || lpad((n %% %(coins)s)::text, 4, '0') AS symbol,
        CASE WHEN n / %(coins)s %% 2 = 0 THEN 'buy' ELSE 'sell' END AS side, qty, price, round(qty * price, 8) AS quote_amount,
        round(qty * price / 1000, 8) AS fee, %(first)s::timestamptz + n * make_interval(secs => %(step_s)s) AS executed_at,
        't-' || n AS trade_id, 'o-' || n / 3 AS order_id
    FROM (
        SELECT n, round(((n / (2 * %(coins)s) %% 97) + 1)::numeric / 7, 8) AS qty,
            round(((n %% %(coins)s + 1) * 1.37 * (1 + 0.2 * sin(%(seed)s + n / 5000.0)))::numeric, 4) AS price
        FROM generate_series(%(from)s::bigint, %(to)s::bigint - 1) AS n
    ) AS numbered
) AS drawn
ON CONFLICT DO NOTHING
"""
_FILLS_A_CHUNK = 200_000

Progress = Callable[[str, int], None]
"""Receives a table and how many of its rows are there."""


def seed_bulk(
    database: Database, rows: int, days: int, seed: int, now: datetime, *, progress: Progress = lambda _table, _rows: None
) -> Mapping[str, int]:
    """Make many quotes of 500 symbols, evenly over some days, and a tenth as many fills of one user.

    Args:
        database: Of the sandbox profile.
        rows: Quotes; rounded down to whole ticks of all symbols.
        days: The days before the first such seeding.
        seed: Draws the prices.
        now: The present, aware.
        progress: Told after each month, and each part of the fills.

    Returns:
        New rows by table; zeros the second time.

    Raises:
        ConfigurationError: The profile is live.
        BadInputError: It was done before with another seed, or a user of its name is not its own.
    """
    refuse_live(database.profile)
    with database.connect("writer") as connection:
        until = begun(connection, f"{rows} quotes over {days} days", seed, now.replace(minute=0, second=0, microsecond=0))
    first = until - timedelta(days=days)
    with database.connect("owner") as connection:
        quotes = _quotes(connection, first, until, max(rows // SYMBOLS, 1), seed, progress)
    with database.connect("writer") as connection:
        fills = _fills(connection, first, until, rows // FILLS_SHARE, seed, progress)
    with database.connect("owner") as connection:
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE) exchange.quote, exchange.fill, exchange.latest_quote")
    return {"exchange.quote": quotes, "exchange.fill": fills}


def _quotes(connection: psycopg.Connection[Any], first: datetime, until: datetime, ticks: int, seed: int, progress: Progress) -> int:
    with connection.transaction():
        make_months(connection, QUOTE, first, until)
    step_s = max(int((until - first).total_seconds() / ticks), 1)
    bound = {"source": BULK_SOURCE, "first": first, "step_s": step_s, "symbols": SYMBOLS, "seed": seed}
    done, tick = 0, 0
    while tick < ticks:
        month = _month_start(first + timedelta(seconds=tick * step_s))
        following = _month_start(month + timedelta(days=32))
        end = min(-int(-(following - first).total_seconds() // step_s), ticks)
        with connection.transaction():
            done += _quotes_of_month(connection, month, following, {**bound, "from_tick": tick, "to_tick": end})
        progress(QUOTE.qualified, done)
        tick = end
    return done


def _quotes_of_month(connection: psycopg.Connection[Any], month: datetime, following: datetime, bound: Mapping[str, Any]) -> int:
    part = f"partitions.exchange_quote_{month:%Y_%m}"
    connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
    stamped = {**bound, "recorded_at": stamp(connection, QUOTE.qualified)}  # from here on no writer is in the way
    known = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [part]).fetchone()
    if known != (True,) or connection.execute(f"SELECT 1 FROM {part} LIMIT 1").fetchone():
        return connection.execute(_QUOTES.format(target="exchange.quote") + " ON CONFLICT DO NOTHING", stamped).rowcount
    connection.execute("CREATE TABLE partitions.seeding_month (LIKE exchange.quote INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    made = connection.execute(_QUOTES.format(target="partitions.seeding_month"), stamped).rowcount
    connection.execute(_LATEST)
    connection.execute(f"ALTER TABLE exchange.quote DETACH PARTITION {part}")
    connection.execute(f"DROP TABLE {part}")
    connection.execute(f"ALTER TABLE partitions.seeding_month RENAME TO exchange_quote_{month:%Y_%m}")
    bounds = f"FOR VALUES FROM ('{month.isoformat()}') TO ('{following.isoformat()}')"
    connection.execute(f"ALTER TABLE exchange.quote ATTACH PARTITION {part} {bounds}")
    return made


def _fills(connection: psycopg.Connection[Any], first: datetime, until: datetime, rows: int, seed: int, progress: Progress) -> int:
    account_made(connection, _USER, _ACCOUNT)
    connection.commit()
    step_s = max((until - first).total_seconds() // max(rows, 1), 1)
    bound = {
        "source": BULK_SOURCE,
        "user": _USER,
        "account": _ACCOUNT,
        "coins": _COINS_OF_USER,
        "first": first,
        "seed": seed,
        "step_s": step_s,
    }
    done = 0
    for start in range(0, rows, _FILLS_A_CHUNK):
        with connection.transaction():
            chunk = {**bound, "from": start, "to": min(start + _FILLS_A_CHUNK, rows), "recorded_at": stamp(connection, "exchange.fill")}
            done += connection.execute(_FILLS, chunk).rowcount
            connection.execute(
                "INSERT INTO exchange.fill_door (account_id, source, user_id) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                [_ACCOUNT, BULK_SOURCE, _USER],
            )
        progress("exchange.fill", done)
    return done


def _month_start(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
