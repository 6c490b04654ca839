"""Gaps of sampled tables: every bin of the grid of source, thing and cadence is expected, and what is missing is named until it is filled.

Two ways lead to the same answer. A table of few rows is read whole. One that is sampled each minute is walked in steps as long as the
shortest gap: from row to row by the index, which reads a few thousand rows of millions.

Not here: whether rows come at all at present (``generic``), and how many there are (``usual``).
"""

from __future__ import annotations

from collections.abc import Iterator

from omc_pipeline.ledgers.catalyst import EVENT
from omc_pipeline.quality.check import Check, JudgedTable

DAY_S = 86400
SEEN_FOR_S = 7 * DAY_S
"""How far back gaps are sought; a thing that was absent for as long is taken for gone."""
OFTEN_FOR_S, SELDOM_S = 2 * DAY_S, 3600
"""So far back single things of a table that is walked are looked for as often as their shortest gap; before, each hour."""
MISSED = 2.5
"""Intervals without a row that make a gap: one sample may fail."""
OPEN = 3.0
LEAST_GAP_S, LEAST_GAP_OF_THING_S = 300, 600
WALKED_BELOW_S = 300
"""Tables with a shorter interval are walked."""
STILL_AWAKE_S = 180


def gap_checks(judged: JudgedTable) -> Iterator[Check]:
    """Yield the check of gaps of a sampled table."""
    table = judged.table
    gaps = _walked(judged) if judged.interval_s < WALKED_BELOW_S else _read(judged)
    sound = f"SELECT * FROM ({gaps}) AS g WHERE NOT {_was_off(_limit_s(judged))}"
    yield Check(
        f"{table.name}_gaps", "completeness", "critical", "No span of the last week lacks rows while the platform was on.", table=table,
        fact=f"(SELECT count(*) FROM ({sound}) AS gaps)", high=0, unit="count", needs_rows=False,
        failing=f"""SELECT concat_ws(' ', thing, 'from', since, 'to', CASE WHEN until >= :now THEN 'now' ELSE until::text END)
            FROM ({sound}) AS gaps ORDER BY thing <> 'all', until DESC""",
        advice="The check names what is missing, from when to when. A source that can read its past fills the gap with `omc collect SOURCE "
        "--from DAY --to DAY`. Of another source the gap stays: find out from `omc sources list` and the runs of that time why "
        "nothing came. The check holds again when the gap is filled, or after a week.",
    )  # fmt: skip


def delisted(things: tuple[str, ...], alias: str) -> str:
    """Compose the predicate that a thing was taken off its venue: the catalyst ledger holds an event that says so."""
    if "symbol" not in things:
        return "false"
    return f"""EXISTS (SELECT FROM {EVENT.qualified} AS e WHERE e.event_type = 'delisting' AND e.symbol = {alias}.symbol
        AND e.published_at BETWEEN :now - interval '60 d' AND :now)"""


def _limit_s(judged: JudgedTable) -> float:
    return max(MISSED * judged.interval_s, LEAST_GAP_S)


def _mine(judged: JudgedTable) -> str:
    account = " AND (CAST(:account AS text) IS NULL OR account_id = :account)" if judged.table.per_user else ""
    return f"source = :source{account}"


def _live_s(judged: JudgedTable) -> float:
    """Return how late a row may be learned of and still prove that somebody was looking at its time; a history read later doesn't."""
    return OPEN * judged.interval_s + judged.rules.delay_s


