"""What is asked of exchange, where a wrong row costs money: quotes one could trade on, fills whose arithmetic holds.

Fills are judged over all time, not over a window: one wrong fill is in the profit and loss for ever.
"""

from __future__ import annotations

from collections.abc import Mapping

from omc_pipeline.ledgers.exchange import BALANCE, FILL, QUOTE
from omc_pipeline.ledgers.glass import COIN_PRICE
from omc_pipeline.quality.check import Check, TableRules, row_check
from omc_pipeline.quality.symbols import symbol_checks

ALL_TIME_S = 20 * 366 * 86400
AUD_PER_USD = (1.1, 2.1)
"""Band of the AUD price of a US dollar; it has kept within since 2001."""
FILL_FACTOR, FILL_FACTOR_OF_DAY = 1.3, 1.6

_IMPLIED = f"""(SELECT q.mid / p.price_usd AS rate FROM (
        SELECT DISTINCT ON (symbol) symbol, observed_at, coalesce((bid + ask) / 2, last) AS mid FROM w
        WHERE currency = 'AUD' ORDER BY symbol, observed_at DESC) AS q
    CROSS JOIN LATERAL (
        SELECT c.price_usd FROM {COIN_PRICE.qualified} AS c WHERE c.symbol = q.symbol AND c.price_usd > 0
        AND c.observed_at BETWEEN q.observed_at - interval '1 h' AND q.observed_at + interval '1 h'
        ORDER BY abs(extract(epoch FROM c.observed_at - q.observed_at)), c.version DESC LIMIT 1) AS p
    WHERE q.mid > 0) AS implied"""
"""AUD a dollar that each symbol implies: its newest quote over the nearest dollar price within an hour."""
_SAME_TRADE = """d.user_id = w.user_id AND d.symbol = w.symbol AND d.executed_at = w.executed_at AND d.side = w.side
    AND d.qty = w.qty AND d.price = w.price AND (d.account_id, d.fill_id) <> (w.account_id, w.fill_id)
    AND NOT EXISTS (SELECT FROM exchange.fill_pair p WHERE p.state <> 'proposed' AND (
        (p.account_id, p.fill_id, p.duplicate_account_id, p.duplicate_fill_id) = (d.account_id, d.fill_id, w.account_id, w.fill_id)
        OR (p.account_id, p.fill_id, p.duplicate_account_id, p.duplicate_fill_id) = (w.account_id, w.fill_id, d.account_id, d.fill_id)))"""

_QUOTES = (
    row_check(
        QUOTE,
        "positive",
        "least(bid, ask, last) > 0",
        "Every price is positive.",
        blocking=True,
        worst=0.9,
        advice="Profit and loss does not use these prices while the check fails. Compare the market with the venue's page. If "
        "the venue answers nonsense, wait; it holds again with good quotes.",
    ),
    row_check(
        QUOTE,
        "uncrossed",
        "bid <= ask OR is_crossed",
        "No bid stands above its ask unmarked.",
        blocking=True,
        worst=0.9,
        advice="Compare the market with the venue's page. A crossed price that stays means that bid and ask are exchanged in the "
        "parser: correct it.",
    ),
    row_check(
        QUOTE,
        "few_crossed",
        "NOT is_crossed",
        "Few quotes are marked as crossed.",
        severity="warning",
        at_least=0.98,
        advice="Usual for a market with little trade. If many are crossed, bid and ask are exchanged in the parser: correct it.",
    ),
    row_check(
        QUOTE,
        "spread",
        "ask - bid <= 0.1 * (ask + bid) / 2",
        "Spreads are below ten per cent.",
        severity="warning",
        at_least=0.9,
        advice="Usual for markets with little trade. If it stays for large coins, compare with the venue's page: the market may be halted.",
    ),
    row_check(
        QUOTE,
        "last_near",
        "last BETWEEN bid * 0.8 AND ask * 1.25",
        "The last price lies near bid and ask.",
        severity="warning",
        at_least=0.9,
        needs_rows=False,
        advice="Usual after a sudden move or in a market without trade. If it stays for large coins, the venue's last price is stale.",
    ),
    Check(
        "quote_agrees_with_usd",
        "accuracy",
        "warning",
        "Share of symbols whose implied rate is within five per cent of the median one.",
        fact=f"""(SELECT CASE WHEN count(*) >= 3 THEN avg((abs(ln(rate / median)) <= 0.05)::int) END FROM {_IMPLIED},
              (SELECT (percentile_cont(0.5) WITHIN GROUP (ORDER BY rate))::numeric AS median FROM {_IMPLIED}) AS middle)""",
        low=0.8,
        best=1.0,
        worst=0.3,
        table=QUOTE,
        needs_rows=False,
        advice="One symbol stands for two coins, or one source is stale. Compare the symbols that differ, and check the coin ids "
        "in `omc.toml`.",
    ),
)

