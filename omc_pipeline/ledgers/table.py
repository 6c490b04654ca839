"""What a ledger table is: a frozen row type, its natural key, and the clock of its source.

Every table has, beside the fields of its row type, the columns of ``BOOKKEEPING``: who told us (``source``), which version of
the fact this is (``version``, from 1), when we knew (``recorded_at``, set once by the database), the body it was read
from (``payload_sha256``) and a digest of its facts (``row_sha256``). A changed fact is a new version, never an overwrite.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Literal

LedgerName = Literal["glass", "human", "catalyst", "exchange"]
LEDGERS: tuple[LedgerName, ...] = ("glass", "human", "catalyst", "exchange")
BOOKKEEPING_DESCRIPTIONS = {
    "source": "Name of the source that gave us the row; part of every key.",
    "version": "Version of the fact, from 1. A changed fact is a new row with the next version; nothing is overwritten.",
    "recorded_at": "When we knew it: our clock, set once by the database. A reader of the past sees only rows recorded by then.",
    "payload_sha256": "SHA-256 of the body that the row was read from, in `raw.payload`; NULL where there is no body.",
    "row_sha256": "SHA-256 over the facts of the row; equal facts give equal digests.",
}
"""Columns that every ledger table has beside the fields of its row type, with their meaning."""
BOOKKEEPING = tuple(BOOKKEEPING_DESCRIPTIONS)

SEPARATOR, NULL = "\x1f", "\x00"
"""Between the texts of facts in a digest, and in place of one that is None."""


@dataclass(frozen=True, slots=True)
class Row:
    """Base of all ledger rows; a subclass names its table. Values: str, int, bool, Decimal, aware UTC datetime, date, None."""

    table: ClassVar[LedgerTable]


@dataclass(frozen=True)
class LedgerTable:
    """One table: ``ledger`` is its schema, ``key`` the natural key beside ``source``, ``clock`` the source's own time.

    The key of a ``per_account`` table is without the source: several sources may tell the same fact of an account, and it is one row.
    A ``monthly`` table is kept in partitions by its clock (see ``partitions``); ``latest`` names a table that holds the newest row of each
    of its series, in the same columns.
    """

    ledger: LedgerName
    name: str
    row: type[Row]
    key: tuple[str, ...]
    clock: str
    per_user: bool = False
    per_account: bool = False
    monthly: bool = False
    latest: str | None = None

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of the row type's fields, in order; each is a column."""
        return tuple(field.name for field in dataclasses.fields(self.row))

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that name a fact whatever its version."""
        return self.key if self.per_account else ("source", *self.key)

    @property
    def qualified(self) -> str:
        """Schema and name, as SQL writes them."""
        return f"{self.ledger}.{self.name}"


def key_of(row: Row) -> tuple[Any, ...]:
    """Return the natural key of a row, without its source."""
    return tuple(getattr(row, name) for name in row.table.key)


def json_values(row: Row) -> dict[str, str | int | bool | None]:
    """Return the facts of a row as plain JSON values, numbers and times as text."""
    return {name: _json_value(getattr(row, name)) for name in row.table.fields}


def row_digest(row: Row) -> str:
    """Return a sha256 over the facts of a row, the same on every machine; equal facts, equal digest (``1.50`` is ``1.5``)."""
    facts = SEPARATOR.join(canonical_texts([getattr(row, name) for name in row.table.fields]))
    return hashlib.sha256(facts.encode()).hexdigest()


def canonical_texts(values: Iterable[Any]) -> list[str]:
    """Return the texts of values by which facts are compared; ``NULL`` stands for None. PostgreSQL reads each as the value."""
    return [_CANONICAL.get(type(value), _of_subclass)(value) for value in values]


def number_text(value: Decimal) -> str:
    """Write a number in full without idle zeros, the same for equal numbers; ``normalize`` would round it to 28 digits."""
    written = format(value, "f")
    return (written.rstrip("0").rstrip(".") if "." in written else written) if value else "0"


def _json_value(value: str | int | Decimal | datetime | date | None) -> str | int | bool | None:
    if isinstance(value, Decimal):
        return number_text(value)
    return value.isoformat() if isinstance(value, (datetime, date)) else value


def _of_subclass(value: Any) -> str:
    return next((write(value) for kind, write in _CANONICAL.items() if isinstance(value, kind)), str(value))


_CANONICAL: Mapping[type, Callable[[Any], str]] = {
    str: str,
    Decimal: number_text,
    datetime: datetime.isoformat,
    date: date.isoformat,
    type(None): lambda _: NULL,
}
"""How the values of facts are written, by type; others as ``str`` does."""
