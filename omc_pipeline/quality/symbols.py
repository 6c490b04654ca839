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
STILL_FACTOR = 1.01
"""A coin whose highest dollar price is below its lowest times this has not moved."""
LEAST_SYMBOLS = 3

_MID = "coalesce((bid + ask) / 2, last)"
_USABLE = f"(SELECT symbol, currency, observed_at, ln({_MID}) AS price FROM w WHERE {_MID} > 0)"

_MOVES = f"""(SELECT usable.symbol, usable.currency, observed_at, price - usual AS move, usual FROM {_USABLE} AS usable
    JOIN (SELECT symbol, currency, percentile_disc(0.5) WITHIN GROUP (ORDER BY price) AS usual FROM {_USABLE} AS u
        GROUP BY symbol, currency HAVING count(*) >= {LEAST_QUOTES}) AS middle USING (symbol, currency))"""
"""How far each quote stands from the median of its market within the window, as a logarithm."""

_PAIRS = f"""(SELECT u.symbol, u.currency, p.observed_at,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY u.price) - ln(p.price_usd) AS rate
    FROM (SELECT DISTINCT ON (symbol) symbol, observed_at, price_usd FROM {COIN_PRICE.qualified}
        WHERE observed_at > :now - interval '2 h' AND observed_at <= :now AND price_usd > 0
        ORDER BY symbol, observed_at DESC, version DESC) AS p
    JOIN {_USABLE} AS u ON u.symbol = p.symbol AND u.currency = 'AUD'
        AND u.observed_at BETWEEN p.observed_at - interval '5 min' AND p.observed_at + interval '5 min'
    GROUP BY u.symbol, u.currency, p.observed_at, p.price_usd)"""
"""Logarithm of the AUD a dollar that each symbol implies, where quotes and dollar price are of the same ten minutes."""

_OF_VENUES = f"""(SELECT pairs.*, rate - middle AS off FROM {_PAIRS} AS pairs,
    (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY rate) AS middle, count(*) AS symbols FROM {_PAIRS} AS p) AS all_pairs
    WHERE symbols >= {LEAST_SYMBOLS})"""

_JUMPS = f"""(SELECT moves.*,
        abs(move - market) > greatest({SPIKE_RANGE[0]}, least({SPIKE_RANGE[1]}, {SPIKE_DEVIATIONS} * spread)) AS is_far
    FROM {_MOVES} AS moves
    JOIN (SELECT observed_at, CASE WHEN count(*) >= {LEAST_SYMBOLS} THEN percentile_disc(0.5) WITHIN GROUP (ORDER BY move) ELSE 0 END
        AS market FROM {_MOVES} AS m GROUP BY observed_at) AS markets USING (observed_at)
    JOIN (SELECT symbol, currency, percentile_disc(0.5) WITHIN GROUP (ORDER BY abs(move)) AS spread FROM {_MOVES} AS m
        GROUP BY symbol, currency) AS spreads USING (symbol, currency))"""
"""Each quote, and whether it is far from its usual price although the market is not."""

_RATE = f"(SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY rate) FROM {_PAIRS} AS p)"
_CONFIRMED = f"""coalesce((SELECT bool_or(abs(jumps.usual + jumps.move - ln(c.price_usd) - {_RATE}) < {CONFIRMED_RANGE})
    FROM {COIN_PRICE.qualified} AS c WHERE c.symbol = jumps.symbol AND c.price_usd > 0
    AND c.observed_at BETWEEN jumps.observed_at - interval '75 min' AND jumps.observed_at + interval '75 min'), false)"""
_SPIKES = f"(SELECT * FROM {_JUMPS} AS jumps WHERE is_far AND NOT {_CONFIRMED})"

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
