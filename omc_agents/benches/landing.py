"""Events for a bench: landed in the ledger as a collection lands them, and waited for until each has its brief."""

from __future__ import annotations

import time
import zlib
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from omc_infra.clock import utc_now
from omc_infra.errors import UpstreamUnavailableError

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

SOURCE = "catalyst_sec_edgar"
DOCUMENT = """<html><body><p><b>Item 8.01 Other Events.</b></p>
<p>During the period between November 16, 2026 and November 22, 2026, Bench Issuer acquired 2,590 bitcoins for an aggregate purchase price
of $250.9 million, at an average price of $96,885 per bitcoin.</p><p>As of November 22, 2026, Bench Issuer held an aggregate of 485,483
bitcoins.</p></body></html>"""
_BRIEF_S, _POLL_S = 300.0, 0.5
_BRIEFED = "SELECT count(*) FROM agents.brief WHERE event_id LIKE :prefix"
_DOUBLED = "SELECT count(*) - count(DISTINCT event_id) FROM agents.brief WHERE event_id LIKE :prefix"


def event_prefix(name: str) -> str:
    """Return how the ids of the events of a name begin; they look like accession numbers, for a brief cites no other ids of filings."""
    return f"{zlib.crc32(name.encode()):010d}-26-"


def event_ids(name: str, count: int, first: int = 0) -> list[str]:
    """Return the ids of the events of a name, numbered from ``first``."""
    return [f"{event_prefix(name)}{number:06d}" for number in range(first, first + count)]


def land(database: Database, name: str, count: int = 1, first: int = 0, *, symbol: str = "BTC", document: str = DOCUMENT) -> None:
    """Append fresh filings about a coin, each with the same document; their ids are ``event_ids`` of the name."""
    from omc_pipeline.ledgers.catalyst import CatalystDocument, CatalystEvent
    from omc_pipeline.ledgers.write import append

    now: datetime = utc_now()
    rows = [
        CatalystEvent(
            event_id=event_id,
            event_type="filing",
            symbol=symbol,
            ticker="MSTR",
            issuer="Bench Issuer",
            title="8-K",
            form="8-K",
            items=None,
            url="https://www.sec.gov/Archives/edgar/data/1/bench.htm",
            filed_on=now.date(),
            published_at=now,
        )
        for event_id in event_ids(name, count, first)
    ]
    documents = [
        CatalystDocument(row.event_id, "main", "main", row.url, "fetched", document, len(document), 1, row.published_at) for row in rows
    ]
    with database.connect("writer") as connection:
        append(connection, SOURCE, rows, None)
        append(connection, SOURCE, documents, None)


def briefed(database: Database, name: str) -> int:
    """Return how many briefs there are of events of a name."""
    with database.engine("reader").connect() as connection:
        return int(connection.execute(sa.text(_BRIEFED), {"prefix": f"{event_prefix(name)}%"}).scalar_one())


def doubled(database: Database, name: str) -> int:
    """Return how many briefs there are too many of events of a name."""
    with database.engine("reader").connect() as connection:
        return int(connection.execute(sa.text(_DOUBLED), {"prefix": f"{event_prefix(name)}%"}).scalar_one())


def await_briefs(database: Database, name: str, count: int, longest_s: float = _BRIEF_S) -> None:
    """Wait until so many events of a name have a brief.

    Raises:
        UpstreamUnavailableError: They have not, after ``longest_s``.
    """
    deadline = time.monotonic() + longest_s
    while time.monotonic() < deadline:
        if briefed(database, name) >= count:
            return
        time.sleep(_POLL_S)
    raise UpstreamUnavailableError(f"not all of {count} events have a brief after {longest_s:.0f} s")
