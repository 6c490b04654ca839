"""The interface of a source: endpoints to fetch, one pure ``parse``, typed options, and what it needs from the platform.

``fetch`` is the only part that does I/O, with the HTTP client that it receives. ``parse`` is a pure function of one payload and
the source's options: the same bytes, context and options always give the same rows. ``omc replay`` and
``omc collect --payload`` depend on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any, LiteralString, Protocol

from omc_infra.errors import BadInputError
from omc_infra.http import HostPolicy, HttpClient
from omc_infra.payload import Payload
from omc_pipeline.collection.accounts import Account
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.window import Step, Window
from omc_pipeline.ledgers.table import LedgerName, LedgerTable, Row


@dataclass(frozen=True)
class Rejected:
    """A refused row; it goes to quarantine with the reason and the hash of its payload.

    Attributes:
        reason: Why, in one line.
        row: What it was, of plain JSON values.
        count: How many rows it stands for: one, or those beyond the number that is kept one by one.
    """

    reason: str
    row: Mapping[str, Any]
    count: int = 1


@dataclass(frozen=True)
class Parsed:
    """Result of parsing one payload: rows for the ledgers, and refused rows."""

    rows: Sequence[Row]
    rejected: Sequence[Rejected] = ()


@dataclass(frozen=True)
class FetchContext:
    """Context of a ``fetch``.

    Attributes:
        http: The polite client; it signs and adds keys as the source's policy declares.
        config: The source's options, of its own config type.
        now: The present.
        since: Newest clock value the ledger holds of this source (and account) in the tables of the endpoint, of the table that lags
            most; None when one of them is empty.
        account: Whose data to ask for; None for a public source.
        held: Returns what the ledger holds of this source in a table, from a clock value on: the latest version of each row by field name.
        needs: What the ledgers lack, the rows of the endpoint's ``needs``.
        asked_at: When the endpoint was last collected well, for this account; None: never.
    """

    http: HttpClient
    config: Any
    now: datetime
    since: datetime | None = None
    account: Account | None = None
    held: Callable[[LedgerTable, datetime], Sequence[Mapping[str, Any]]] = lambda _table, _since: ()
    needs: Sequence[tuple[Any, ...]] = ()
    asked_at: datetime | None = None


class Fetch(Protocol):
    """Fetch new data from the upstream, one payload per response."""

    def __call__(self, context: FetchContext) -> Iterator[Payload]:
        """Yield each payload as soon as it arrives."""
        ...


class FetchHistory(Protocol):
    """Fetch a range of days from the upstream, one payload per response."""

    def __call__(self, context: FetchContext, window: Window) -> Iterator[Payload]:
        """Yield each payload as soon as it arrives; the collector drops rows outside the window."""
        ...


class Parse(Protocol):
    """Read the rows of one payload; pure."""

    def __call__(self, payload: Payload, config: Any, /) -> Parsed:
        """Return rows and refused rows; raise an ``OmcError`` for an error body or an unknown shape."""
        ...


class Settle(Protocol):
    """Decide how a fact that is already in the ledger changes; pure."""

    def __call__(self, known: Row, details: Row, /) -> Row:
        """Return the row to store, given a fact's latest version and the row of a payload; ``known`` if nothing changes."""
        ...


@dataclass(frozen=True)
class LedgerInput:
    """What a derived endpoint reads: the rows that some sources wrote to one table.

    Attributes:
        table: The table.
        sources: Names of the sources whose rows are read.
        step: The output is computed anew for each of these spans that a new input row touches.
        lookback_days: Days before a span whose rows its computation needs, too; a row touches that many days after it.
        may_be_empty: Whether it is no failure that the input has no rows yet, as where that is another ledger's, collected by another job.
        summary: A statement whose rows are read in place of the table's own, where those would be too many. Bound: ``source``, the first of
            ``sources``, ``since`` and ``before`` of the window with its lookback, and ``until``, the latest recording time to see.
    """

    table: LedgerTable
    sources: tuple[str, ...]
    step: Step = "day"
    lookback_days: int = 0
    may_be_empty: bool = False
    summary: str = ""


