"""Parse one payload with the source's options, and hold the rows to what the source declares."""

from __future__ import annotations

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Parsed, Source
from omc_pipeline.collection.window import Window

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
    parsed = source.parse(payload, config or source.config())
    foreign = {row.table.qualified for row in parsed.rows} - {table.qualified for table in source.tables}
    if foreign:
        raise PayloadChangedError(f"{source.name}: made rows for {', '.join(sorted(foreign))}, which is not among its tables")
    if WINDOW not in payload.context:
        return parsed
    window = Window.parsed(payload.context[WINDOW])
    return Parsed([row for row in parsed.rows if getattr(row, row.table.clock) in window], parsed.rejected)
