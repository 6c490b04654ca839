"""Faults of absence: what is missing, silent, dead, late or thinner than usual."""

from __future__ import annotations

from datetime import timedelta

from omc_pipeline.benches.quality_fault import DAY, HOUR, MINUTE, Draw, Fault, described
from omc_pipeline.ledgers.table import LedgerName

_LATER = (2 * MINUTE, 3 * HOUR, DAY)
_SAMPLED: tuple[tuple[LedgerName, str, str, str, timedelta, tuple[str, ...]], ...] = (
    ("exchange", "exchange_coinspot_prices", "exchange.quote", "observed_at", MINUTE, ("BTC", "SOL", "ADA", "DOGE")),
    ("glass", "glass_defillama", "glass.coin_price", "observed_at", HOUR, ("BTC", "SOL", "ADA", "DOGE")),
    ("glass", "glass_defillama", "glass.protocol_tvl", "observed_at", HOUR, ("lido", "uniswap", "jito")),
    ("glass", "glass_defillama", "glass.protocol_fees", "observed_at", HOUR, ("lido", "uniswap", "jito")),
    ("glass", "glass_defillama", "glass.chain_tvl", "observed_at", HOUR, ("Ethereum", "Solana", "Base")),
    ("exchange", "exchange_coinspot_account", "exchange.balance", "observed_at", 5 * MINUTE, ()),
    ("glass", "glass_market_candles", "glass.market_candle", "opened_at", MINUTE, ()),
)
_THING = {"exchange.quote": "symbol", "glass.coin_price": "symbol", "glass.protocol_tvl": "protocol", "glass.protocol_fees": "protocol",
    "glass.chain_tvl": "chain"}  # fmt: skip
_ENDPOINTS: tuple[tuple[LedgerName, str, str, timedelta], ...] = (
    ("exchange", "exchange_coinspot_prices", "latest", MINUTE), ("exchange", "exchange_coinspot_account", "orders", 5 * MINUTE),
    ("exchange", "exchange_coinspot_account", "balances", 5 * MINUTE), ("glass", "glass_defillama", "prices", HOUR),
    ("glass", "glass_defillama", "chains", HOUR), ("glass", "glass_market_candles", "1m", MINUTE), ("human", "human_news", "decrypt",
    5 * MINUTE),
    ("human", "human_fear_greed", "index", HOUR), ("catalyst", "catalyst_sec_edgar", "feed", MINUTE),
    ("catalyst", "catalyst_coinspot_announcements", "articles", MINUTE),
)  # fmt: skip
_FILLED_BY = {("exchange_coinspot_prices", "latest"): ("exchange.quote", "observed_at"), ("glass_defillama", "prices"): ("glass.coin_price",
    "observed_at"), ("glass_defillama", "chains"): ("glass.chain_tvl", "observed_at"), ("exchange_coinspot_account", "balances"): (
    "exchange.balance", "observed_at"), ("glass_market_candles", "1m"): ("glass.market_candle", "opened_at"), ("human_news", "decrypt"): (
    "human.news", "published_at")}  # fmt: skip


def missing_symbol(draw: Draw) -> Fault:
    """Leave out one symbol, protocol or chain."""
    ledger, source, table, clock, cadence, things = draw.chosen.choice([one for one in _SAMPLED if one[5]])
    thing = draw.chosen.choice(things)
    long = draw.chosen.random() < 0.3
    span = draw.span(max(15 * MINUTE, 4 * cadence), 3 * DAY if long else max(3 * HOUR, 9 * cadence), _LATER)
    statement = f"""DELETE FROM {table} WHERE source = '{source}' AND {_THING[table]} = %(thing)s AND {clock} >= %(since)s
        AND {clock} < %(until)s"""
    bears = (f"{table.split('.')[1]}_",)
    bound = {"since": span[0], "until": span[1], "thing": thing}
    return Fault("one symbol missing", described(f"{thing} in {table}", span, draw.now), ledger, bears, (statement,), bound)


def gap(draw: Draw) -> Fault:
    """Leave out all rows of a source's table; in half of the cases nobody had asked, either."""
    ledger, source, table, clock, cadence, _ = draw.chosen.choice(_SAMPLED)
    span = draw.span(max(12 * MINUTE, 4 * cadence), max(2 * HOUR, 9 * cadence), _LATER)
    statements = [f"DELETE FROM {table} WHERE source = '{source}' AND {clock} >= %(since)s AND {clock} < %(until)s"]
    if draw.chosen.random() < 0.5:
        statements.append(f"DELETE FROM raw.fetch WHERE source = '{source}' AND fetched_at >= %(since)s AND fetched_at < %(until)s")
    bears = (f"{table.split('.')[1]}_", "looked")
    return Fault("a gap of one source", described(table, span, draw.now), ledger, bears, tuple(statements), _bound(span))