_MARKET_OF_FILL = f"""coalesce((SELECT CASE WHEN w.price BETWEEN q.mid / {FILL_FACTOR} AND q.mid * {FILL_FACTOR} THEN 1 ELSE 0 END FROM (
        SELECT coalesce((bid + ask) / 2, last) AS mid FROM {QUOTE.qualified} AS q WHERE q.symbol = w.symbol AND q.currency = w.currency
        AND q.observed_at BETWEEN w.executed_at - interval '10 min' AND w.executed_at + interval '10 min'
        ORDER BY abs(extract(epoch FROM q.observed_at - w.executed_at)) LIMIT 1) AS q WHERE q.mid > 0),
    (SELECT CASE WHEN w.price BETWEEN c.price_usd * low / {FILL_FACTOR_OF_DAY} AND c.price_usd * high * {FILL_FACTOR_OF_DAY} THEN 1
        ELSE 0 END FROM (
        SELECT price_usd FROM {COIN_PRICE.qualified} AS c WHERE c.symbol = w.symbol AND c.price_usd > 0
        AND c.observed_at BETWEEN w.executed_at - interval '26 h' AND w.executed_at + interval '26 h'
        ORDER BY abs(extract(epoch FROM c.observed_at - w.executed_at)) LIMIT 1) AS c,
        (VALUES ('AUD', {AUD_PER_USD[0]}, {AUD_PER_USD[1]}), ('USD', 1, 1), ('USDT', 1, 1), ('USDC', 1, 1)) AS money (currency, low, high)
        WHERE money.currency = w.currency)) = 1"""
"""Whether a fill's price is near the quote of its time, or where none is held near the dollar price of its day."""