@dataclass(frozen=True)
class Endpoint:
    """One resource of a source, with its own cadence.

    Attributes:
        name: Within the source.
        cron: When it is asked, five fields, UTC.
        every_s: Seconds between two askings at most; freshness is judged against it.
        fetch: Asks it. A derived endpoint has none.
        reads: The ledger rows that a derived endpoint is computed from, in place of ``fetch``.
        tables: Those it fills, for ``FetchContext.since`` and freshness; empty means all tables of the source.
        sample_every_s: Seconds between two samples within one scheduled run, a part of ``every_s``; None: one sample. A run on
            demand takes one in any case.
        is_wanted: Whether the source's options ask for it at all; None: always. One that isn't wanted is left out of every run.
        needs: SQL that looks up what the ledgers lack, for an upstream that is asked on need; it binds ``%(source)s`` and ``%(now)s``.
        only_on_need: Whether it is no failure that nothing was asked, because nothing was needed.
    """

    name: str
    cron: str
    every_s: int
    fetch: Fetch | None = None
    reads: LedgerInput | None = None
    tables: tuple[LedgerTable, ...] = ()
    sample_every_s: int | None = None
    is_wanted: Callable[[Any], bool] | None = None
    needs: LiteralString = ""
    only_on_need: bool = False


@dataclass(frozen=True)
class History:
    """How far back a source can collect past days.

    Attributes:
        first_day: Earliest day the upstream has.
        fetch: Asks for a window of days. None for a derived source, which is computed anew from its input.
        step: Length of a Dagster partition.
    """

    first_day: date
    fetch: FetchHistory | None = None
    step: Step = "day"


@dataclass(frozen=True)
class Venues:
    """The venues of a source that reads accounts at many of them; each account is at one.

    Attributes:
        knows: Returns whether accounts at a venue can be read.
        policy: Returns where a venue is and how politely it is asked.
    """

    knows: Callable[[str], bool]
    policy: Callable[[str], HostPolicy]


