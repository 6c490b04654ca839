"""Checks that every source and every ledger table gets from its declaration alone, so that a new file is judged unlisted.

Timeliness is judged fairly: a sampled table by its newest time, an event table (filings, fills) by when we last looked. Ingest
lag counts only rows that came true after our first look, since history read at the first collection is late by nature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import NoneType
from typing import get_args, get_type_hints

from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.table import LedgerTable
from omc_pipeline.quality.check import Check, JudgedTable, row_check
from omc_pipeline.quality.gaps import SEEN_FOR_S, delisted, gap_checks, things_seen
from omc_pipeline.quality.shapes import payload_checks
from omc_pipeline.quality.usual import optional_fields, volume

PUNCTUAL, TOLERATED, DEAD = 1.5, 3.0, 6.0
"""Ages in intervals: up to the first scores 1, above the second fails, from the third scores 0."""
UNANSWERED = 2.0
"""Cadences without a good answer after which an endpoint counts as dead, and its score of timeliness is a half."""
LEAST_CADENCE_S = 120
"""Shorter cadences count as this long: on a busy machine a run may start half a minute late, and that is no dead endpoint."""
LONGEST_SEARCH_S = 40 * 86400
"""How far back the newest row is sought; older counts as none."""
CLOCK_SKEW_S = 2
LEAST_LATE, LEAST_REFUSED, READING_S = 3, 5, 90
LATE_SHARE = 0.25
GOOD_ANSWER = """status IN (200, 304) AND (parsed_at IS NOT NULL OR status = 304 OR NOT EXISTS (
    SELECT FROM raw.fetch AS read WHERE read.source = :source AND read.parsed_at IS NOT NULL))"""
"""A body that could not be read is no answer; fetches from before that was noted are taken as they are."""
DAY_S = 86400


def table_checks(judged: JudgedTable) -> Iterator[Check]:
    """Yield the generic checks of one table."""
    yield _rows_present(judged)
    yield _required_fields(judged.table)
    if judged.rules.wanted:
        yield _wanted_fields(judged)
    if not judged.rules.is_event:
        yield from _sampled_checks(judged)
    if not judged.table.per_account:
        yield from optional_fields(judged)
        yield from volume(judged)
    yield _lag(judged)
    if not judged.table.per_account:
        yield _steady_lag(judged)
    yield row_check(
        judged.table, "not_from_the_future", f"{judged.table.clock} <= recorded_at + interval '{CLOCK_SKEW_S} s' AND "
        f"{judged.table.clock} <= :now + interval '1 min'",
        "No row claims a time after the moment we learned of it, or after the present.", dimension="timeliness",
        needs_rows=not judged.rules.is_event,
        advice="Compare this machine's clock with a time server. If it is right, the source's times are in another zone than the "
        "parser thinks: look at the rows, and correct the parser.",
    )  # fmt: skip


def source_checks(source: Source, tables: Sequence[JudgedTable]) -> Iterator[Check]:
    """Yield the checks of a source as a whole; their facts may name ``<table>_recorded``, the rows learned of lately."""
    has_events = any(judged.rules.is_event for judged in tables)
    yield Check(
        "looked", "timeliness", "critical", "The upstream was asked, and answered, about a cadence ago.", unit="s", needs_rows=has_events,
        fact=f"extract(epoch FROM :now - (SELECT max(fetched_at) FROM raw.fetch WHERE source = :source AND {GOOD_ANSWER}))",
        high=TOLERATED * source.every_s, best=PUNCTUAL * source.every_s, worst=DEAD * source.every_s,
        advice="See with `omc status` that the platform runs, and with `omc sources list` whether the source is paused, waits, or "
        "failed and why; then `omc collect` it.",
    )  # fmt: skip
    yield Check(
        "endpoints_answer", "completeness", "warning", "Every endpoint answered when it was asked last, and was asked lately.",
        low=1.0, best=1.0, worst=0.0,
        failing=f"""SELECT concat_ws(' ', endpoint, CASE WHEN is_well THEN 'silent' ELSE 'failing' END, 'since', last_success_at) FROM
            {_endpoints(source)} AS endpoints WHERE NOT is_well OR age IS NULL OR age > {UNANSWERED}""",
        fact=f"(SELECT avg((is_well AND age <= {UNANSWERED})::int) FROM {_endpoints(source)} AS endpoints)",
        advice="`omc sources list` names the failing endpoint and why. A 404 means a moved or renamed resource: change the "
        "source's section of `omc.toml`, or the source.",
    )  # fmt: skip
    yield Check(
        "endpoints_on_time", "timeliness", "critical", "Cadences since the good answer of the endpoint that is furthest behind.",
        failing=f"SELECT concat_ws(' ', endpoint, 'not since', last_success_at) FROM {_endpoints(source)} AS endpoints ORDER BY age "
        f"DESC NULLS FIRST",
        high=UNANSWERED, best=PUNCTUAL, worst=PUNCTUAL + 2 * (UNANSWERED - PUNCTUAL), unit="count",
        fact=f"(SELECT CASE WHEN bool_and(age IS NOT NULL) THEN max(age) END FROM {_endpoints(source)} AS endpoints)",
        advice="See with `omc sources list` which endpoint is paused, waits or fails; then `omc collect` the source.",
    )  # fmt: skip
    yield from _answers(source, tables)


def _answers(source: Source, tables: Sequence[JudgedTable]) -> Iterator[Check]:
    lately = f":now - interval '{lately_s(tables)} s'"
    refused = f"(SELECT count(*) FROM raw.quarantine WHERE source = :source AND resolved_at IS NULL AND recorded_at > {lately})"
    recorded = " + ".join(f"{judged.table.name}_recorded" for judged in tables)
    soon = f":now - interval '{max(180, 3 * source.every_s)} s'"
    refused_now = f"(SELECT count(*) FROM raw.quarantine WHERE source = :source AND resolved_at IS NULL AND recorded_at > {soon})"
    recorded_now = " + ".join(f"{judged.table.name}_recorded_now" for judged in tables)
    share = f"({recorded})::float8 / nullif({refused} + {recorded}, 0)"
    yield Check(
        "rows_accepted", "completeness", "critical", "Few rows were refused into quarantine.", low=0.95, best=1.0, worst=0.5,
        needs_rows=False, fact=f"least({share}, CASE WHEN {refused_now} >= {LEAST_REFUSED} THEN ({recorded_now})::float8 /"
        f" ({refused_now} + {recorded_now}) END)",
        failing=f"""SELECT concat_ws(' ', count(*), 'rows from', min(recorded_at), 'to', max(recorded_at), 'because', reason) FROM
            raw.quarantine
            WHERE source = :source AND resolved_at IS NULL AND recorded_at > {lately} GROUP BY reason ORDER BY count(*) DESC""",
        advice="Read the reasons: `omc quarantine list`. If the upstream is wrong, wait, or dismiss the rows; if the parser is, correct it "
        "and run `omc quarantine retry`.",
    )  # fmt: skip
    # What was fetched in the last minute may be just being read.
    unread = f"""(SELECT context ->> 'endpoint' AS endpoint, parsed_at, fetched_at FROM raw.fetch WHERE source = :source AND status = 200
        AND fetched_at > :now - interval '{max(3600, 6 * source.every_s)} s' AND fetched_at < :now - interval '{READING_S} s'
        AND EXISTS (SELECT FROM raw.fetch AS read WHERE read.source = :source AND read.parsed_at IS NOT NULL)) AS answers"""
    yield Check(
        "answers_read", "accuracy", "critical", "Nearly every good answer could be read.", low=0.95, best=1.0, worst=0.5, needs_rows=False,
        fact=f"(SELECT avg((parsed_at IS NOT NULL)::int) FROM {unread})",
        failing=f"""SELECT concat_ws(' ', endpoint, count(*), 'answers from', min(fetched_at), 'to', max(fetched_at)) FROM {unread}
            WHERE parsed_at IS NULL GROUP BY endpoint""",
        advice="The upstream answers with 200 and something else than before: a page of an outage, or a new format. `omc sources list` "
        "says "
        "why it can't be read. Correct the parser, and run `omc replay`.",
    )  # fmt: skip
    yield from payload_checks()


def _endpoints(source: Source) -> str:
    """Compose a row an endpoint: ``age`` in its own cadences since it was collected well, ``is_well`` whether its last try was.

    It is the state of its collector that counts, not a body: an endpoint that was not asked because another failed before it has no
    answer. Of several accounts the best one speaks for the endpoint; an account's own run judges its own. An endpoint that options
    may leave out counts while it is asked: where it was tried within a day or its own dead time.
    """
    declared = ", ".join(
        f"({_literal(endpoint.name)}, {max(endpoint.every_s, LEAST_CADENCE_S):d}, {endpoint.is_wanted is not None})"
        for endpoint in source.endpoints
    )
    return f"""(SELECT declared.endpoint, coalesce(found.is_well, false) AS is_well, found.last_success_at,
            extract(epoch FROM :now - found.last_success_at) / declared.every_s AS age
        FROM (VALUES {declared}) AS declared (endpoint, every_s, is_optional), LATERAL (
            SELECT bool_or(consecutive_failures = 0 AND last_success_at IS NOT NULL) AS is_well, max(last_success_at) AS last_success_at,
                max(greatest(last_success_at, last_failure_at)) AS tried_at
            FROM collection.state AS s WHERE s.source = :source AND s.endpoint = declared.endpoint
                AND (CAST(:account AS text) IS NULL OR s.account_id = :account)) AS found
        WHERE NOT declared.is_optional
            OR found.tried_at > :now - greatest(interval '{DAY_S} s', declared.every_s * interval '{int(DEAD)} s'))"""


def _literal(name: str) -> str:
    """Write a name as an SQL literal, safe in a statement with binds."""
    return "'" + name.replace("'", "''").replace(":", "\\:") + "'"


def lately_s(tables: Sequence[JudgedTable]) -> int:
    """Return the seconds within which refused rows are set against accepted ones: the shortest window, a day at most."""
    return min([DAY_S, *(judged.window_s for judged in tables)])


def _rows_present(judged: JudgedTable) -> Check:
    table, clock = judged.table, judged.table.clock
    if not judged.rules.is_event:
        fact = f"count(*) FILTER (WHERE {clock} > :now - interval '{_recent_s(judged)} s')"
        description = "The last few intervals hold rows."
    else:
        looked = f"""(SELECT max(fetched_at) FROM raw.fetch WHERE source = :source AND {GOOD_ANSWER})
            > :now - interval '{int(DEAD * judged.every_s)} s'"""
        rows = "nullif(count(*), 0)" if judged.rules.may_be_empty else "count(*)"
        fact = f"CASE WHEN {looked} THEN {rows} ELSE 0 END"
        description = "Events are held, and the source was looked at lately enough to know of all."
    return Check(
        f"{table.name}_present", "completeness", "critical", description, fact=fact, low=1, unit="count", table=table,
        needs_rows=not judged.rules.may_be_empty,
        advice="Look at `looked` and `endpoints_answer` of the source first. If both hold, the upstream answers with an empty list: "
        "compare with its web page, and check the watch list in `omc.toml`.",
    )  # fmt: skip


def _required_fields(table: LedgerTable) -> Check:
    hints = get_type_hints(table.row)
    required = [name for name in table.fields if NoneType not in get_args(hints[name])]
    filled = " AND ".join(f"btrim({name}) <> ''" if hints[name] is str else f"{name} IS NOT NULL" for name in required)
    return row_check(
        table, "required_fields", f"coalesce({filled}, false)", "Every required field is filled, and no text is blank.",
        dimension="completeness", worst=0.0, needs_rows=False,
        advice="The upstream has left out or renamed a field. Look at a body in `raw.payload`, correct the parser and run `omc "
        "replay`.",
    )  # fmt: skip


def _wanted_fields(judged: JudgedTable) -> Check:
    wanted = judged.rules.wanted
    return Check(
        f"{judged.table.name}_wanted_fields", "completeness", "critical", f"Mostly filled: {', '.join(wanted)}.", table=judged.table,
        fact=f"avg(num_nonnulls({', '.join(wanted)})::float8 / {len(wanted)})", low=0.9, best=1.0, worst=0.0, needs_rows=False,
        good=f"num_nonnulls({', '.join(wanted)}) = {len(wanted)}",
        advice="The rows can be used, but lack these fields. If the upstream still has them, correct the parser and run `omc replay`.",
    )  # fmt: skip


def _sampled_checks(judged: JudgedTable) -> Iterator[Check]:
    table, clock, interval_s = judged.table, judged.table.clock, judged.interval_s
    yield Check(
        f"{table.name}_fresh", "timeliness", "critical", "The newest row is about an interval old.", unit="s", table=table,
        fact=f"""extract(epoch FROM :now - (SELECT max({clock}) FROM {table.qualified} WHERE source = :source
            AND {clock} <= recorded_at + interval '{CLOCK_SKEW_S} s' AND {clock} > :now - interval '{LONGEST_SEARCH_S} s'))""",
        high=TOLERATED * interval_s + judged.rules.delay_s, best=PUNCTUAL * interval_s + judged.rules.delay_s,
        worst=DEAD * interval_s + judged.rules.delay_s,
        advice="Look at `looked` of the source first. If it holds, the upstream repeats old values: see its status page, and wait.",
    )  # fmt: skip
    yield Check(
        f"{table.name}_gapless", "completeness", "warning", "Share of the window's time that no gap leaves uncovered.", table=table,
        low=0.9, best=1.0, worst=0.0, needs_rows=False,
        fact=f"""(SELECT sum(least(gap, {PUNCTUAL * interval_s})) / nullif(sum(gap), 0) FROM (
            SELECT extract(epoch FROM moment - lag(moment) OVER (ORDER BY moment)) AS gap
            FROM (SELECT DISTINCT {clock} AS moment FROM w
                WHERE {clock} > :now - interval '{max(3600, 12 * interval_s)} s') AS moments) AS gaps WHERE gap IS NOT NULL)""",
        advice="Nothing if the platform was off in that time. A source that can read its past fills the gap with `omc collect --from "
        "--to`; of another the gap stays, and leaves the window with time.",
    )  # fmt: skip
    yield from gap_checks(judged)
    if judged.things and judged.rules.keeps_things:
        yield _coverage(judged)
    if judged.things and judged.rules.breadth > 1:
        yield Check(
            f"{table.name}_breadth", "completeness", "critical", f"At least {judged.rules.breadth} things are told of.", unit="count",
            fact=f"count(DISTINCT ({', '.join(judged.things)}))", low=judged.rules.breadth, best=judged.rules.breadth, worst=0, table=table,
            advice="Check the watch list in the source's section of `omc.toml`. If it is right, the upstream has left things out: see its "
            "page.",
        )  # fmt: skip


def _coverage(judged: JudgedTable) -> Check:
    absent_s, things = max(SEEN_FOR_S, 7 * judged.interval_s), ", ".join(judged.things)
    known = f"""(SELECT k.*, last_at > :now - interval '{_recent_s(judged)} s' AS is_here FROM ({things_seen(judged)}) AS k
        WHERE last_at > :now - interval '{absent_s} s' AND NOT {delisted(judged.things, "k")}) AS known"""
    return Check(
        f"{judged.table.name}_coverage", "completeness", "critical", table=judged.table,
        description=f"Whatever was told of in the last {absent_s // DAY_S} days is told of in the last intervals.",
        fact=f"(SELECT avg(is_here::int) FROM {known})", low=judged.rules.coverage, best=1.0, worst=0.0,
        failing=f"""SELECT concat_ws(' ', {things}, 'missing from', last_at, 'to now') FROM {known} WHERE NOT is_here
            ORDER BY last_at DESC""",
        advice="Compare what the check names with the page of the upstream. If the parser refuses it, see `omc quarantine list`. If it was "
        "taken off the market, nothing: an event of type `delisting` ends it at once, and absence after a week.",
    )  # fmt: skip


def _lag(judged: JudgedTable) -> Check:
    allowed_s = PUNCTUAL * judged.every_s + judged.rules.delay_s
    first_look = "(SELECT min(fetched_at) FROM raw.fetch WHERE source = :source)"
    return Check(
        f"{judged.table.name}_lag", "timeliness", "warning", "95 of 100 rows were learned of soon after they came true.", unit="s",
        table=judged.table, needs_rows=False, high=2 * allowed_s, best=allowed_s, worst=DEAD * allowed_s,
        fact=f"""percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM recorded_at - {judged.table.clock}))
            FILTER (WHERE version = 1 AND {judged.table.clock} >= {first_look})""",
        advice="Nothing if the platform was off: it has caught up. Otherwise the upstream publishes late, or runs wait in the queue: "
        "see how long they take with `omc sources list`.",
    )  # fmt: skip


def _steady_lag(judged: JudgedTable) -> Check:
    """Ask for rows that come late one after another; a history or what was caught up comes at once, and is none."""
    clock, allowed_s = judged.table.clock, 2 * (PUNCTUAL * judged.every_s + judged.rules.delay_s)
    late = f"""(SELECT {clock} AS moment, min(recorded_at) AS known_at FROM w
        WHERE version = 1 AND recorded_at - {clock} > interval '{allowed_s} s' AND recorded_at <= :now GROUP BY 1) AS late"""
    among = f"(SELECT count(DISTINCT {clock}) FROM w WHERE version = 1 AND {clock} BETWEEN min(moment) AND max(moment))"
    spans = (
        f"max(known_at) - min(known_at) >= 0.5 * (max(moment) - min(moment)) AND count(*) >= greatest({LEAST_LATE}, {LATE_SHARE} * {among})"
    )
    return Check(
        f"{judged.table.name}_steady_lag", "timeliness", "critical", "Rows don't come late one after another.", unit="s",
        table=judged.table,
        fact=f"(SELECT CASE WHEN {spans} THEN extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY known_at - moment)) ELSE 0 END"
        f" FROM {late} HAVING count(*) > 0)",
        high=allowed_s, best=allowed_s / 2, worst=DEAD * allowed_s, needs_rows=False,
        failing=f"SELECT concat_ws(' ', 'rows from', min(moment), 'to', max(moment), 'were known at', min(known_at), 'to', "
        f"max(known_at)) FROM {late}",
        advice="The upstream publishes late, or runs wait in the queue: see how long they take with `omc sources list`. Don't trade on "
        "these "
        "rows as if they were new.",
    )  # fmt: skip


def _recent_s(judged: JudgedTable) -> int:
    return int(TOLERATED * judged.interval_s) + judged.rules.delay_s
