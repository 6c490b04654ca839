"""Faults of single rows: empty or vanished fields, duplicates, times of the future, values that can't be."""

from __future__ import annotations

from datetime import timedelta

from omc_pipeline.benches.quality_days import BODIES
from omc_pipeline.benches.quality_fault import DAY, HOUR, MINUTE, Draw, Fault
from omc_pipeline.ledgers.table import LedgerName

_REQUIRED: tuple[tuple[LedgerName, str, str, str], ...] = (
    ("human", "human.news", "title", "published_at"), ("human", "human.news", "link", "published_at"),
    ("glass", "glass.protocol_tvl", "name", "observed_at"), ("catalyst", "catalyst.event", "title", "published_at"),
    ("exchange", "exchange.fill", "fee_currency", "executed_at"), ("human", "human.title_score", "label", "published_at"),
)  # fmt: skip
_OPTIONAL: tuple[tuple[LedgerName, str, str, str, timedelta, str], ...] = (
    ("exchange", "exchange.quote", "bid", "observed_at", 20 * MINUTE, "symbol = 'SOL'"),
    ("exchange", "exchange.quote", "ask", "observed_at", 20 * MINUTE, ""),
    ("exchange", "exchange.quote", "last", "observed_at", 2 * HOUR, "symbol = 'ADA'"),
    ("glass", "glass.coin_price", "confidence", "observed_at", 4 * HOUR, ""),
    ("glass", "glass.coin_price", "confidence", "observed_at", 4 * HOUR, "symbol = 'XRP'"),
    ("glass", "glass.protocol_tvl", "mcap_usd", "observed_at", 5 * HOUR, "protocol = 'lido'"),
    ("glass", "glass.protocol_fees", "fees_24h_usd", "observed_at", 4 * HOUR, ""),
    ("glass", "glass.market_candle", "vwap", "opened_at", 30 * MINUTE, ""), ("human", "human.news", "summary", "published_at",
    9 * HOUR, ""),
    ("human", "human.sentiment", "label", "observed_at", 4 * DAY, ""), ("catalyst", "catalyst.event", "impact", "published_at",
    3 * DAY, ""),
)  # fmt: skip
_TIMED: tuple[tuple[LedgerName, str, str], ...] = (
    ("exchange", "exchange.quote", "observed_at"), ("glass", "glass.coin_price", "observed_at"), ("human", "human.news", "published_at"),
    ("catalyst", "catalyst.event", "published_at"), ("glass", "glass.protocol_tvl", "observed_at"),
    ("exchange", "exchange.balance", "observed_at"),
)  # fmt: skip


def required_empty(draw: Draw) -> Fault:
    """Leave a required text blank, in one row or in all that are new."""
    ledger, table, column, clock = draw.chosen.choice(_REQUIRED)
    one = draw.chosen.random() < 0.5
    which = f"(SELECT max({clock}) FROM {table})" if one else "%(now)s - interval '2 d'"
    statement = f"UPDATE {table} SET {column} = ' ' WHERE {clock} >= {which}"
    details = f"{table}.{column}, {'the newest row' if one else 'rows of two days'}"
    return Fault("a required field empty", details, ledger, (_name(table),), (statement,), {"now": draw.now})


def optional_vanished(draw: Draw) -> Fault:
    """Lose an optional field that was filled."""
    ledger, table, column, clock, ago, only = draw.chosen.choice(_OPTIONAL)
    statement = f"UPDATE {table} SET {column} = NULL WHERE {clock} >= %(since)s{f' AND {only}' if only else ''}"
    bound = {"since": draw.now - ago}
    return Fault("an optional field vanished", f"{table}.{column} {only}", ledger, (_name(table),), (statement,), bound)


def duplicate(draw: Draw) -> Fault:
    """Hold an event, an item or a trade a second time under another id."""
    how = draw.chosen.choice(("event", "near event", "news", "near news", "fill"))
    back = draw.chosen.randrange(6)
    if how == "fill":
        columns = "user_id, account_id, symbol, currency, side, qty, price, quote_amount, fee, fee_currency, executed_at, kind, source"
        columns += ", recorded_at"
        statement = f"""INSERT INTO exchange.fill (fill_id, {columns}, version, payload_sha256, row_sha256) SELECT 'again ' ||
            fill_id, {columns},
            1, 'other', 'again' FROM exchange.fill WHERE kind = 'trade' ORDER BY executed_at DESC OFFSET {back} LIMIT 1"""
        return Fault("a duplicate", "a fill under another id", "exchange", ("fill_",), (statement,))
    near = how.startswith("near")
    title = "'Update: ' || title || '!'" if near else "title"
    if how.endswith("event"):
        url = "url || '-2'" if near else "url"
        statement = f"""INSERT INTO catalyst.event (event_id, event_type, symbol, issuer, title, url, published_at, impact, source, version,
            recorded_at, row_sha256) SELECT event_id || '9', event_type, symbol, issuer, {title}, {url}, published_at + interval
                '7 min', impact,
            source, 1, recorded_at + interval '7 min', 'again' FROM catalyst.event WHERE source = 'catalyst_coinspot_announcements'
            ORDER BY published_at DESC OFFSET {back} LIMIT 1"""
        return Fault("a near duplicate" if near else "a duplicate", "an announcement", "catalyst", ("event_",), (statement,))
    link = "link || '-2'" if near else "link"
    statement = f"""INSERT INTO human.news (feed, guid, published_at, title, link, summary, source, version, recorded_at, row_sha256)
        SELECT feed, guid || '-2', published_at + interval '4 min', {title}, {link}, summary, source, 1, recorded_at + interval '4 min',
        'again' FROM human.news ORDER BY published_at DESC OFFSET {back} LIMIT 1"""
    return Fault("a near duplicate" if near else "a duplicate", "an item of news", "human", ("news_",), (statement,), needs_action=False)


