"""Whether the whole is what its parts are: a protocol and its parts, an hour's candle and its minutes."""

from __future__ import annotations

from omc_pipeline.ledgers.glass import MARKET_CANDLE
from omc_pipeline.ledgers.table import LedgerTable
from omc_pipeline.quality.check import Check

PART_RANGE = 0.15
"""By this logarithm the sum of the parts may exceed the whole, or their ratio may move."""
PRICE_RANGE, VOLUME_RANGE = 0.005, 0.05
"""Shares by which a candle may differ from what its parts make."""


def protocol_parts(table: LedgerTable, amount: str) -> Check:
    """Ask whether the parts of each protocol sum up to the same share of the whole as before, and to no more than the whole.

    Not every part is followed, so the share may be any, but it doesn't jump.
    """
    hour = "date_trunc('hour', observed_at, 'UTC')"
    sums = f"""(SELECT whole, moment, ln((parts / total)::float8) AS share, row_number() OVER (PARTITION BY whole ORDER BY moment
        DESC) AS place
        FROM (SELECT coalesce(parent, protocol) AS whole, {hour} AS moment, sum({amount}) FILTER (WHERE parent IS NOT NULL) AS parts,
            sum({amount}) FILTER (WHERE parent IS NULL) AS total FROM w GROUP BY 1, 2) AS sums WHERE parts > 0 AND total > 0)"""
    off = f"""(SELECT whole, max(moment) AS at, max(share) FILTER (WHERE place = 1) AS share,
            coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY share) FILTER (WHERE place > 1), max(share)) AS usual
        FROM {sums} AS s GROUP BY whole) AS families"""
    is_off = f"share > {PART_RANGE} OR abs(share - usual) > {PART_RANGE}"
    return Check(
        f"{table.name}_parts_agree", "accuracy", "critical", "The parts of a protocol are as much of the whole as before, and no more "
        "than it.",
        unit="count", table=table, fact=f"(SELECT count(*) FILTER (WHERE {is_off}) FROM {off} HAVING count(*) > 0)", high=0,
        needs_rows=False,
        failing=f"""SELECT concat_ws(' ', whole, 'at', at, 'parts are', round(exp(share)::numeric, 3), 'of it, usually',
            round(exp(usual)::numeric, 3))
            FROM {off} WHERE {is_off}""",
        advice="Compare the protocol and its parts with the source's pages. A part that was counted twice or left out is corrected "
        "there within "
        "hours; the corrected value becomes a new version. Don't use the sum until then.",
    )  # fmt: skip


def candle_parts() -> Check:
    """Ask whether each finished candle holds what its shorter ones do: no less, and where they are all there no more."""
    table, market = MARKET_CANDLE, "venue, symbol, currency"
    bins = " UNION ALL ".join(
        f"""SELECT {market}, '{whole}' AS whole, opened_at AS at, high, low, volume, true AS is_whole FROM w WHERE interval =
            '{whole}' AND is_final
        UNION ALL SELECT {market}, '{whole}', date_bin('{span}', opened_at, '2000-01-01Z'), high, low, volume, false FROM w
            WHERE interval = '{part}' AND is_final"""
        for whole, part, span in (("5m", "1m", "5 min"), ("1h", "5m", "1 h"), ("1d", "1h", "1 d"))
    )
    parts_of = "CASE whole WHEN '5m' THEN 5 WHEN '1h' THEN 12 ELSE 24 END"
    sums = f"""(SELECT {market}, whole, at, {parts_of} = count(*) FILTER (WHERE NOT is_whole) AS is_full,
            max(high) FILTER (WHERE is_whole) AS high, max(high) FILTER (WHERE NOT is_whole) AS highest,
            min(low) FILTER (WHERE is_whole) AS low, min(low) FILTER (WHERE NOT is_whole) AS lowest,
            sum(volume) FILTER (WHERE is_whole) AS volume, sum(volume) FILTER (WHERE NOT is_whole) AS volumes
        FROM ({bins}) AS bins GROUP BY {market}, whole, at HAVING bool_or(is_whole) AND NOT bool_and(is_whole)) AS candles"""
    is_off = f"""highest > high * {1 + PRICE_RANGE} OR lowest < low * {1 - PRICE_RANGE} OR volumes > volume * {1 + VOLUME_RANGE}
        OR is_full AND (highest < high * {1 - PRICE_RANGE} OR lowest > low * {1 + PRICE_RANGE} OR volumes < volume * {1 - VOLUME_RANGE})"""
    return Check(
        f"{table.name}_parts_agree", "accuracy", "critical", "A candle holds what its shorter ones do.", unit="count", table=table,
        fact=f"(SELECT count(*) FILTER (WHERE {is_off}) FROM {sums} HAVING count(*) > 0)", high=0, needs_rows=False,
        failing=f"""SELECT concat_ws(' ', {market}, whole, at, 'high', trim_scale(high), 'parts', trim_scale(highest), 'low',
            trim_scale(low), 'parts',
            trim_scale(lowest), 'volume', trim_scale(volume), 'parts', trim_scale(volumes)) FROM {sums} WHERE {is_off} ORDER BY at DESC""",
        advice="Look at the venue's chart of that time. A venue corrects candles after an outage: ask again with `omc collect "
        "glass_market_candles`. If they still differ, use the shorter ones.",
    )  # fmt: skip
