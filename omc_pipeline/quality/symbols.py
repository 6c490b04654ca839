"""What is asked of each symbol's quotes alone: one wrong symbol among hundreds must show.

Not here: checks of single rows, and of a venue as a whole; they are in ``exchange``.
"""

from __future__ import annotations

from omc_pipeline.ledgers.exchange import QUOTE
from omc_pipeline.ledgers.glass import COIN_PRICE
from omc_pipeline.quality.check import Check

LEAST_QUOTES = 6
"""Fewer quotes of a symbol within the window say nothing about what is usual for it."""
SPIKE_RANGE = (0.1, 0.25)
"""A quote is far off from these logarithms of the ratio on, whatever the median absolute deviation is."""
SPIKE_DEVIATIONS = 8
VENUE_RANGE = 0.1
CONFIRMED_RANGE = 0.05
ALONE_RANGE = 0.7
"""Where no dollar price of the time could confirm a move, only a logarithm above this (a doubling) is taken for a fault."""
DOLLAR_RANGE = 0.3
AUD_RANGE = (1.1, 2.1)
"""Band of the AUD price of a US dollar."""
LEAP_FACTOR = 3
LEAST_STILL_S, ALL_STILL_S = 900, 2700
LEAST_CHANGES, MISSED_CHANGES = 5, 15
"""From so many changes a market's usual pace is known; so many changes must be missing before it counts as stuck."""
STILL_FACTOR = 1.01
"""A coin whose highest dollar price is below its lowest times this has not moved."""
LEAST_SYMBOLS = 3

_MID = "coalesce((bid + ask) / 2, last)"
_USABLE = f"(SELECT symbol, currency, observed_at, ln(({_MID})::float8) AS price FROM w WHERE {_MID} > 0)"


def _median(value: str, group: str) -> str:
    """Return the window aggregate that takes the middle of ``value``; its rows need ``place``, their rank in the group, and ``n``."""
    return f"max({value}) FILTER (WHERE place = (n + 1) / 2) OVER (PARTITION BY {group})"


def _ranked(rows: str, value: str, group: str) -> str:
    """Return the rows with what ``_median`` needs.

    Medians are window functions, and no joins of groups to their rows: PostgreSQL has no statistics of ``w``, takes it for small and
    joins by nested loops, which took 40 s for 72,000 quotes of 200 symbols.
    """
    return f"""(SELECT r.*, row_number() OVER (PARTITION BY {group} ORDER BY {value}) AS place,
        count(*) OVER (PARTITION BY {group}) AS n FROM {rows} AS r)"""


_MARKET = "symbol, currency"
_OF_MARKET = _ranked(_USABLE, "price", _MARKET)
_USUAL = f"(SELECT symbol, currency, observed_at, price, n, {_median('price', _MARKET)} AS usual FROM {_OF_MARKET} AS o)"
_MOVES = f"(SELECT symbol, currency, observed_at, usual, price - usual AS move FROM {_USUAL} AS u WHERE n >= {LEAST_QUOTES})"
"""How far each quote stands from the median of its market within the window, as a logarithm."""

_AT_ONCE = _ranked(_MOVES, "move", "observed_at")
_MARKETS = f"""(SELECT symbol, currency, observed_at, usual, move,
    CASE WHEN n >= {LEAST_SYMBOLS} THEN {_median("move", "observed_at")} ELSE 0 END AS market FROM {_AT_ONCE} AS a)"""
_BY_SIZE = _ranked(_MARKETS, "abs(move)", _MARKET)
_SPREADS = f"(SELECT symbol, currency, observed_at, usual, move, market, {_median('abs(move)', _MARKET)} AS spread FROM {_BY_SIZE} AS b)"
_JUMPS = f"""(SELECT s.*,
    abs(move - market) > greatest({SPIKE_RANGE[0]}, least({SPIKE_RANGE[1]}, {SPIKE_DEVIATIONS} * spread)) AS is_far
    FROM {_SPREADS} AS s)"""
"""Each quote, and whether it is far from its usual price although the market is not."""

_DOLLARS = f"""(SELECT DISTINCT ON (symbol) symbol, observed_at, ln(price_usd::float8) AS usd FROM {COIN_PRICE.qualified}
    WHERE observed_at > :now - interval '2 h' AND observed_at <= :now AND price_usd > 0
    ORDER BY symbol, observed_at DESC, version DESC)"""
_BESIDE = f"""(SELECT symbol, observed_at, price, max(usd_at) OVER (PARTITION BY symbol) AS usd_at,
    max(usd) OVER (PARTITION BY symbol) AS usd FROM (
        SELECT symbol, observed_at, price, NULL::timestamptz AS usd_at, NULL::float8 AS usd FROM {_USABLE} AS u WHERE currency = 'AUD'
        UNION ALL SELECT symbol, NULL, NULL, observed_at, usd FROM {_DOLLARS} AS d) AS both_venues)"""