def future(draw: Draw) -> Fault:
    """Claim times that have not come."""
    ledger, table, clock = draw.chosen.choice(_TIMED)
    by, newest = draw.between(10 * MINUTE, 2 * DAY), draw.chosen.choice((1, 8))
    statement = (
        f"UPDATE {table} SET {clock} = {clock} + %(by)s WHERE ctid IN (SELECT ctid FROM {table} ORDER BY {clock} DESC LIMIT {newest})"
    )
    if table == "exchange.quote":
        statement = (
            f"""UPDATE {table} SET {clock} = {clock} + %(by)s WHERE {clock} = (SELECT max({clock}) FROM {table}) AND symbol = 'ETH'"""
        )
    details = f"{newest} rows of {table} by {by.total_seconds() / 60:.0f} min"
    return Fault("rows from the future", details, ledger, (_name(table),), (statement,), {"by": by, "now": draw.now})


def sentiment_off(draw: Draw) -> Fault:
    """Score off the scale, or one score for ever."""
    if draw.chosen.random() < 0.5:
        metric, score = draw.chosen.choice(
            (("fear_greed", "170"), ("fear_greed", "-5"), ("title_sentiment", "40"), ("title_sentiment", "-1.5"))
        )
        statement = f"""UPDATE human.sentiment SET score = {score} WHERE metric = '{metric}' AND observed_at >= (SELECT max(observed_at)
            FROM human.sentiment WHERE metric = '{metric}')"""
        return Fault("sentiment off its scale", f"{metric} {score}", "human", ("sentiment_",), (statement,))
    if draw.chosen.random() < 0.5:
        days = draw.chosen.choice((7, 9, 20))
        statement = f"UPDATE human.sentiment SET score = 50 WHERE metric = 'fear_greed' AND observed_at > %(now)s - interval '{days} d'"
        return Fault("sentiment stuck", f"fear_greed for {days} days", "human", ("sentiment_",), (statement,), {"now": draw.now})
    hours = draw.chosen.choice((8, 24))
    statement = f"UPDATE human.title_score SET score = 0, label = 'neutral' WHERE published_at > %(now)s - interval '{hours} h'"
    return Fault("sentiment stuck", f"titles for {hours} h", "human", ("title_score_",), (statement,), {"now": draw.now})


def impact_off(draw: Draw) -> Fault:
    """Rate an event outside 1 to 10."""
    impact = draw.chosen.choice((0, 11, -3, 70))
    source = draw.chosen.choice(("catalyst_sec_edgar", "catalyst_coinspot_announcements"))
    statements = (
        "ALTER TABLE catalyst.event DROP CONSTRAINT event_impact",
        f"""UPDATE catalyst.event SET impact = {impact} WHERE source = '{source}' AND published_at = (SELECT max(published_at) FROM
            catalyst.event WHERE source = '{source}')""",
    )
    return Fault("an impact off its scale", f"{impact} of {source}", "catalyst", ("event_",), statements)


def account_off(draw: Draw) -> Fault:
    """Hold what can't be, or what fills and transfers don't add up to; or trade far from the market."""
    symbol, how = draw.symbol(("BTC", "ETH", "SOL", "XRP")), draw.chosen.choice(("negative", "unequal", "unequal", "far", "far"))
    since = draw.now - draw.between(12 * MINUTE, 50 * MINUTE)
    bound = {"since": since, "symbol": symbol}
    where = "symbol = %(symbol)s AND observed_at >= %(since)s"
    if how == "negative":
        statement = f"UPDATE exchange.balance SET qty = -qty WHERE {where}"
        return Fault("a negative balance", symbol, "exchange", ("balance_",), (statement,), bound)
    if how == "unequal":
        factor = draw.chosen.choice(("1.3", "0.5", "0"))
        statement = f"UPDATE exchange.balance SET qty = qty * {factor} WHERE {where}"
        return Fault("a balance that fills don't explain", f"{symbol} times {factor}", "exchange", ("balance_",), (statement,), bound)
    factor, back = draw.chosen.choice(("3", "0.4", "10", "0.01")), draw.chosen.randrange(8)
    statement = f"""UPDATE exchange.fill SET price = price * {factor}, quote_amount = quote_amount * {factor}, fee = fee * {factor}
        WHERE fill_id = (
        SELECT fill_id FROM exchange.fill WHERE symbol = %(symbol)s AND kind = 'trade' ORDER BY executed_at DESC OFFSET {back} LIMIT 1)"""
    return Fault("a fill far from the market", f"{symbol} times {factor}", "exchange", ("fill_",), (statement,), bound)


