"""One page of a result: which rows, why there are none, and the cursor of the next page.

A cursor fixes the knowledge time of the first page, and rows known at a time don't change: the pages of a result fit together.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from omc_agents.mcp_server.arguments import Arguments
from omc_agents.mcp_server.rows import Seen
from omc_infra.errors import BadInputError

MOST_OFFSET = 5_000
"""Rows of one result that can be reached page by page."""
_NOT_PART = {"as_of", "cursor", "limit"}


@dataclass(frozen=True)
class Part:
    """Some of the rows of a result.

    Attributes:
        fetch: Returns up to so many rows, always in the same order.
        why_none: Says why there are none, as the words after *no rows*.
    """

    fetch: Callable[[int], Sequence[Seen]]
    why_none: Callable[[], str]


@dataclass(frozen=True)
class Place:
    """Where a page begins; ``as_of`` is None on the first page."""

    offset: int = 0
    as_of: datetime | None = None


def page_of(parts: Sequence[Part], offset: int, most: int) -> tuple[list[Seen], list[str], bool]:
    """Return the rows of a page, why parts that belong to it have none, and whether rows follow."""
    found: list[Seen] = []
    missing: list[str] = []
    wanted = offset + most + 1
    for part in parts:
        if len(found) >= wanted:
            break
        rows = list(part.fetch(wanted - len(found)))[: wanted - len(found)]
        if not rows and offset <= len(found):
            missing.append(f"no rows {part.why_none()}")
        found += rows
    page = found[offset : offset + most]
    if not page and not missing:
        missing.append(f"no rows here, because the pages before hold all {len(found)}")
    return page, missing, len(found) > offset + most


def cursor_of(tool: str, arguments: Arguments, offset: int, as_of: datetime) -> str:
    """Return the cursor of a page."""
    written = json.dumps([_digest(tool, arguments), offset, as_of.isoformat()], separators=(",", ":"))
    return base64.urlsafe_b64encode(written.encode()).decode().rstrip("=")


def place_of(tool: str, arguments: Arguments) -> Place:
    """Return where the page of a call begins.

    Raises:
        BadInputError: The cursor isn't one of this tool with these arguments.
    """
    if arguments.cursor is None:
        return Place()
    wrong = BadInputError("cursor: not one of this tool with these arguments; leave it out to begin anew")
    try:
        padded = arguments.cursor + "=" * (-len(arguments.cursor) % 4)
        digest, offset, as_of = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        place = Place(offset, datetime.fromisoformat(as_of))
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise wrong from None
    if digest != _digest(tool, arguments) or type(offset) is not int or place.as_of is None or place.as_of.tzinfo is None:
        raise wrong
    if not 0 < offset <= MOST_OFFSET:
        raise BadInputError(f"cursor: a result ends after {MOST_OFFSET} rows; narrow it by its other arguments or by as_of")
    return place


def _digest(tool: str, arguments: Arguments) -> str:
    document = json.dumps([tool, arguments.model_dump(mode="json", exclude=_NOT_PART)], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:12]