@dataclass(frozen=True)
class Source:
    """One upstream as one ledger sees it.

    Attributes:
        name: ``<ledger>_<name>``, equal to the module's name.
        title: What a person calls it.
        tables: Where its rows go.
        endpoints: What it is asked for; each is collected for itself.
        parse: Reads the rows of a payload of any endpoint; ``payload.context["endpoint"]`` names it where it was fetched.
        homepage: The API's documentation.
        keys_at: The page where a user makes its keys; empty: the homepage says it.
        policy: Base URLs a profile, authentication, and how politely to ask; None for a derived source.
        hosts_of: Returns the policies of further hosts that its options name, by the name to ask them with; they stand beside, and before,
            the ``others`` of the policy.
        config: Type of its options; the section ``sources.<name>`` of the configuration.
        history: How it reads the past, if it can.
        settle: Decides what a payload's row becomes where the ledger knows its fact already; None: it is the next version as it is.
        scrub: Takes out of a body what must not be kept (names of authors, tokens in links) before it is hashed, stored and parsed.
        per_account: Whether it is collected for each account of a user.
        venue: Where those accounts are; empty for a source with ``venues``.
        venues: Where the accounts of a source are that reads many; the policy is then the venue's, and nobody has an account unasked.
        extra: Name of the optional dependency of OMC that it needs; empty: none.
        may_be_silent: Whether it is complete without any row, as where its events may not happen for months.
        owners: Who answers for it.
    """

    name: str
    title: str
    tables: tuple[LedgerTable, ...]
    endpoints: tuple[Endpoint, ...]
    parse: Parse
    homepage: str
    policy: HostPolicy | None = None
    hosts_of: Callable[[Any], Mapping[str, HostPolicy]] | None = None
    config: type[SourceConfig] = SourceConfig
    history: History | None = None
    settle: Settle | None = None
    scrub: Callable[[bytes], bytes] | None = None
    per_account: bool = False
    venue: str = ""
    venues: Venues | None = None
    extra: str = ""
    may_be_silent: bool = False
    keys_at: str = ""
    owners: tuple[str, ...] = field(default=("team:data-platform",))

    @property
    def ledger(self) -> LedgerName:
        """The ledger this source writes to."""
        return self.tables[0].ledger

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Names of the keys that its authentication needs; required in the live profile. Empty for public APIs."""
        policies = () if self.policy is None else (self.policy, *self.policy.others.values())
        return tuple(dict.fromkeys(name for policy in policies for name in policy.auth.key_names))

    def keys_of(self, account: Account | None) -> tuple[str, ...]:
        """Return the names of the keys that an account is read with; without an account, and at the one venue of a source, ``keys``."""
        if self.venues is None or account is None:
            return self.keys
        return self.venues.policy(account.venue).auth.key_names

    def policy_with(self, config: SourceConfig, account: Account | None = None) -> HostPolicy | None:
        """Return the policy with the hosts that the options name, of many venues the account's; None for a derived source."""
        if self.venues is not None and account is not None:
            return self.venues.policy(account.venue)
        if self.policy is None or self.hosts_of is None:
            return self.policy
        return replace(self.policy, others={**self.policy.others, **self.hosts_of(config)})

    def wanted(self, config: SourceConfig, endpoints: Sequence[Endpoint] | None = None) -> list[Endpoint]:
        """Return the endpoints (of the given ones, or of all) that the options enable.

        Raises:
            BadInputError: They ask for none.
        """
        asked = self.endpoints if endpoints is None else endpoints
        wanted = [endpoint for endpoint in asked if endpoint.is_wanted is None or endpoint.is_wanted(config)]
        if not wanted:
            raise BadInputError(f"{self.name}: its options are empty for {', '.join(endpoint.name for endpoint in asked)}")
        return wanted

    @cached_property
    def _fastest(self) -> Endpoint:
        return min(self.endpoints, key=lambda endpoint: endpoint.every_s)

    @property
    def cron(self) -> str:
        """Cron of the most frequent endpoint."""
        return self._fastest.cron

    @property
    def crons(self) -> tuple[str, ...]:
        """Crons of all endpoints, each once; together they are the ticks of the source."""
        return tuple(dict.fromkeys(endpoint.cron for endpoint in self.endpoints))

    @property
    def every_s(self) -> int:
        """Seconds between two collections of the most frequent endpoint."""
        return self._fastest.every_s

    @property
    def sample_every_s(self) -> int | None:
        """Seconds between two samples of the endpoint that is sampled most often; None where none is sampled."""
        return min((endpoint.sample_every_s for endpoint in self.endpoints if endpoint.sample_every_s), default=None)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the sources whose rows this one is derived from; empty for a source that asks an upstream."""
        return tuple(dict.fromkeys(name for endpoint in self.endpoints if endpoint.reads for name in endpoint.reads.sources))

    def tables_of(self, endpoint: Endpoint) -> tuple[LedgerTable, ...]:
        """Return the tables that an endpoint fills."""
        return endpoint.tables or self.tables

    def every_s_of(self, table: LedgerTable) -> int:
        """Return the seconds between two collections of the most frequent endpoint that fills a table."""
        return min(endpoint.every_s for endpoint in self.endpoints if table in self.tables_of(endpoint))

    def endpoint(self, name: str) -> Endpoint:
        """Return one endpoint.

        Raises:
            BadInputError: There is none of that name; the message lists those there are.
        """
        for endpoint in self.endpoints:
            if endpoint.name == name:
                return endpoint
        raise BadInputError(f"{self.name} has no endpoint '{name}'; it has {', '.join(each.name for each in self.endpoints)}")
