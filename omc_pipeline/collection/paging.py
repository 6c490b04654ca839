"""Read an answer that comes in pages: by cursor, by page number or by offset, each up to a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload

MOST_PAGES = 1_000
"""Pages after which an upstream is taken to go round in circles, unless a source says otherwise."""


def by_cursor(
    ask: Callable[[str | None], Payload], following: Callable[[Payload], str | None], most: int = MOST_PAGES
) -> Iterator[Payload]:
    """Yield the pages of an upstream that names the next one.

    Args:
        ask: Asks for the page at a cursor; None for the first.
        following: Reads the cursor of the next page out of a page; None or empty at the last.
        most: Most pages.

    Raises:
        PayloadChangedError: There are more, or a cursor comes a second time.
    """
    cursor: str | None = None
    seen: set[str] = set()
    for _ in range(most):
        payload = ask(cursor)
        yield payload
        cursor = following(payload)
        if not cursor:
            return
        if cursor in seen:
            raise PayloadChangedError(f"{payload.source}: the cursor of a page points to an earlier page")
        seen.add(cursor)
    raise PayloadChangedError(f"{payload.source}: more than {most} pages")


def by_page(ask: Callable[[int], Payload], is_last: Callable[[Payload], bool], first: int = 1, most: int = MOST_PAGES) -> Iterator[Payload]:
    """Yield the pages of an upstream that numbers them.

    Args:
        ask: Asks for a page by its number.
        is_last: Whether a page is the last.
        first: Number of the first page.
        most: Most pages.

    Raises:
        PayloadChangedError: There are more.
    """
    for number in range(first, first + most):
        payload = ask(number)
        yield payload
        if is_last(payload):
            return
    raise PayloadChangedError(f"{payload.source}: more than {most} pages")


def by_offset(ask: Callable[[int], Payload], count: Callable[[Payload], int], size: int, most: int = MOST_PAGES) -> Iterator[Payload]:
    """Yield the pages of an upstream that is told how many rows to skip.

    Args:
        ask: Asks for the rows from an offset on.
        count: Counts the rows of a page; one with fewer than ``size`` is the last.
        size: Rows of a full page.
        most: Most pages.

    Raises:
        PayloadChangedError: There are more.
    """
    return by_page(lambda page: ask(page * size), lambda payload: count(payload) < size, 0, most)
