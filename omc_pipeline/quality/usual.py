"""What is usual of a table, learned from its own rows: how many there are, and which optional fields are filled."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType
from typing import get_args, get_type_hints

from omc_pipeline.quality.check import Check, JudgedTable

DAY_S = 86400
DAYS = 7
"""Days before, of which each gives one count to compare with."""
LEAST_DAYS, LEAST_ROWS = 3, 20
OF_EVENTS, OF_SAMPLES = 0.33, 0.6
"""Share of the usual count below which rows are too few; a weekend halves what people write and trade, and leaves out no sample."""
EARLY = 0.6
"""The rows before this share of the newest ones say what was always filled."""
FILLED = 0.95
"""Share of the earlier rows in which a field is filled that counts as always filled."""


def volume(judged: JudgedTable) -> Iterator[Check]:
    """Yield the check of the number of rows against the same span of earlier days."""
    table, clock = judged.table, judged.table.clock
    is_event = judged.rules.is_event
    if judged.interval_s >= DAY_S and not is_event:
        return
    is_steady = not is_event and judged.rules.keeps_things
    span_s = DAY_S if is_event else (1 if is_steady else 3) * 3600 if judged.interval_s <= 300 else 12 * judged.interval_s
    end_s = judged.rules.delay_s + (0 if is_event else judged.interval_s)
    if span_s + end_s > DAY_S + 6 * 3600:
        end_s = 0
    mine = "source = :source" + (" AND (CAST(:account AS text) IS NULL OR account_id = :account)" if table.per_user else "")
    counted = f"""(SELECT back, (SELECT count(*) FROM {table.qualified} WHERE {mine} AND version = 1
            AND {clock} > :now - interval '{end_s + span_s} s' - back * interval '1 d'
            AND {clock} <= :now - interval '{end_s} s' - back * interval '1 d') AS rows FROM generate_series(0, {_days(judged)}) AS
                back) AS days"""
    usual = "percentile_disc(0.5) WITHIN GROUP (ORDER BY rows) FILTER (WHERE back > 0 AND rows > 0)"
    enough = f"count(*) FILTER (WHERE back > 0 AND rows > 0) >= {LEAST_DAYS}"
    found = f"max(rows) FILTER (WHERE back = 0)::float8 / {usual}"
    share = f"(SELECT CASE WHEN {enough} AND {usual} >= {LEAST_ROWS} THEN {found} END FROM {counted})"
    low = OF_SAMPLES if is_steady else OF_EVENTS
    awake = f"""(SELECT greatest(0.1, 1 - coalesce(extract(epoch FROM sum(silence)) / {span_s}, 0)) FROM (
        SELECT fetched_at - lag(fetched_at) OVER (ORDER BY fetched_at) AS silence FROM raw.fetch WHERE fetched_at <= :now
        AND source = :source AND fetched_at > :now - interval '{end_s + span_s} s') AS s WHERE silence > greatest(interval '300 s',
        interval '{2 * judged.every_s} s'))"""
    yield Check(
        f"{table.name}_volume", "completeness", "critical", "About as many rows as at the same time of earlier days.", unit="ratio",
        table=table,
        fact=f"{share} / {awake}", low=low, best=low, worst=0.0, needs_rows=False,
        failing=f"""SELECT concat_ws(' ', max(rows) FILTER (WHERE back = 0), 'rows from', CAST(:now AS timestamptz) -
            interval '{end_s + span_s} s', 'to', CAST(:now AS timestamptz) - interval '{end_s} s', 'and usually', {usual}) FROM
                {counted}""",
        advice="Compare the upstream's page with what was collected. If it shows more, some of its answers are lost or cut off: look "
        "at the "
        "runs and at `omc quarantine list`. If it shows as little, wait.",
    )  # fmt: skip


def _days(judged: JudgedTable) -> int:
    return DAYS if judged.rules.is_event or judged.interval_s > 300 else 4


def optional_fields(judged: JudgedTable) -> Iterator[Check]:
    """Yield the check that a field that was always filled is still filled, of each thing; nothing for a table without optional fields."""
    table, hints = judged.table, get_type_hints(judged.table.row)
    optional = [name for name in table.fields if NoneType in get_args(hints[name])]
    if not optional:
        return
    is_sampled = not judged.rules.is_event and bool(judged.things)
    newest, before = (2, 3) if is_sampled else (5, 8)
    things = judged.things if is_sampled else ()
    of_things = f"PARTITION BY {', '.join(things)} " if things else ""
    gone = ", ".join(
        f"""CASE WHEN bool_and({name} IS NULL) FILTER (WHERE place <= {newest}) AND count(*) FILTER (WHERE is_early) >= {before}
            AND avg(({name} IS NOT NULL)::int) FILTER (WHERE is_early) >= {FILLED} THEN '{name}' END"""
        for name in optional
    )
    named = f"concat_ws(' ', {', '.join(things)})" if things else "'all rows'"
    vanished = f"""(SELECT {named} AS thing, array_remove(ARRAY[{gone}], NULL) AS fields FROM (
        SELECT numbered.*, place > greatest({newest}, {EARLY} * rows) AS is_early FROM (
            SELECT w.*, row_number() OVER ({of_things}ORDER BY {table.clock} DESC) AS place, count(*) OVER ({of_things.strip()}) AS rows
            FROM w) AS numbered) AS ranked
        {f"GROUP BY {', '.join(things)}" if things else ""}) AS vanished"""
    yield Check(
        f"{table.name}_optional_fields", "completeness", "critical" if is_sampled else "info",
        "No optional field that was always filled is empty now.", unit="count",
        fact=f"(SELECT sum(cardinality(fields)) FROM {vanished})", high=0, table=table, needs_rows=False,
        failing=f"SELECT concat_ws(' ', thing, 'lacks', array_to_string(fields, ', ')) FROM {vanished} WHERE cardinality(fields) > 0",
        advice="The upstream has left out or renamed the field. Compare its newest body in `raw.payload` with an older one, correct "
        "the parser and "
        "run `omc replay`.",
    )  # fmt: skip
