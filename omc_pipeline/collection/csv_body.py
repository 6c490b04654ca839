"""Read a response body as CSV: a header line, then one row per line; all values are text."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from omc_infra.payload import Payload
from omc_pipeline.collection.body import changed, decoded, markup_error, require_memory, sound_body
from omc_pipeline.collection.json_body import Json


def read_csv(payload: Payload, required: Sequence[str], delimiter: str = ",") -> list[Json]:
    """Return the rows of a body by column name.

    A row with more or fewer values than columns is returned as the list of its values; the parser then refuses it.

    Args:
        payload: The body, UTF-8.
        required: Columns that must be there; others may be.
        delimiter: What separates values.

    Raises:
        UpstreamRefusedError: The body is an HTML page or an XML document.
        AccessDeniedError: The body is an XML error of the kind AccessDenied.
        PayloadChangedError: The body is empty, too large, not text, no CSV, or lacks a column or has one twice.
    """
    sound_body(payload)
    require_memory(payload, {delimiter.encode(): 70, b"\n": 350})
    error_document = markup_error(payload, "CSV")
    if error_document is not None:
        raise error_document
    try:
        lines = [row for row in csv.reader(decoded(payload).splitlines(keepends=True), delimiter=delimiter, strict=True) if row]
    except csv.Error as error:
        raise changed(payload, f"body is not CSV: {error}") from error
    header = [name.strip() for name in lines[0]] if lines else []
    missing = [name for name in required if name not in header]
    if missing:
        raise changed(payload, f"no column {', '.join(missing)} in the first line: not the CSV this source knows")
    if len(set(header)) != len(header):
        raise changed(payload, "a column stands twice in the first line")
    return [dict(zip(header, row, strict=True)) if len(row) == len(header) else list(row) for row in lines[1:]]
