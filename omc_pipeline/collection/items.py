"""Sift the items of a payload: those that can be read become ledger rows, the others findings with their reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from omc_pipeline.collection.json_body import Json
from omc_pipeline.collection.source import Parsed, Rejected
from omc_pipeline.collection.values import described
from omc_pipeline.ledgers.table import Row, key_of, row_digest

Item = Mapping[str, Json]

MOST_REFUSED = 10_000
"""Refused rows of one answer that are kept with what they were; of the others only the number is."""

_DEEPEST, _MOST_ENTRIES, _LONGEST_TEXT = 5, 40, 500


def read_items(items: Iterable[Json], read: Callable[[Item], Row]) -> Parsed:
    """Read each item; one that raises ``ValueError`` is rejected with that reason, and does not stop the others."""
    rows: list[Row] = []
    rejected: list[Rejected] = []
    beyond = 0
    for item in items:
        try:
            if isinstance(item, dict):
                rows.append(read(item))
                continue
            reason = f"row is {'null' if item is None else described(item)}, not an object" if not beyond else ""
        except ValueError as error:
            reason = str(error)
        if len(rejected) >= MOST_REFUSED:
            beyond += 1
        else:
            rejected.append(refusal(reason, item if isinstance(item, dict) else {"row": item}))
    return Parsed(rows, [*rejected, *without_rows(beyond)])


def without_rows(count: int) -> list[Rejected]:
    """Return the finding that stands for refused rows beyond those that are kept; none for none."""
    return [Rejected("further rows of the same answer were refused, too", {"rows": count}, count)] if count else []


def distinct_rows(parsed: Parsed) -> Parsed:
    """Refuse the rows whose natural key an earlier row of the body has with other facts; the first one counts, equal ones are one."""
    first: dict[tuple[object, ...], Row] = {}
    rejected = list(parsed.rejected)
    for row in parsed.rows:
        name = (row.table.qualified, *key_of(row))
        known = first.setdefault(name, row)
        if row_digest(known) != row_digest(row):
            shown = {field: _shown(getattr(row, field)) for field in row.table.fields}
            said = ", ".join(f"{field} {_kept(str(shown[field]))[:60]}" for field in row.table.key)
            rejected.append(refusal(f"the body tells of {said} twice, with other facts", shown))
    return Parsed(list(first.values()), rejected)


def _shown(value: object) -> Json:
    return value if value is None or isinstance(value, (str, int, Decimal)) else str(value)


def refusal(reason: str, row: Item) -> Rejected:
    """Make a finding whose row is small and plain enough for a table, a terminal and JSON; the payload has the whole."""
    kept: dict[str, Any] = {_kept(str(name)): _json_value(value, _DEEPEST) for name, value in list(row.items())[:_MOST_ENTRIES]}
    return Rejected(reason, kept)


def _json_value(value: Json, depth: int) -> Any:
    if isinstance(value, str):
        return _kept(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (dict, list)) and depth == 0:
        return "…"
    if isinstance(value, dict):
        return {_kept(name): _json_value(inner, depth - 1) for name, inner in list(value.items())[:_MOST_ENTRIES]}
    if isinstance(value, list):
        return [_json_value(inner, depth - 1) for inner in value[:_MOST_ENTRIES]]
    return value


def _kept(value: str) -> str:
    cut = value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"
    return "".join("\ufffd" if character == "\x00" or "\ud800" <= character <= "\udfff" else character for character in cut)