_FILLS = (
    row_check(
        FILL,
        "positive",
        "qty > 0 AND price > 0 AND quote_amount > 0",
        "Quantity, price and amount are positive.",
        blocking=True,
        worst=0.9,
        needs_rows=False,
        advice="The user's profit and loss waits. Look at the fills that the check names and at their body. If the parser read "
        "them wrong, correct it and run `omc replay`.",
    ),
    row_check(
        FILL,
        "arithmetic",
        "abs(quote_amount - qty * price) <= greatest(0.01 * abs(quote_amount), 0.01)",
        "The amount is quantity times price within one per cent or one cent.",
        blocking=True,
        worst=0.9,
        needs_rows=False,
        advice="The user's profit and loss waits. Compare the fills with the venue's own history. A price that is the order's "
        "limit, or an amount that includes the fee, is read from the wrong field: correct the parser and run `omc "
        "replay`.",
    ),
    row_check(
        FILL,
        "near_market",
        f"""CASE WHEN kind = 'trade' AND price > 0 AND greatest(executed_at, recorded_at) > :now - interval '30 d' THEN
            {_MARKET_OF_FILL} END""",
        f"Trades that came in the last month are within a factor of {FILL_FACTOR} of the market, or {FILL_FACTOR_OF_DAY} of the price "
        f"of the day.",
        worst=0.9,
        needs_rows=False,
        advice="Compare the fills that the check names with the venue's history. A factor of 10 or 100 is a wrong unit, a price of "
        "another day a "
        "wrong time zone: correct the parser and run `omc replay`.",
    ),
    row_check(
        FILL,
        "fee_sign",
        "fee >= 0",
        "No fee is negative.",
        blocking=True,
        worst=0.9,
        needs_rows=False,
        advice="The user's profit and loss waits. A negative fee is a rebate at some venues: the parser has to treat it as such. "
        "Correct it and run `omc replay`.",
    ),
    row_check(
        FILL,
        "fee_known",
        "fee IS NOT NULL",
        "The fee of each fill is known.",
        severity="warning",
        dimension="completeness",
        needs_rows=False,
        advice="Profit and loss counts these fills without a fee and lists them as exceptions. Look the fee up at the venue and import it.",
    ),
    row_check(
        FILL,
        "value_known",
        "kind <> 'trade' OR (price IS NOT NULL AND quote_amount IS NOT NULL)",
        "The price and the amount of each trade are known.",
        severity="warning",
        dimension="completeness",
        needs_rows=False,
        advice="Profit and loss takes the one that is known. The venue gave the other as missing or as no number; a later answer that "
        "gives it completes the fill by itself.",
    ),
    row_check(
        FILL,
        "fee_size",
        "fee_currency <> currency OR fee <= 0.05 * quote_amount",
        "Fees are below five per cent.",
        severity="warning",
        at_least=0.95,
        needs_rows=False,
        advice="Compare the fills with the venue's history. The fee may be in another coin than the parser thinks.",
    ),
    row_check(
        FILL,
        "told_once",
        f"""NOT EXISTS (SELECT 1 FROM {FILL.qualified} AS d WHERE {_SAME_TRADE}
                  AND d.payload_sha256 IS DISTINCT FROM w.payload_sha256)""",
        "No trade is held twice under two ids from two answers.",
        blocking=True,
        worst=0.9,
        needs_rows=False,
        advice="The user's profit and loss waits. The venue has changed its trade ids, so that trades came a second time: "
        "compare the fills that the check names, and correct how the parser makes ids.",
    ),
    row_check(
        FILL,
        "no_twins",
        f"NOT EXISTS (SELECT 1 FROM {FILL.qualified} AS d WHERE {_SAME_TRADE})",
        "No two trades agree in everything but their id; possible, but rare.",
        severity="warning",
        at_least=0.98,
        needs_rows=False,
        advice="Compare the fills with the venue's history. If it lists two, all is well; if it lists one, correct how the "
        "parser makes ids.",
    ),
)

_UNEXPLAINED = f"""(SELECT * FROM (
    SELECT b.account_id, b.symbol, b.qty, b.observed_at, earlier.qty + moved.qty AS expected, max(b.observed_at) OVER (PARTITION BY
        b.user_id,
        b.account_id, b.symbol) AS until, min(b.observed_at) OVER (PARTITION BY b.user_id, b.account_id, b.symbol) AS since,
        abs(b.qty - earlier.qty - moved.qty) > 0.01 * greatest(abs(b.qty), abs(earlier.qty)) + moved.fees AS is_off,
        count(*) FILTER (WHERE abs(b.qty - earlier.qty - moved.qty) > 0.01 * greatest(abs(b.qty), abs(earlier.qty)) + moved.fees)
            OVER (PARTITION BY b.user_id, b.account_id, b.symbol) AS times_off
    FROM w AS b CROSS JOIN LATERAL (
        SELECT e.qty, e.observed_at FROM {BALANCE.qualified} AS e WHERE e.source = b.source AND e.user_id = b.user_id
            AND e.account_id = b.account_id AND e.symbol = b.symbol AND e.observed_at >= :now - interval '26 h'
        ORDER BY e.observed_at, e.version DESC LIMIT 1) AS earlier
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(CASE side WHEN 'buy' THEN qty ELSE -qty END), 0) AS qty,
            coalesce(sum(fee) FILTER (WHERE fee_currency = b.symbol), 0) AS fees FROM (
            SELECT DISTINCT ON (f.fill_id) * FROM {FILL.qualified} AS f WHERE f.user_id = b.user_id AND f.account_id = b.account_id
                AND f.executed_at > earlier.observed_at AND f.executed_at <= b.observed_at
                AND NOT EXISTS (SELECT FROM exchange.fill_pair p WHERE p.state = 'duplicate'
                    AND (p.duplicate_account_id, p.duplicate_fill_id) = (f.account_id, f.fill_id))
            ORDER BY f.fill_id, f.version DESC) AS latest WHERE symbol = b.symbol) AS moved
    WHERE NOT EXISTS (SELECT FROM {FILL.qualified} AS f WHERE f.user_id = b.user_id AND f.account_id = b.account_id
        AND f.currency = b.symbol)
    ) AS held WHERE is_off AND observed_at = until AND times_off > 1)"""
