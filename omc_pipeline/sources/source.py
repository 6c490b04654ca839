"""What a source is: a name, a cadence, a ``fetch`` that reads and a ``parse`` that thinks.

``fetch`` is the only part that does I/O, through the polite client it is handed. ``parse`` is a pure function of one payload:
the same bytes fetched at the same time give the same rows for ever, which is what makes ``omc replay`` and
``omc collect --payload`` possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from pydantic import SecretStr

from omc_infra.http import HostPolicy, HttpClient
from omc_infra.payload import Payload
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import AccountRow
from omc_pipeline.ledgers.table import LedgerName, LedgerTable, Row


@dataclass(frozen=True)
class Rejected:
    """A row that can't be trusted; it goes to quarantine with its reason and the hash of its payload."""

    reason: str
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Parsed:
    """What one payload says: rows for the ledgers, and the rows that were refused."""

    rows: Sequence[Row]
    rejected: Sequence[Rejected] = ()


@dataclass(frozen=True)
class FetchContext:
    """What ``fetch`` is handed: the polite client, the settings, the present, and where the ledger stands."""

    http: HttpClient
    settings: Settings
    now: datetime
    since: datetime | None
    """The newest clock value the ledger holds of this source (and account), in the table that lags most; None when one is empty."""
    account: AccountRow | None = None
    keys: Mapping[str, SecretStr] = field(default_factory=dict)
    nonce: Callable[[], int] | None = None
    """Returns an integer above every earlier one of the account, in whatever process."""


class Fetch(Protocol):
    """Read what is new from the upstream, one payload a response."""

    def __call__(self, context: FetchContext) -> Iterator[Payload]:
        """Yield each payload as soon as it has come."""
        ...


@dataclass(frozen=True)
class Source:
    """One upstream as one ledger sees it.

    Attributes:
        name: ``<ledger>_<name>``, equal to the module's name.
        title: What a person calls it.
        tables: Where its rows go.
        cron: When it is collected, five fields, UTC.
        every_s: Seconds between two collections; freshness is judged against it.
        sample_every_s: Seconds between two samples within one scheduled collection, a part of ``every_s``; None: one sample. A
            collection on demand takes one in any case.
        host: Base URLs a profile, and how politely to ask.
        keys: Names under which ``Settings.key`` must answer before the live profile can collect; empty for public APIs.
        homepage: The API's documentation.
    """

    name: str
    title: str
    tables: tuple[LedgerTable, ...]
    cron: str
    every_s: int
    host: HostPolicy
    fetch: Fetch
    parse: Callable[[Payload], Parsed]
    homepage: str
    keys: tuple[str, ...] = ()
    sample_every_s: int | None = None
    per_account: bool = False
    venue: str = ""
    owners: tuple[str, ...] = field(default=("team:data-platform",))

    @property
    def ledger(self) -> LedgerName:
        """The ledger this source writes to."""
        return self.tables[0].ledger