_PAIRS = f"""(SELECT symbol, 'AUD' AS currency, usd_at AS observed_at, percentile_disc(0.5) WITHIN GROUP (ORDER BY price) - usd AS rate
    FROM {_BESIDE} AS beside WHERE observed_at BETWEEN usd_at - interval '5 min' AND usd_at + interval '5 min'
    GROUP BY symbol, usd_at, usd)"""
"""Logarithm of the AUD a dollar that each symbol implies, where quotes and dollar price are of the same ten minutes."""

_OF_VENUES = f"""(SELECT symbol, currency, observed_at, rate - middle AS off FROM (
    SELECT r.*, {_median("rate", "1")} AS middle FROM {_ranked(_PAIRS, "rate", "1")} AS r) AS rates WHERE n >= {LEAST_SYMBOLS})"""

_RATE = f"(SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY rate) FROM {_PAIRS} AS p)"
_NEAR = f"""{COIN_PRICE.qualified} AS c WHERE c.symbol = jumps.symbol AND c.price_usd > 0
    AND c.observed_at BETWEEN jumps.observed_at - interval '75 min' AND jumps.observed_at + interval '75 min'"""
_CONFIRMED = f"""(SELECT bool_or(abs(jumps.usual + jumps.move - ln(c.price_usd::float8) - {_RATE}) < {CONFIRMED_RANGE}) FROM {_NEAR})"""
_CONFIRMS_USUAL = f"""(SELECT bool_or(abs(jumps.usual - ln(c.price_usd::float8) - {_RATE}) < {CONFIRMED_RANGE})
    FROM {COIN_PRICE.qualified} AS c WHERE c.symbol = jumps.symbol AND c.price_usd > 0
        AND c.observed_at BETWEEN :now - interval '135 min' AND :now)"""
_SPIKES = f"""(SELECT * FROM (SELECT j.*, max(observed_at) FILTER (WHERE NOT is_far) OVER (PARTITION BY {_MARKET}) AS usual_at
        FROM {_JUMPS} AS j) AS jumps
    WHERE is_far AND NOT coalesce({_CONFIRMED} AND (usual_at < observed_at OR {_CONFIRMS_USUAL}), abs(move - market) < {ALONE_RANGE}))"""
"""Where a few quotes were right and most are wrong since, the few are far, and the dollar price confirms them and not what is usual now."""

_STEPS = (
    f"""(SELECT observed_at, price - lag(price) OVER (PARTITION BY symbol, currency ORDER BY observed_at) AS step FROM {_USABLE} AS u)"""
)
_LEAPS = f"""(SELECT observed_at, percentile_disc(0.5) WITHIN GROUP (ORDER BY step) AS step FROM {_STEPS} AS steps
    GROUP BY observed_at HAVING count(step) >= {LEAST_SYMBOLS})"""

_CHANGES = f"""(SELECT u.*, (price IS DISTINCT FROM lag(price) OVER (PARTITION BY {_MARKET} ORDER BY observed_at))::int AS is_new
    FROM {_USABLE} AS u)"""
_RUNS = f"""(SELECT {_MARKET}, run, min(observed_at) AS since, max(observed_at) AS until FROM (
        SELECT c.*, sum(is_new) OVER (PARTITION BY {_MARKET} ORDER BY observed_at) AS run FROM {_CHANGES} AS c) AS numbered
    GROUP BY {_MARKET}, run)"""
_LONGEST = f"""(SELECT DISTINCT ON ({_MARKET}) {_MARKET}, since, until, extract(epoch FROM until - since) AS lasted_s,
        count(*) OVER (PARTITION BY {_MARKET}) - 1 AS changes,
        extract(epoch FROM max(until) OVER (PARTITION BY {_MARKET}) - min(since) OVER (PARTITION BY {_MARKET}) - (until - since)) AS other_s
    FROM {_RUNS} AS runs ORDER BY {_MARKET}, until - since DESC)"""
"""The longest time for which each market repeats one price, and how often it changes otherwise."""
_CHANGED_YESTERDAY = f"""(SELECT count(DISTINCT {_MID}) FROM {QUOTE.qualified} AS q WHERE q.source = :source AND q.symbol = spans.symbol
    AND q.currency = spans.currency AND q.observed_at BETWEEN :now - interval '25 h' AND :now - interval '24 h')"""
_DOLLAR_MOVES = f"""(SELECT max(price_usd) > min(price_usd) * {STILL_FACTOR} FROM {COIN_PRICE.qualified} AS c WHERE c.symbol = spans.symbol
    AND c.price_usd > 0 AND c.observed_at BETWEEN spans.since - interval '1 h' AND :now)"""
