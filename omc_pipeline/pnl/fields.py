"""One row's fields into values; every refusal names the row, the field and the value."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import parse_decimal
from omc_pipeline.pnl.document import Row

_LONGEST = 200
_FINER_THAN_MICROSECONDS = re.compile(r"[.,]\d{6}\d*[1-9]")


def refusal(row: Row, name: str, complaint: object) -> BadInputError:
    """Return the error for one field of one row."""
    return BadInputError(f"{row.place}, field {name!r}: {complaint}")


def optional_text(row: Row, name: str) -> str | None:
    """Return a field's text, stripped, or None where it is absent, null or blank."""
    value = row.fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise refusal(row, name, f"{str(value)[:40]} is neither text nor a number")
    text = value.strip()
    if not text.isprintable():
        raise refusal(row, name, f"{ascii(text)[:60]} holds characters that can't be shown")
    if len(text) > _LONGEST:
        raise refusal(row, name, f"{text[:20]!r}... has {len(text)} characters; at most {_LONGEST} are read")
    return text or None


def required_text(row: Row, name: str) -> str:
    """Return a field's text, stripped."""
    value = optional_text(row, name)
    if value is None:
        raise refusal(row, name, "is missing")
    return value


def optional_number(row: Row, name: str) -> Decimal | None:
    """Return a field's number, exactly, or None where it is absent, null or blank."""
    text = optional_text(row, name)
    if text is None:
        return None
    try:
        return parse_decimal(text)
    except ValueError as error:
        hint = "; write decimals with a point and thousands without a mark" if "," in text else ""
        raise refusal(row, name, f"{error}{hint}") from error


def instant(row: Row, name: str, *, zone_optional: bool) -> datetime:
    """Return a field's time in UTC.

    Args:
        row: Where it stands.
        name: Its field.
        zone_optional: Take a time without zone as UTC, as case files mean it; elsewhere it is refused.
    """
    text = required_text(row, name)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None and not zone_optional:
            more = (
                "has no zone; append Z or +00:00" if "T" in text or " " in text else "is a day; write a time, such as 2026-01-31T13:05:00Z"
            )
            raise refusal(row, name, f"time {text!r} {more}")
        in_utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise refusal(row, name, f"{text[:40]!r} is not an ISO 8601 time, such as 2026-01-31T13:05:00Z") from error
    if _FINER_THAN_MICROSECONDS.search(text):
        raise refusal(row, name, f"time {text!r} is finer than a microsecond, which would be lost")
    return in_utc