def _read(judged: JudgedTable) -> str:
    """Compose the gaps of a table that is read whole: ``thing``, ``since``, ``until``."""
    table, clock = judged.table, judged.table.clock
    things = judged.things if judged.rules.keeps_things else ()
    columns, of_things = ", ".join((*things, clock)), f"PARTITION BY {', '.join(things)} " if things else ""
    named = f"concat_ws(' ', {', '.join(things)})" if things else "'all'"
    usual = f"interval '{judged.interval_s} s'"
    if judged.rules.learns_interval:
        usual = (
            f"""greatest(interval '{judged.every_s} s', (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY moment - before) FROM lags))"""
        )
    window_s = max(SEEN_FOR_S, 12 * judged.interval_s)
    gone = f" AND NOT {delisted(things, 'n')}" if things else ""
    open_s = judged.rules.delay_s + OPEN * 60
    return f"""WITH moments AS (
            SELECT {", ".join((*things, ""))} {clock} AS moment, min(recorded_at) AS recorded_at FROM {table.qualified}
            WHERE {_mine(judged)} AND {clock} > :now - interval '{window_s} s' AND {clock} <= :now GROUP BY {columns}
        ), lags AS (
            SELECT moments.*, lag(moment) OVER ({of_things}ORDER BY moment) AS before,
                lag(recorded_at) OVER ({of_things}ORDER BY moment) AS known_at, lead(moment) OVER ({of_things}ORDER BY moment) AS after
            FROM moments
        ), usual AS (SELECT {usual} AS span)
        SELECT {named} AS thing, before AS since, moment AS until FROM lags AS n, usual
        WHERE moment - before > {MISSED} * span AND known_at - before <= {OPEN} * span + interval '{judged.rules.delay_s} s'
        UNION ALL
        SELECT {named} AS thing, moment, :now FROM lags AS n, usual
        WHERE after IS NULL AND :now - moment > {OPEN} * span + interval '{open_s} s'
            AND recorded_at - moment <= {OPEN} * span + interval '{judged.rules.delay_s} s'{gone}"""


def _walked(judged: JudgedTable) -> str:
    """Compose the gaps of a table that is walked: those of all its rows, and those of single things."""
    walks = [_walk(judged)]
    if judged.things and judged.rules.keeps_things:
        walks.append(_looked_up(judged))
    return " UNION ALL ".join(walks)


def _walk(judged: JudgedTable) -> str:
    table, clock = judged.table, judged.table.clock
    limit, of_source = f"interval '{_limit_s(judged)} s'", f"{judged.table.qualified} AS t WHERE t.source = :source"
    return f"""(WITH RECURSIVE s AS (
            SELECT (SELECT min({clock}) FROM {of_source} AND t.{clock} > :now - interval '{SEEN_FOR_S} s') AS at, NULL::timestamptz AS since
            UNION ALL SELECT coalesce(near.at, far.at, :now), CASE WHEN near.at IS NULL THEN s.at END FROM s
            CROSS JOIN LATERAL (SELECT max(t.{clock}) AS at FROM {of_source} AND t.{clock} > s.at AND t.{clock} <= least(s.at +
                {limit}, :now)) AS near
            LEFT JOIN LATERAL (SELECT min(t.{clock}) AS at FROM {of_source} AND t.{clock} > s.at AND t.{clock} <= :now) AS far ON
                near.at IS NULL
            WHERE s.at < :now)
        SELECT 'all' AS thing, s.since, s.at AS until FROM s WHERE s.since IS NOT NULL AND s.at - s.since > {limit}
            AND (SELECT min(t.recorded_at) FROM {table.qualified} AS t WHERE t.source = :source AND t.{clock} = s.since) - s.since
                <= interval '{_live_s(judged)} s')"""