def silent(draw: Draw) -> Fault:
    """Let nobody ask an endpoint any more, or a whole source."""
    ledger, source, endpoint, cadence = draw.chosen.choice(_ENDPOINTS)
    whole = draw.chosen.random() < 0.4
    since = draw.now - max(draw.between(3 * cadence, 9 * cadence), 6 * MINUTE)
    where = f"source = '{source}'" + ("" if whole else f" AND context ->> 'endpoint' = '{endpoint}'")
    states = f"source = '{source}'" + ("" if whole else f" AND endpoint = '{endpoint}'")
    statements = (
        f"DELETE FROM raw.fetch WHERE {where} AND fetched_at >= %(since)s",
        f"UPDATE collection.state SET last_success_at = %(since)s WHERE {states} AND last_success_at > %(since)s",
        *_rows_since(source, endpoint),
    )
    name = source if whole else f"{source}/{endpoint}"
    bears = ("looked", "endpoints_", *_bears(source, endpoint))
    return Fault("a silent source or endpoint", described(name, (since, draw.now), draw.now), ledger, bears, statements, {"since": since})


def dead(draw: Draw) -> Fault:
    """Let an upstream answer with errors, or with what can't be read."""
    ledger, source, endpoint, cadence = draw.chosen.choice(_ENDPOINTS)
    since, unread = draw.now - max(draw.between(3 * cadence, 9 * cadence), 6 * MINUTE), draw.chosen.random() < 0.5
    where = f"source = '{source}' AND context ->> 'endpoint' = '{endpoint}' AND fetched_at >= %(since)s"
    changed = "parsed_at = NULL" if unread else "parsed_at = NULL, status = 503"
    failed = f"""UPDATE collection.state SET last_success_at = %(since)s, last_failure_at = %(now)s, consecutive_failures = 3,
        failure_class = 'UpstreamUnavailableError' WHERE source = '{source}' AND endpoint = '{endpoint}'"""
    statements = [f"UPDATE raw.fetch SET {changed} WHERE {where}", *_rows_since(source, endpoint)]
    if not unread or draw.chosen.random() < 0.5:
        statements.append(failed)
    kind = "answers that can't be read" if unread else "an upstream that answers with errors"
    bears = ("looked", "endpoints_", "answers_", *_bears(source, endpoint))
    details = described(f"{source}/{endpoint}", (since, draw.now), draw.now)
    return Fault(kind, details, ledger, bears, tuple(statements), {"since": since, "now": draw.now})


def thin(draw: Draw) -> Fault:
    """Lose most rows of a table, here and there."""
    ledger, source, table, clock, hours = draw.chosen.choice((
        ("exchange", "exchange_coinspot_prices", "exchange.quote", "observed_at", 2), ("human", "human_news", "human.news",
        "published_at", 30),
        ("glass", "glass_market_candles", "glass.market_candle", "opened_at", 3),
    ))  # fmt: skip
    span = (draw.now - draw.between(hours * HOUR, 2 * hours * HOUR), draw.now)
    lost = draw.chosen.choice([0.75, 0.9])
    statement = f"""DELETE FROM {table} WHERE source = '{source}' AND {clock} >= %(since)s AND abs(hashtext({clock}::text)) %% 1000
        < {1000 * lost:.0f}"""
    details = described(f"{lost:.0%} of {table}", span, draw.now)
    return Fault("a drop of volume", details, ledger, (f"{table.split('.')[1]}_",), (statement,), _bound(span))  # type: ignore[arg-type]


def late(draw: Draw) -> Fault:
    """Learn of rows long after they came true."""
    ledger, source, table, clock, cadence, _ = draw.chosen.choice([one for one in _SAMPLED if one[2] != "glass.market_candle"])
    by = draw.between(5 * cadence, 8 * cadence) + 10 * MINUTE
    span = (draw.now - by - max(40 * MINUTE, 5 * cadence), draw.now)
    statements = (
        f"""UPDATE {table} SET recorded_at = {clock} + %(by)s WHERE source = '{source}' AND {clock} >= %(since)s AND {clock} < %(until)s""",
        f"DELETE FROM {table} WHERE source = '{source}' AND recorded_at > %(now)s",
    )
    bound = {**_bound(span), "by": by, "now": draw.now}
    return Fault("late rows", described(table, span, draw.now), ledger, (f"{table.split('.')[1]}_",), statements, bound)


def _rows_since(source: str, endpoint: str) -> tuple[str, ...]:
    filled = _FILLED_BY.get((source, endpoint))
    if filled is None:
        return ()
    only = f" AND feed = '{endpoint}'" if source == "human_news" else " AND interval = '1m'" if source == "glass_market_candles" else ""
    return (f"DELETE FROM {filled[0]} WHERE source = '{source}' AND {filled[1]} >= %(since)s{only}",)


def _bears(source: str, endpoint: str) -> tuple[str, ...]:
    filled = _FILLED_BY.get((source, endpoint))
    return (f"{filled[0].split('.')[1]}_",) if filled else ()


def _bound(span: tuple[object, object]) -> dict[str, object]:
    return {"since": span[0], "until": span[1]}


KINDS = (missing_symbol, missing_symbol, gap, gap, silent, dead, dead, thin, late)
