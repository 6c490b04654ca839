"""The one statement that makes candles: minutes from quotes, each longer span from the next shorter one.

Only spans that have ended are made. Computed anew are the minutes in which quotes are new or late, and the longer spans around them;
beside those, spans that have just ended, from candles that are stored. Candles that are equal to what is known change nothing.
"""

from __future__ import annotations

from itertools import pairwise

INTERVALS = {"1m": "1 minute", "5m": "5 minutes", "1h": "1 hour", "1d": "1 day"}
"""Names of the spans and their lengths as PostgreSQL writes them, the shortest first."""

_SERIES = "origin, symbol, currency"
_BIN = "date_bin('{length}', {at}, timestamptz '2000-01-01 00:00:00+00')"
_MINUTES = f"""
minutes AS MATERIALIZED (
    SELECT source AS origin, symbol, currency, {_BIN.format(length="1 minute", at="observed_at")} AS opened_at FROM exchange.quote
    WHERE observed_at >= %(closed)s AND observed_at < %(closing)s AND recorded_at <= %(known)s
    UNION
    SELECT source, symbol, currency, {_BIN.format(length="1 minute", at="observed_at")} FROM exchange.quote
    WHERE recorded_at > %(recorded)s AND recorded_at <= %(known)s AND observed_at < %(closed)s
),
made_1m AS MATERIALIZED (
    SELECT {_SERIES}, opened_at, (array_agg(price ORDER BY observed_at))[1] AS open, max(price) AS high, min(price) AS low,
        (array_agg(price ORDER BY observed_at DESC))[1] AS close, NULL::numeric AS volume, count(*) AS samples
    FROM (
        SELECT minutes.*, quote.observed_at,
            coalesce(quote.last, CASE WHEN NOT quote.is_crossed THEN (quote.bid + quote.ask) / 2 END) AS price
        FROM minutes JOIN exchange.quote AS quote ON quote.source = minutes.origin AND quote.symbol = minutes.symbol
            AND quote.currency = minutes.currency AND quote.observed_at >= minutes.opened_at
            AND quote.observed_at < minutes.opened_at + interval '1 minute' AND quote.recorded_at <= %(known)s
        WHERE NOT EXISTS (
            SELECT FROM exchange.quote AS later WHERE later.source = quote.source AND later.symbol = quote.symbol
                AND later.currency = quote.currency AND later.observed_at = quote.observed_at AND later.version > quote.version
                AND later.recorded_at <= %(known)s
        )
    ) AS priced WHERE price IS NOT NULL GROUP BY {_SERIES}, opened_at
)
"""
_LONGER = f"""
spans_{{name}} AS MATERIALIZED (
    SELECT {_SERIES}, {_BIN.format(length="{length}", at="opened_at")} AS opened_at FROM made_{{lower}}
    WHERE {_BIN.format(length="{length}", at="opened_at")} + interval '{{length}}' <= %(closing)s
    UNION
    SELECT {_SERIES}, {_BIN.format(length="{length}", at="opened_at")} FROM glass.candle
    WHERE source = %(source)s AND interval = '{{lower}}' AND opened_at >= %(closed)s - interval '{{length}}' AND opened_at < %(closing)s
        AND origin NOT LIKE '%%/%%'
        AND {_BIN.format(length="{length}", at="opened_at")} + interval '{{length}}' > %(closed)s
        AND {_BIN.format(length="{length}", at="opened_at")} + interval '{{length}}' <= %(closing)s
),
made_{{name}} AS MATERIALIZED (
    SELECT {_SERIES}, opened_at, (array_agg(open ORDER BY part_at))[1] AS open, max(high) AS high, min(low) AS low,
        (array_agg(close ORDER BY part_at DESC))[1] AS close, NULL::numeric AS volume, sum(samples) AS samples
    FROM (
        SELECT span.*, part.opened_at AS part_at, open, high, low, close, samples FROM spans_{{name}} AS span
        JOIN made_{{lower}} AS part USING ({_SERIES})
        WHERE part.opened_at >= span.opened_at AND part.opened_at < span.opened_at + interval '{{length}}'
        UNION ALL
        SELECT span.*, part.opened_at, open, high, low, close, samples FROM spans_{{name}} AS span
        CROSS JOIN LATERAL (
            SELECT DISTINCT ON (stored.opened_at) stored.* FROM glass.candle AS stored
            WHERE stored.source = %(source)s AND stored.origin = span.origin AND stored.symbol = span.symbol
                AND stored.currency = span.currency AND stored.interval = '{{lower}}' AND stored.opened_at >= span.opened_at
                AND stored.opened_at < span.opened_at + interval '{{length}}'
            ORDER BY stored.opened_at, stored.version DESC
        ) AS part
        WHERE NOT EXISTS (
            SELECT FROM made_{{lower}} AS anew WHERE (anew.origin, anew.symbol, anew.currency) = (span.origin, span.symbol, span.currency)
                AND anew.opened_at = part.opened_at
        )
    ) AS parts GROUP BY {_SERIES}, opened_at
)
"""
_PUBLISHED = """
published AS (
    SELECT DISTINCT ON (source, venue, symbol, currency, interval, opened_at) source || '/' || venue AS origin, symbol, currency,
        interval, opened_at, open, high, low, close, volume, trades AS samples
    FROM glass.market_candle
    WHERE recorded_at > %(published)s AND recorded_at <= %(known)s AND is_final AND interval = ANY(%(intervals)s)
    ORDER BY source, venue, symbol, currency, interval, opened_at, version DESC
)
"""
_CELLS = (
    "origin", "symbol", "currency", "interval", """to_char(opened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') || '+00:00'""",
    *(f"trim_scale({name})::text" for name in ("open", "high", "low", "close", "volume")), "samples::text",
)  # fmt: skip
_DIGEST = r" || '\x1f'::bytea || ".join(rf"coalesce(convert_to({cell}, 'UTF8'), '\x00'::bytea)" for cell in _CELLS)
_COLUMNS = "origin, symbol, currency, interval, opened_at, open, high, low, close, volume, samples"
_WRITE = f"""
incoming AS (
    SELECT made.*, encode(sha256({_DIGEST}), 'hex') AS row_sha256 FROM (
        SELECT origin, symbol, currency, interval, opened_at, open::numeric(38,18), high::numeric(38,18), low::numeric(38,18),
            close::numeric(38,18), volume::numeric(38,18), samples::integer
        FROM ({{every}}) AS every
    ) AS made
),
added AS (
    INSERT INTO glass.candle (source, {_COLUMNS}, version, recorded_at, row_sha256)
    SELECT %(source)s, {", ".join(f"incoming.{name}" for name in _COLUMNS.split(", "))}, coalesce(known.version, 0) + 1, %(stamp)s,
        incoming.row_sha256
    FROM incoming LEFT JOIN LATERAL (
        SELECT version, row_sha256 FROM glass.candle AS known
        WHERE known.source = %(source)s AND known.origin = incoming.origin AND known.symbol = incoming.symbol
            AND known.currency = incoming.currency AND known.interval = incoming.interval
            AND known.opened_at BETWEEN incoming.opened_at AND incoming.opened_at
        ORDER BY opened_at DESC, version DESC LIMIT 1
    ) AS known ON true
    WHERE known.row_sha256 IS DISTINCT FROM incoming.row_sha256
    RETURNING version
)
SELECT count(*) FILTER (WHERE version = 1), count(*) FILTER (WHERE version > 1) FROM added
"""


def _statement() -> str:
    names = list(INTERVALS)
    longer = [_LONGER.format(name=name, lower=lower, length=INTERVALS[name]) for lower, name in pairwise(names)]
    columns = "origin, symbol, currency, '{}' AS interval, opened_at, open, high, low, close, volume, samples"
    every = " UNION ALL ".join(
        [*(f"SELECT {columns.format(name)} FROM made_{name}" for name in names), f"SELECT {_COLUMNS} FROM published"]
    )
    return f"WITH {', '.join([_MINUTES, *longer, _PUBLISHED])}, {_WRITE.format(every=every)}"


CANDLES = _statement()
"""Bound: ``source`` of the candles; ``closed`` and ``closing``, between which spans have ended since the run before; ``recorded``, after
which quotes are late; ``published``, after which venues' candles are new; ``known``, up to which all is read; ``intervals``; ``stamp``."""
