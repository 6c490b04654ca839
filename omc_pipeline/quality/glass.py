"""What is asked of glass: TVL, fees and coin prices that can be true."""

from __future__ import annotations

from collections.abc import Mapping

from omc_pipeline.ledgers.glass import (
    API_CREDIT,
    CHAIN_BLOCK,
    CHAIN_TVL,
    COIN_PRICE,
    FX_RATE,
    MARKET_CANDLE,
    PROTOCOL_DAY,
    PROTOCOL_FEES,
    PROTOCOL_REVENUE,
    PROTOCOL_TVL,
    SMART_MONEY_FLOW,
)
from omc_pipeline.quality.check import Check, TableRules, row_check
from omc_pipeline.quality.parts import candle_parts, protocol_parts
from omc_pipeline.quality.symbols import dollar_jumps

DAY_S = 86400
TVL_DAY_FACTOR = 2.0
"""TVL that doubles or halves within a day is more often a mended adapter than a market. Histories have a point each midnight, so a day
earlier means the newest point 12 to 36 hours before."""
PRICE_STEP_FACTOR = 1.5
CANDLES_S = 50 * 3600
"""A candle of a day is two days old when its day is over."""

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
        "abs(fees_24h_usd) < 1e10",
        "Fees of a day are below ten billion dollars.",
        at_least=0.98,
        advice="Look at the rows that the check names. DefiLlama corrects such values within hours; the corrected value becomes "
        "a new version.",
    ),
    row_check(
        PROTOCOL_FEES,
        "not_negative",
        "least(fees_24h_usd, fees_7d_usd, fees_30d_usd) >= 0",
        "Fees are negative only where a source has corrected what it had told too high.",
        severity="warning",
        needs_rows=False,
        advice="Look at the protocol's page. A negative day is a correction of earlier ones; use the sums of 7 and 30 days.",
    ),
    row_check(
        PROTOCOL_FEES,
        "windows_nest",
        "CASE WHEN least(fees_24h_usd, fees_7d_usd, fees_30d_usd) >= 0"
        " THEN fees_24h_usd <= fees_7d_usd * 1.01 AND fees_7d_usd <= fees_30d_usd * 1.01 END",
        "A day's fees are part of the week's, a week's of the month's.",
        severity="warning",
        at_least=0.95,
        needs_rows=False,
        advice="Look at the protocol's page. A negative day, or an adapter that was corrected, breaks the sums for a while.",
    ),
)

_REVENUE = (
    row_check(
        PROTOCOL_REVENUE,
        "sane",
        "abs(revenue_24h_usd) < 1e10",
        "Revenue of a day is below ten billion dollars.",
        at_least=0.98,
        advice="Look at the rows that the check names. DefiLlama corrects such values within hours; the corrected value becomes "
        "a new version.",
    ),
    row_check(
        PROTOCOL_REVENUE,
        "within_fees",
        f"""(SELECT abs(w.revenue_30d_usd) <= f.fees_30d_usd * 1.01 FROM {PROTOCOL_FEES.qualified} AS f
            WHERE f.source = :source AND f.protocol = w.protocol AND f.observed_at = w.observed_at AND f.fees_30d_usd > 0
            ORDER BY f.version DESC LIMIT 1)""",
        "Revenue is a part of the fees.",
        severity="warning",
        at_least=0.95,
        needs_rows=False,
        advice="Look at the protocol's page: grants and liquidations may count as revenue and not as fees.",
    ),
)