def parts_off(draw: Draw) -> Fault:
    """Let the parts of a protocol, or of an hour, no longer be the whole."""
    how = draw.chosen.choice(("tvl", "fees", "high", "volume"))
    if how in ("tvl", "fees"):
        table, column = ("glass.protocol_tvl", "tvl_usd") if how == "tvl" else ("glass.protocol_fees", "fees_24h_usd")
        factor, protocol = draw.chosen.choice((("1.6", "aave-v3"), ("0.5", "aave-v3"), ("1.5", "aave"), ("0.6", "aave")))
        statement = f"UPDATE {table} SET {column} = {column} * {factor} WHERE protocol = '{protocol}' AND observed_at > %(since)s"
        bound = {"since": draw.now - draw.between(HOUR, 4 * HOUR)}
        return Fault("parents unlike children", f"{table} {protocol} times {factor}", "glass", (_name(table),), (statement,), bound)
    change = "high = high * 1.08" if how == "high" else "volume = volume * 1.7"
    statement = f"""UPDATE glass.market_candle SET {change} WHERE symbol = 'ETH' AND interval = '1h' AND opened_at = (SELECT
        max(opened_at) FROM
        glass.market_candle WHERE interval = '1h' AND is_final)"""
    return Fault("parents unlike children", f"1h candle {how}", "glass", ("market_candle_",), (statement,))


def candle_off(draw: Draw) -> Fault:
    """Make a candle that can't be."""
    change = draw.chosen.choice(
        ("low = open * 1.01", "high = close * 0.99", "volume = -1", "low = -low", "close = high * 1.2", "low = high * 1.1")
    )
    interval = draw.chosen.choice(("1m", "5m", "1h"))
    statement = f"""UPDATE glass.market_candle SET {change} WHERE symbol = 'SOL' AND interval = '{interval}' AND opened_at = (SELECT
        max(opened_at) FROM glass.market_candle WHERE symbol = 'SOL' AND interval = '{interval}' AND is_final)"""
    return Fault("a candle that can't be", f"{interval} {change}", "glass", ("market_candle_",), (statement,))


def keys_changed(draw: Draw) -> Fault:
    """Rename, add or retype a key of an answer."""
    source = draw.chosen.choice(list(BODIES))
    name = {"exchange_coinspot_prices": '"bid"', "glass_defillama": '"confidence"', "human_fear_greed": '"value_classification"',
        "catalyst_coinspot_announcements": '"html_url"'}[source]  # fmt: skip
    how = draw.chosen.choice(("vanished", "new", "retyped"))
    body = BODIES[source]
    if how == "new":
        body = body.replace(name, f'"more": 7, {name}')
    elif how == "vanished":
        body = body.replace(name, '"renamed"')
    else:
        start = body.index(name) + len(name) + 2
        body = body[:start] + '{"of": 1}' + body[start + len(body[start:].split(",")[0].split("}")[0]) :]
    every = HOUR if source in ("glass_defillama", "human_fear_greed") else MINUTE
    bound = {"body": body, "since": draw.now - draw.chosen.choice((2, 4)) * every, "source": source}
    ledger: LedgerName = "exchange" if source.startswith("exchange") else "glass" if source.startswith("glass") else (
        "human" if source.startswith("human") else "catalyst")  # fmt: skip
    return Fault(f"payload keys {how}", f"{name} of {source}", ledger, ("payload_",), ("BODY",), bound, needs_action=how != "new")


def refused(draw: Draw) -> Fault:
    """Refuse a share of the rows."""
    ledger, source, count, ago = draw.chosen.choice((
        ("exchange", "exchange_coinspot_prices", 400, 50 * MINUTE), ("human", "human_news", 60, 5 * HOUR),
        ("glass", "glass_defillama", 70, 6 * HOUR), ("catalyst", "catalyst_coinspot_announcements", 12, 10 * MINUTE),
        ("exchange", "exchange_coinspot_prices", 60, 2 * MINUTE),
    ))  # fmt: skip
    statement = """INSERT INTO raw.quarantine (source, reason, row, row_sha256, recorded_at) SELECT %(source)s, 'price is no number',
        '{}', n::text,
        %(now)s - %(ago)s * random() FROM generate_series(1, %(count)s) AS n"""
    bound = {"source": source, "count": count, "ago": ago, "now": draw.now}
    return Fault("rows refused", f"{count} of {source}", ledger, ("rows_accepted",), (statement,), bound)  # type: ignore[arg-type]


def _name(table: str) -> str:
    return f"{table.split('.')[1]}_"


KINDS = (
    required_empty, optional_vanished, duplicate, future, sentiment_off, impact_off, account_off, account_off, parts_off, candle_off,
    keys_changed, refused,
)  # fmt: skip
