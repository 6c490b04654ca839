"""One row of a file: its cells by the names of a format, each read strictly; every refusal names the row, the column and the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal

from omc_infra.errors import BadInputError
from omc_pipeline.imports.names import asset
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.numbers import USUAL_NUMBER, USUAL_WITH_COIN, Mark, TwoReadingsError, read_number, with_coin
from omc_pipeline.imports.times import DayOrder, DayOrderError, NoZoneError, read_time

_LONGEST = 400
_SHORT = 40
_ZERO = Decimal(0)
_FIRST_YEAR, _LAST_YEAR = 2009, 2100
"""No coin was traded before; a number that is no time reads as one of another century."""
_NOTHING = frozenset({"", "-", "--", "n/a", "nan", "none", "null"})
_WORD = 5


class UnclearRowError(ValueError):
    """A row that can be read in two ways, or states money that does not agree: it becomes an exception, and is not counted."""


@dataclass(frozen=True)
class Sheet:
    """What all rows of a file have in common.

    Attributes:
        venue: Whose names of coins they use.
        titles: As written, for messages.
        places: Where each column stands, by the name of the format.
        mark: What separates decimals.
        zone: Of times that state none.
        order: Whether day or month comes first.
        notes: Where what is found is kept.
        quote: Currency of prices where no column says it; empty: nobody says.
    """

    venue: str
    titles: Sequence[str]
    places: Mapping[str, int]
    mark: Mark | None
    zone: tzinfo | None
    order: DayOrder | None
    notes: Notes
    quote: str = ""


class Row:
    """One row."""

    __slots__ = ("_cells", "_sheet", "number", "place")
    zero = Decimal(0)

    def __init__(self, sheet: Sheet, number: int, place: str, cells: Sequence[str]) -> None:
        self._sheet, self._cells = sheet, cells
        self.number, self.place = number, place

    @property
    def quote(self) -> str:
        """Return the currency that a person gave for prices, empty where none did."""
        return self._sheet.quote

    def has(self, name: str) -> bool:
        """Say whether the file has such a column."""
        return name in self._sheet.places

    def text(self, name: str) -> str:
        """Return a cell, stripped; empty where the file has no such column."""
        at = self._sheet.places.get(name)
        if at is None:
            return ""
        text = self._cells[at].strip()
        if len(text) < _SHORT and text.isalnum():
            return text
        if len(text) > _LONGEST:
            raise self.refusal(name, f"{text[:20]!r}... has {len(text)} characters; at most {_LONGEST} are read")
        if not text.isprintable():
            raise self.refusal(name, f"{ascii(text)[:60]} holds characters that can't be shown")
        return text

    def word(self, name: str) -> str:
        """Return a cell in lower case with single blanks, to compare with words."""
        return " ".join(self.text(name).lower().replace("_", " ").split())

    def required(self, name: str) -> str:
        """Return a cell that must not be empty."""
        text = self.text(name)
        if len(text) < _WORD and text.lower() in _NOTHING:
            raise self.refusal(name, "is empty")
        return text

    def coin(self, name: str) -> str:
        """Return a coin or currency by its canonical name."""
        return self._named(name, self.required(name))

    def coin_or_none(self, name: str) -> str:
        """Return the same, or an empty text."""
        text = self.text(name)
        return "" if text.lower() in _NOTHING else self._named(name, text)

    def number_or_none(self, name: str) -> Decimal | None:
        """Return a number, or None where the cell is empty."""
        text = self.text(name)
        return None if len(text) < _WORD and text.lower() in _NOTHING else self._number(name, text)

    def amount(self, name: str) -> Decimal:
        """Return a number that must be there."""
        at = self._sheet.places.get(name)
        if at is not None and self._sheet.mark != "comma" and USUAL_NUMBER.fullmatch(self._cells[at]):
            return Decimal(self._cells[at]) or _ZERO
        return self._number(name, self.required(name))

    def amount_with_coin(self, name: str) -> tuple[Decimal, str]:
        """Return the two parts of ``0.5ETH``; the coin is empty where none is written."""
        at = self._sheet.places.get(name)
        if at is not None and self._sheet.mark != "comma" and (usual := USUAL_WITH_COIN.fullmatch(self._cells[at])):
            return Decimal(usual[1]) or _ZERO, self._named(name, usual[2])
        try:
            written, coin = with_coin(self.required(name))
        except ValueError as error:
            raise self.refusal(name, error) from error
        return self._number(name, written), self._named(name, coin) if coin else ""

    def time(self, name: str) -> datetime:
        """Return a time in UTC."""
        text = self.required(name)
        sheet = self._sheet
        try:
            moment, is_zoneless = read_time(text, sheet.zone, sheet.order)
        except NoZoneError as error:
            raise self.refusal(name, f"{error}; say which with --file-zone, such as --file-zone Australia/Sydney or UTC") from error
        except DayOrderError as error:
            raise self.refusal(name, f"{error}? Say it in a mapping file: day_order = 'day first'") from error
        except (ValueError, OverflowError) as error:
            raise self.refusal(name, error) from error
        if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            raise self.refusal(name, f"{text!r} is a time of the year {moment.year}; is this column something else?")
        sheet.notes.zoneless += is_zoneless
        return moment

    def title(self, name: str) -> str:
        """Return how the file titles a column."""
        at = self._sheet.places.get(name)
        return name if at is None else self._sheet.titles[at]

    def refusal(self, name: str, complaint: object) -> BadInputError:
        """Return the error for one cell."""
        return BadInputError(f"{self.place}, column {self.title(name)!r}: {complaint}")

    def _named(self, name: str, written: str) -> str:
        try:
            return asset(self._sheet.venue, written)
        except ValueError as error:
            raise self.refusal(name, error) from error

    def _number(self, name: str, text: str) -> Decimal:
        try:
            return read_number(text, self._sheet.mark)
        except TwoReadingsError as error:
            raise self.refusal(name, f"{error}; say which with --decimal comma or --decimal point") from error
        except ValueError as error:
            raise self.refusal(name, error) from error