_DAYS = (
    row_check(
        PROTOCOL_DAY,
        "sane",
        "abs(amount_usd) < 1e10",
        "Fees and revenue of a day are below ten billion dollars.",
        at_least=0.98,
        advice="Look at the rows that the check names. DefiLlama corrects such values; the corrected value becomes a new version.",
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

_CANDLES = (
    row_check(
        MARKET_CANDLE,
        "range",
        "low > 0 AND low <= least(open, close) AND high >= greatest(open, close) AND volume >= 0 AND trades >= 0",
        "Prices are positive, open and close lie between low and high, and no volume is negative.",
        advice="Look at the rows that the check names and at the venue's chart; a corrected candle becomes a new version.",
    ),
    row_check(
        MARKET_CANDLE,
        "averages_within",
        "vwap BETWEEN low AND high",
        "The average price lies between low and high.",
        severity="warning",
        at_least=0.98,
        needs_rows=False,
        advice="Look at the rows. A venue that was down may tell averages of nothing; the prices themselves can be used.",
    ),
    row_check(
        MARKET_CANDLE,
        "completed",
        "is_final OR opened_at > :now - CASE interval WHEN '1m' THEN interval '10 min' WHEN '5m' THEN interval '20 min'"
        " WHEN '1h' THEN interval '2 h' ELSE interval '26 h' END",
        "Candles whose span is over have been replaced by their final version.",
        severity="warning",
        dimension="timeliness",
        at_least=0.98,
        needs_rows=False,
        advice="Ask the venue again: `omc collect glass_market_candles`. If it stays so, take the market off `pairs`.",
    ),
)

_FX = (
    row_check(
        FX_RATE,
        "positive",
        "rate > 0",
        "Reference rates are positive.",
        advice="Look at the bank's page. A rate that it corrects becomes a new version with the next collection.",
    ),
    Check(
        "fx_rate_day_steps",
        "accuracy",
        "warning",
        "Share of steps between neighbouring reference rates below a tenth.",
        fact="""(SELECT avg((rate BETWEEN before * 0.9 AND before * 1.1)::int) FROM (
            SELECT rate, lag(rate) OVER (PARTITION BY base, currency ORDER BY observed_at) AS before FROM w
            ) AS steps WHERE before > 0)""",
        low=0.99,
        best=1.0,
        worst=0.9,
        table=FX_RATE,
        needs_rows=False,
        advice="Compare with another bank. A devalued or renamed currency makes such steps; look at fills of those days.",
    ),
)

_BLOCKS = (
    row_check(
        CHAIN_BLOCK,
        "gas",
        "gas_used <= gas_limit AND base_fee_gwei >= 0",
        "Blocks use no more gas than they could take.",
        advice="Compare the block with an explorer. A node that tells such blocks should be taken off `hosts` in `omc.toml`.",
    ),
    Check(
        "chain_block_rises",
        "accuracy",
        "warning",
        "A later block has a higher number.",
        fact="""(SELECT avg((number > before)::int) FROM (
            SELECT number, lag(number) OVER (PARTITION BY chain ORDER BY observed_at) AS before FROM w
            ) AS steps WHERE before IS NOT NULL)""",
        low=0.98,
        best=1.0,
        worst=0.5,
        table=CHAIN_BLOCK,
        needs_rows=False,
        advice="Compare with an explorer: a node may follow another branch or lag behind. Take it off `hosts` if it stays so.",
    ),
)

_FLOWS = (
    row_check(
        SMART_MONEY_FLOW,
        "sane",
        "abs(net_flow_24h_usd) < 1e11 AND coalesce(traders, 0) >= 0",
        "Flows of a day are below a hundred billion dollars.",
        advice="Look at the token. A price that the source has wrong makes such flows; don't use them.",
    ),
    row_check(
        SMART_MONEY_FLOW,
        "told",
        "num_nonnulls(net_flow_24h_usd, net_flow_7d_usd) > 0",
        "A flow of a day or a week is told of each token.",
        advice="Compare the answer with the documentation of the API: its fields may have been renamed.",
    ),
)

_CHAINS = (
    row_check(
        CHAIN_TVL,
        "sane",
        "tvl_usd >= 0 AND tvl_usd < 1e12",
        "TVL is not negative and below a trillion dollars.",
        advice="Compare with the page of the chain; DefiLlama corrects such values within hours.",
    ),
)

RULES: Mapping[str, TableRules] = {
    # Histories come a point a day; that the present is asked for each hour, the check of the last look sees.
    PROTOCOL_TVL.qualified: TableRules(
        interval_s=DAY_S, breadth=3, learns_interval=True, checks=(*_TVL, protocol_parts(PROTOCOL_TVL, "tvl_usd"))
    ),
    PROTOCOL_FEES.qualified: TableRules(breadth=3, coverage=0.95, checks=(*_FEES, protocol_parts(PROTOCOL_FEES, "fees_24h_usd"))),
    PROTOCOL_REVENUE.qualified: TableRules(
        breadth=3, coverage=0.95, checks=(*_REVENUE, protocol_parts(PROTOCOL_REVENUE, "revenue_24h_usd"))
    ),
    # Days are told of once they are over, some hours late, and not every protocol of every list has fees.
    PROTOCOL_DAY.qualified: TableRules(interval_s=DAY_S, delay_s=36 * 3_600, keeps_things=False, checks=_DAYS),
    # A market without a trade has no candle, and days are told of once a day: not every thing in every span.
    MARKET_CANDLE.qualified: TableRules(breadth=2, window_s=CANDLES_S, delay_s=120, keeps_things=False, checks=(*_CANDLES, candle_parts())),
    # Working days only: from Friday to Monday is the usual gap, and Easter has five days.
    FX_RATE.qualified: TableRules(interval_s=2 * DAY_S, delay_s=7_200, checks=_FX),
    # A block of Bitcoin comes each ten minutes in the mean, and may take an hour.
    CHAIN_BLOCK.qualified: TableRules(interval_s=1800, delay_s=60, checks=_BLOCKS),
    # Tokens enter and leave the list of those with a flow worth telling.
    SMART_MONEY_FLOW.qualified: TableRules(keeps_things=False, checks=_FLOWS),
    API_CREDIT.qualified: TableRules(
        checks=(
            row_check(
                API_CREDIT,
                "positive",
                "cost >= 0",
                "No answer cost less than nothing.",
                advice="Compare the headers of the answer with the documentation of the API.",
            ),
        )
    ),
    CHAIN_TVL.qualified: TableRules(checks=_CHAINS),
    COIN_PRICE.qualified: TableRules(delay_s=600, checks=(*_PRICES, dollar_jumps())),
}
