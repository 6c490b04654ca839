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
_SPIKES = f"""(SELECT * FROM {_JUMPS} AS jumps
    WHERE is_far AND NOT coalesce({_CONFIRMED}, abs(move - market) < {ALONE_RANGE}))"""

_SPANS = f"""(SELECT symbol, currency, max(observed_at) AS until, min(observed_at) AS since,
        count(DISTINCT price) = 1 AND max(observed_at) - min(observed_at) >= interval '45 min' AS is_still
    FROM {_USABLE} AS u GROUP BY symbol, currency HAVING count(*) >= {LEAST_QUOTES})"""
_STILL = f"""(SELECT spans.*, is_still AND (SELECT avg((NOT is_still)::int) FROM {_SPANS} AS s) >= 0.5
        AND (SELECT max(price_usd) > min(price_usd) * {STILL_FACTOR} FROM {COIN_PRICE.qualified} AS c WHERE c.symbol = spans.symbol
            AND c.price_usd > 0 AND c.observed_at BETWEEN spans.since - interval '1 h' AND :now) IS TRUE AS is_stuck
    FROM {_SPANS} AS spans)"""
"""A market that doesn't move is stuck where most others move and so does the coin's dollar price."""

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
        "quote_symbol_moves",
        "accuracy",
        "critical",
        "No symbol's price stands still while most others, and its own dollar price, move.",
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