"""Newest balances that differ from an earlier one by more than what moved between, and not for the first time: a fill may be learned
of a moment after the balance. What is paid with moves with each trade, and isn't judged."""
_BALANCES = (
    row_check(
        BALANCE,
        "not_negative",
        "qty >= 0",
        "Nothing is held in the negative.",
        advice="Look at the account at the venue. A loan shows as a negative balance at some venues.",
    ),
    Check(
        "balance_follows_fills",
        "accuracy",
        "critical",
        "What a balance changed by in a day is what the fills and transfers of the time moved.",
        fact=f"CASE WHEN count(*) > 0 THEN (SELECT count(*) FROM {_UNEXPLAINED} AS unexplained) END",
        failing=f"""SELECT concat_ws(' ', account_id, symbol, 'held', trim_scale(qty), 'and not', trim_scale(expected), 'from',
            since, 'to', until)
            FROM {_UNEXPLAINED} AS unexplained""",
        high=0,
        unit="count",
        table=BALANCE,
        needs_rows=False,
        advice="Look at the account at the venue at once. A deposit or withdrawal explains it where transfers aren't collected: import the "
        "venue's history of transfers. What nobody did may be a theft.",
    ),
    Check(
        "balance_matches_fills",
        "accuracy",
        "info",
        "Share of coins whose balance is the sum of its fills; transfers explain the rest.",
        fact=f"""(SELECT avg((abs(b.qty - f.qty) <= 0.01 * greatest(abs(b.qty), abs(f.qty)))::int) FROM (
              SELECT DISTINCT ON (user_id, account_id, symbol) user_id, account_id, symbol, qty FROM w
              ORDER BY user_id, account_id, symbol, observed_at DESC) AS b
              JOIN (SELECT user_id, account_id, symbol, sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) AS qty FROM (
                  SELECT DISTINCT ON (account_id, fill_id) * FROM {FILL.qualified} f WHERE NOT EXISTS (
                      SELECT FROM exchange.fill_pair p WHERE p.state = 'duplicate'
                      AND (p.duplicate_account_id, p.duplicate_fill_id) = (f.account_id, f.fill_id))
                  ORDER BY account_id, fill_id, version DESC) AS latest
                  GROUP BY user_id, account_id, symbol) AS f USING (user_id, account_id, symbol))""",
        low=1.0,
        best=1.0,
        worst=0.0,
        table=BALANCE,
        needs_rows=False,
        advice="Usual where history is missing: deposits from before the first fill, transfers, dust. For a full match add the "
        "missing history.",
    ),
)

RULES: Mapping[str, TableRules] = {
    QUOTE.qualified: TableRules(breadth=3, wanted=("bid", "ask", "last"), checks=(*_QUOTES, *symbol_checks(AUD_PER_USD))),
    FILL.qualified: TableRules(is_event=True, may_be_empty=True, window_s=ALL_TIME_S, checks=_FILLS),
    BALANCE.qualified: TableRules(keeps_things=False, checks=_BALANCES),
}