def _looked_up(judged: JudgedTable) -> str:
    """Compose the gaps of single things: at points of time those that are there, and of a thing that isn't, its rows between two points.

    The things of one answer have one time, so that a point reads a few neighbouring rows; a source whose things have times of their own
    costs more reading, and gives the same gaps.
    """
    table, clock, things = judged.table, judged.table.clock, judged.things
    limit_s = max(2 * MISSED * judged.interval_s, LEAST_GAP_OF_THING_S)
    names, of_source = ", ".join(things), f"{table.qualified} AS t WHERE t.source = :source"
    of_thing = "".join(f" AND t.{name} = c.{name}" for name in things)
    points = f"""SELECT at, row_number() OVER (ORDER BY at DESC) AS place FROM (
        SELECT generate_series(0, {OFTEN_FOR_S}, {limit_s:.0f}) AS back, {limit_s:.0f} AS long
        UNION ALL SELECT generate_series({OFTEN_FOR_S}, {SEEN_FOR_S}, {SELDOM_S}), {SELDOM_S}) AS grid, LATERAL (
        SELECT max(t.{clock}) AS at FROM {of_source} AND t.{clock} <= :now - back * interval '1 s'
            AND t.{clock} > :now - (back + long) * interval '1 s') AS newest WHERE at IS NOT NULL"""
    there = f"""SELECT DISTINCT points.at, points.place, {", ".join(f"t.{name}" for name in things)} FROM ({points}) AS points, LATERAL (
        SELECT {names} FROM {of_source} AND t.{clock} BETWEEN points.at - interval '2 s' AND points.at) AS t"""
    absent = f"""SELECT {names}, before AS since, at AS until FROM (SELECT there.*, lag(at) OVER (PARTITION BY {names} ORDER BY at)
        AS before,
            lag(place) OVER (PARTITION BY {names} ORDER BY at) - place AS points FROM there) AS lags WHERE points > 1
        UNION ALL SELECT {names}, max(at), :now FROM there GROUP BY {names} HAVING max(at) < :now - interval '{limit_s} s'"""
    exact = f"""SELECT since, until, known_at FROM (SELECT lag(at) OVER (ORDER BY at) AS since, at AS until, lag(known_at) OVER
        (ORDER BY at) AS
            known_at FROM (SELECT t.{clock} AS at, t.recorded_at AS known_at FROM {of_source}{of_thing} AND t.{clock} BETWEEN c.since
                AND c.until
            UNION ALL SELECT :now, :now WHERE c.until >= :now) AS times) AS lags
        WHERE until - since > interval '{limit_s} s' AND known_at - since <= interval '{_live_s(judged)} s' ORDER BY until - since
            DESC LIMIT 1"""
    margin = f"interval '{limit_s / 4} s'"
    # Other things had rows in the gap: one of all rows is named once, and not again for each thing.
    return f"""(WITH there AS MATERIALIZED ({there})
        SELECT concat_ws(' ', {", ".join(f"c.{name}" for name in things)}), exact.since, exact.until FROM ({absent}) AS c
        CROSS JOIN LATERAL ({exact}) AS exact WHERE NOT {delisted(things, "c")} AND EXISTS (SELECT FROM {of_source}
            AND t.{clock} > exact.since + {margin} AND t.{clock} < exact.until - {margin}))"""


def things_seen(judged: JudgedTable) -> str:
    """Compose the things of a table, each with ``last_at``, its newest time up to now; skips from thing to thing in the primary key."""
    table, clock, things = judged.table, judged.table.clock, judged.things
    names = ", ".join(things)
    of_thing = " AND ".join(f"t.{name} = k.{name}" for name in things)
    of_k = ", ".join(f"k.{name}" for name in things)
    return f"""WITH RECURSIVE k AS (
            (SELECT {names} FROM {table.qualified} WHERE source = :source ORDER BY {names} LIMIT 1)
            UNION ALL SELECT following.* FROM k, LATERAL (
                SELECT {", ".join(f"t.{name}" for name in things)} FROM {table.qualified} AS t WHERE t.source = :source
                AND ({", ".join(f"t.{name}" for name in things)}) > ({of_k})
                ORDER BY {", ".join(f"t.{name}" for name in things)} LIMIT 1) AS following)
        SELECT {of_k}, newest.last_at FROM k CROSS JOIN LATERAL (SELECT max(t.{clock}) AS last_at FROM {table.qualified} AS t
            WHERE t.source = :source AND {of_thing} AND t.{clock} <= :now + interval '1 min') AS newest"""


def _was_off(limit_s: float) -> str:
    """Compose the predicate that the platform was off in a gap ``g``: nobody was asked for so long that what is left is no gap.

    It is known only where somebody was asked in the day before.
    """
    asked = "(SELECT DISTINCT source FROM collection.state) AS asked CROSS JOIN LATERAL"
    silence = f"""(SELECT max(silence) FROM (SELECT at - lag(at) OVER (ORDER BY at) AS silence FROM (
        SELECT g.since AS at UNION ALL SELECT g.until UNION ALL SELECT fetched_at FROM {asked} (
            SELECT fetched_at FROM raw.fetch AS f WHERE f.source = asked.source AND f.fetched_at > g.since AND f.fetched_at <
                g.until) AS looks
        ) AS times) AS silences WHERE silence > interval '{STILL_AWAKE_S} s')"""
    return f"""coalesce(g.until - g.since - {silence} <= interval '{limit_s} s', false)
        AND EXISTS (SELECT FROM {asked} (SELECT FROM raw.fetch AS f WHERE f.source = asked.source
            AND f.fetched_at BETWEEN g.since - interval '1 d' AND g.since LIMIT 1) AS looks)"""