_STILL = f"""(SELECT spans.*, lasted_s >= {LEAST_STILL_S} AND (
        changes >= {LEAST_CHANGES} AND other_s > 0 AND changes * lasted_s >= {MISSED_CHANGES} * other_s
        OR changes < {LEAST_CHANGES} AND {_CHANGED_YESTERDAY} >= {MISSED_CHANGES}
        OR changes = 0 AND lasted_s >= {ALL_STILL_S} AND {_DOLLAR_MOVES} IS TRUE
            AND (SELECT avg((changes > 0)::int) FROM {_LONGEST} AS others) >= 0.5) AS is_stuck
    FROM {_LONGEST} AS spans)"""
"""A market is stuck where it repeats a price for longer than a dozen of its own changes take; one that changed before the window is known
by the same hour of yesterday; of a new one it is the dollar price that tells."""

_LOST = f"""(SELECT symbol, currency, since, array_remove(ARRAY[
        {", ".join(f"CASE WHEN no_{name} AND had.{name} THEN '{name}' END" for name in ("bid", "ask", "last"))}], NULL) AS fields
    FROM (SELECT {_MARKET}, min(observed_at) AS since, {
    ", ".join(f"bool_and({name} IS NULL) AS no_{name}" for name in ("bid", "ask", "last"))
}
        FROM w GROUP BY {_MARKET} HAVING num_nulls(max(bid), max(ask), max(last)) > 0) AS lacking
    CROSS JOIN LATERAL (SELECT {", ".join(f"{name} IS NOT NULL AS {name}" for name in ("bid", "ask", "last"))} FROM {QUOTE.qualified} AS q
        WHERE q.source = :source AND q.symbol = lacking.symbol AND q.currency = lacking.currency
        AND q.observed_at BETWEEN :now - interval '26 h' AND :now - interval '24 h' ORDER BY q.observed_at DESC LIMIT 1) AS had)"""


def dollar_jumps() -> Check:
    """Ask whether a coin's dollar price leaps alone, and back or not, while our venue's quotes say otherwise."""
    hour = "date_trunc('hour', observed_at)"
    steps = f"""(SELECT symbol, observed_at, price_usd, step, {hour} AS hour FROM (
        SELECT symbol, observed_at, price_usd, ln((price_usd / lag(price_usd) OVER of)::float8) AS step, observed_at -
            lag(observed_at) OVER of
            AS apart FROM w WHERE price_usd > 0 WINDOW of AS (PARTITION BY symbol ORDER BY observed_at)) AS s
        WHERE apart <= interval '3 h')"""
    at_once = f"(SELECT r.*, {_median('step', 'hour')} AS market FROM {_ranked(steps, 'step', 'hour')} AS r)"
    agrees = f"""(SELECT q.mid / leaps.price_usd BETWEEN {{low}} AND {{high}} FROM (SELECT {_MID} AS mid FROM {QUOTE.qualified} AS q
        WHERE q.symbol = leaps.symbol AND q.currency = 'AUD' AND q.observed_at BETWEEN leaps.observed_at - interval '10 min'
        AND leaps.observed_at + interval '10 min' ORDER BY q.observed_at LIMIT 1) AS q)"""
    known = agrees.format(low=AUD_RANGE[0], high=AUD_RANGE[1])
    leaps = f"""(SELECT * FROM {at_once} AS leaps WHERE abs(step - CASE WHEN n >= {LEAST_SYMBOLS} THEN market ELSE 0 END) > {DOLLAR_RANGE}
        AND NOT coalesce({known}, abs(step) < {ALONE_RANGE}))"""
    return Check(
        "coin_price_symbol_leaps", "accuracy", "critical", "No dollar price leaps alone while the venue's quotes say otherwise.",
        fact=f"(SELECT count(DISTINCT symbol) FROM {leaps} AS leaps)", high=0, unit="count", table=COIN_PRICE, needs_rows=False,
        failing=f"""SELECT concat_ws(' ', symbol, 'times', round(exp(step)::numeric, 4), 'the price before, at', observed_at) FROM
            {leaps} AS leaps
            ORDER BY observed_at DESC""",
        advice="Compare the coin's page at the source. A factor near 10, 100 or 1000 is a wrong unit, any other a wrong coin id: check "
        "the coin ids "
        "in `omc.toml`. If the source was wrong for a while, its correction becomes a new version.",
    )  # fmt: skip


