"""What is asked of glass: TVL, fees and coin prices that can be true."""

from __future__ import annotations

from collections.abc import Mapping

from omc_pipeline.ledgers.glass import COIN_PRICE, PROTOCOL_FEES, PROTOCOL_TVL
from omc_pipeline.quality.check import Check, TableRules, row_check

DAY_S = 86400
TVL_DAY_FACTOR = 2.0
"""TVL that doubles or halves within a day is more often a mended adapter than a market. Histories have a point each midnight, so a day
earlier means the newest point 12 to 36 hours before."""
PRICE_STEP_FACTOR = 1.5

_TVL = (
    row_check(
        PROTOCOL_TVL,
        "sane",
        "tvl_usd >= 0 AND tvl_usd < 1e12",
        "TVL is not negative and below a trillion dollars.",
        advice="Look at the rows that the check names. DefiLlama corrects such values within hours; the corrected value becomes "
        "a new version.",
    ),
    row_check(
        PROTOCOL_TVL,
        "mcap_positive",
        "mcap_usd > 0",
        "Market caps are positive.",
        severity="warning",
        at_least=0.9,
        needs_rows=False,
        advice="Look at the rows. A coin without a market has no market value: the source should leave it out.",
    ),
    Check(
        "protocol_tvl_day_change",
        "accuracy",
        "warning",
        "Share of protocols whose TVL moved by less than a factor of two in a day.",
        fact=f"""(SELECT avg((newest.tvl_usd BETWEEN earlier.tvl_usd / {TVL_DAY_FACTOR} AND earlier.tvl_usd * {TVL_DAY_FACTOR})::int)
            FROM (SELECT DISTINCT ON (protocol) protocol, observed_at, tvl_usd FROM w ORDER BY protocol, observed_at DESC) AS newest
            CROSS JOIN LATERAL (
                SELECT tvl_usd FROM {PROTOCOL_TVL.qualified} AS t
                WHERE t.source = :source AND t.protocol = newest.protocol AND t.tvl_usd > 0
                AND t.observed_at BETWEEN newest.observed_at - interval '36 h' AND newest.observed_at - interval '12 h'
                ORDER BY t.observed_at DESC, t.version DESC LIMIT 1) AS earlier)""",
        low=0.9,
        best=1.0,
        worst=0.5,
        table=PROTOCOL_TVL,
        needs_rows=False,
        advice="Look at the protocol's page. A hack, an exit or a new adapter explains it; otherwise DefiLlama corrects it within days.",
    ),
)

_FEES = (
    row_check(
        PROTOCOL_FEES,
        "sane",
        "fees_24h_usd >= 0 AND fees_24h_usd < 1e10",
        "Fees of a day are not negative and below ten billion dollars.",
        at_least=0.98,
        advice="Look at the rows that the check names. DefiLlama corrects such values within hours; the corrected value becomes "
        "a new version.",
    ),
    row_check(
        PROTOCOL_FEES,
        "windows_nest",
        "fees_24h_usd <= fees_7d_usd * 1.01 AND fees_7d_usd <= fees_30d_usd * 1.01",
        "A day's fees are part of the week's, a week's of the month's.",
        severity="warning",
        at_least=0.95,
        needs_rows=False,
        advice="Look at the protocol's page. A negative day, or an adapter that was corrected, breaks the sums for a while.",
    ),
)

_PRICES = (
    row_check(
        COIN_PRICE,
        "positive",
        "price_usd > 0",
        "Prices are positive.",
        advice="Look at the coin's page. A coin that was taken off all markets has no price: remove it from `coins` in `omc.toml`.",
    ),
    row_check(
        COIN_PRICE,
        "confidence",
        "confidence BETWEEN 0.5 AND 1",
        "The source is confident, on a scale up to 1.",
        severity="warning",
        at_least=0.9,
        needs_rows=False,
        advice="Few venues trade the coin. Use its price with care, or remove it from `coins` in `omc.toml`.",
    ),
    Check(
        "coin_price_steps",
        "accuracy",
        "warning",
        "Share of steps between neighbouring prices below a factor of one and a half.",
        fact=f"""(SELECT avg((price_usd BETWEEN before / {PRICE_STEP_FACTOR} AND before * {PRICE_STEP_FACTOR})::int) FROM (
            SELECT price_usd, lag(price_usd) OVER (PARTITION BY symbol ORDER BY observed_at) AS before FROM w
            ) AS steps WHERE before > 0)""",
        low=0.98,
        best=1.0,
        worst=0.8,
        table=COIN_PRICE,
        needs_rows=False,
        advice="Compare with another source. A redenominated coin or a wrong coin id makes such steps; check `coins` in `omc.toml`.",
    ),
)

RULES: Mapping[str, TableRules] = {
    # Histories come a point a day; that the present is asked for each hour, the check of the last look sees.
    PROTOCOL_TVL.qualified: TableRules(interval_s=DAY_S, breadth=3, checks=_TVL),
    PROTOCOL_FEES.qualified: TableRules(breadth=3, checks=_FEES),
    COIN_PRICE.qualified: TableRules(breadth=3, delay_s=600, checks=_PRICES),
}
