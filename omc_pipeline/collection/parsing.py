"""Parse one payload with the source's options, and hold the rows to what the source declares and every ledger relies on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import chain

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.items import refusal, without_rows
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Parsed, Rejected, Source
from omc_pipeline.collection.window import Window
from omc_pipeline.ledgers.table import Row, json_values, key_of

ENDPOINT, OPTIONS, WINDOW = "endpoint", "options", "window"
"""What the platform adds to a payload's context: the endpoint asked, the digest of the options, and a history's window."""
HISTORY = "history"
"""Name under which fetches of the past stand beside those of the endpoints."""


def parse_payload(source: Source, payload: Payload, config: SourceConfig | None = None) -> Parsed:
    """Parse one payload, and make sure that its rows belong to the source's tables.

    A payload that was fetched for a window of the past gives the rows of that window alone.

    Args:
        source: Whose parser.
        payload: What to parse.
        config: The source's options; None: the defaults.

    Raises:
        PayloadChangedError: The body is not of the shape the source knows, or a row is of a foreign table.
        OmcError: The body is an error that the upstream reports.
    """
    options = config or source.config()
    parsed = source.parse(payload, options)
    foreign = {row.table.qualified for row in parsed.rows} - {table.qualified for table in source.tables}
    if foreign:
        raise PayloadChangedError(f"{source.name}: made rows for {', '.join(sorted(foreign))}, which is not among its tables")
    sound, refused = _sound(parsed.rows, payload, timedelta(minutes=options.future_min))
    rejected = _bounded(chain(parsed.rejected, refused), options.quarantine_rows)
    if WINDOW not in payload.context:
        return Parsed(sound, rejected)
    window = Window.parsed(payload.context[WINDOW])
    return Parsed([row for row in sound if getattr(row, row.table.clock) in window], rejected)


def _sound(rows: Iterable[Row], payload: Payload, skew: timedelta) -> tuple[list[Row], list[Rejected]]:
    """Part rows from those of the future, and from those whose key an earlier row of the same body has."""
    sound, refused, latest = list[Row](), list[Rejected](), payload.fetched_at + skew
    known: dict[object, Row] = {}
    for row in rows:
        key, clock = (row.table.qualified, key_of(row)), getattr(row, row.table.clock)
        if clock > latest:
            refused.append(refusal(f"{row.table.clock} {clock:%Y-%m-%dT%H:%M:%SZ} lies in the future of its fetch", json_values(row)))
        elif (first := known.setdefault(key, row)) is not row:
            details = "twice" if first == row else "twice and differently; the first counts"
            refused.append(refusal(f"{row.table.qualified} row of one key is told {details}", json_values(row)))
        else:
            sound.append(row)
    return sound, refused


def _bounded(rejected: Iterable[Rejected], most: int) -> Sequence[Rejected]:
    """Keep so many findings, and of the others their number."""
    kept, beyond = list[Rejected](), 0
    for each in rejected:
        if len(kept) < most and each.count == 1:
            kept.append(each)
        else:
            beyond += each.count
    return [*kept, *without_rows(beyond)]