def symbol_checks(aud_per_usd: tuple[float, float]) -> tuple[Check, ...]:
    """Return the checks of quotes; ``aud_per_usd`` is the band of the AUD price of a US dollar."""
    low, high = aud_per_usd
    return (*SYMBOL_CHECKS, Check(
        "quote_fx_band", "accuracy", "critical", "The AUD price of a dollar that quotes and dollar prices of the same minutes imply is "
        "a real one.",
        fact=f"exp({_RATE})", low=low, high=high, unit="ratio", table=QUOTE, needs_rows=False,
        advice="All quotes, or all dollar prices, are in another unit or currency than their tables say. Compare some symbols with "
        "their pages, "
        "and check the coin ids in `omc.toml`.",
    ))  # fmt: skip


SYMBOL_CHECKS = (
    Check(
        "quote_symbol_spikes",
        "accuracy",
        "critical",
        "No quote is far from its symbol's usual price while neither the market nor the dollar price has moved.",
        fact=f"(SELECT count(DISTINCT (symbol, currency)) FROM {_SPIKES} AS spikes)",
        failing=f"""SELECT concat_ws(' ', symbol, currency, 'times', round(exp(max(move))::numeric, 4), 'its usual price,', count(*),
            'quotes from', min(observed_at), 'to', max(observed_at)) FROM {_SPIKES} AS spikes
            GROUP BY symbol, currency, round(move::numeric, 1) ORDER BY count(*) DESC""",
        high=0,
        unit="count",
        table=QUOTE,
        needs_rows=False,
        advice="Compare the symbol with the venue's page. A factor near 10, 100 or 1000 is a wrong unit; the price of another coin "
        "means swapped symbols: correct the parser and run `omc replay`. A real move is confirmed by the next dollar price.",
    ),
    Check(
        "quote_symbol_agrees",
        "accuracy",
        "critical",
        "Each symbol's quotes agree with its dollar price within a tenth, at the rate that the other symbols imply.",
        fact=f"(SELECT count(*) FILTER (WHERE abs(off) > {VENUE_RANGE}) FROM {_OF_VENUES} AS venues HAVING count(*) > 0)",
        failing=f"""SELECT concat_ws(' ', symbol, currency, 'times', round(exp(off)::numeric, 4), 'its dollar price of', observed_at)
            FROM {_OF_VENUES} AS venues WHERE abs(off) > {VENUE_RANGE} ORDER BY abs(off) DESC""",
        high=0,
        unit="count",
        table=QUOTE,
        needs_rows=False,
        advice="Compare the symbol with the pages of both venues. Either one of them is stale or wrong, or the symbol stands for two "
        "coins: check the coin ids in `omc.toml`.",
    ),
    Check(
        "quote_leaps",
        "accuracy",
        "critical",
        f"The market as a whole does not move by a factor of {LEAP_FACTOR} from one quote to the next.",
        fact=f"(SELECT count(*) FILTER (WHERE abs(step) > ln({LEAP_FACTOR})) FROM {_LEAPS} AS leaps)",
        failing=f"""SELECT concat_ws(' ', 'all symbols times', round(exp(step)::numeric, 4), 'at', observed_at) FROM {_LEAPS} AS leaps
            WHERE abs(step) > ln({LEAP_FACTOR}) ORDER BY observed_at DESC""",
        high=0,
        unit="count",
        table=QUOTE,
        needs_rows=False,
        advice="Compare some symbols with the venue's page. All prices are in another unit or currency since the time that the check "
        "names: "
        "correct the parser and run `omc replay`.",
    ),
    Check(
        "quote_symbol_fields",
        "completeness",
        "critical",
        "No symbol lacks the bid, ask or last price that it had a day before.",
        fact=f"(SELECT count(*) FILTER (WHERE cardinality(fields) > 0) FROM {_LOST} AS lost)",
        failing=f"""SELECT concat_ws(' ', symbol, currency, 'lacks', array_to_string(fields, ', '), 'from', since, 'to now')
            FROM {_LOST} AS lost WHERE cardinality(fields) > 0""",
        high=0,
        unit="count",
        table=QUOTE,
        needs_rows=False,
        advice="Compare the symbol with the venue's page. Without trade there may be no bid or no ask; otherwise the upstream has "
        "renamed a "
        "key: correct the parser and run `omc replay`.",
    ),
    Check(
        "quote_symbol_moves",
        "accuracy",
        "critical",
        "No symbol repeats one price for much longer than it usually does.",
        fact=f"(SELECT count(*) FILTER (WHERE is_stuck) FROM {_STILL} AS still HAVING count(*) > 0)",
        failing=f"SELECT concat_ws(' ', symbol, currency, 'unchanged from', since, 'to', until) FROM {_STILL} AS still WHERE is_stuck",
        high=0,
        unit="count",
        table=QUOTE,
        needs_rows=False,
        advice="Compare the symbol with the venue's page. If its price moves there, the upstream repeats an old answer: don't use the "
        "quotes since the time that the check names, and wait.",
    ),
)
