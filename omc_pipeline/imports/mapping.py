"""Any table, described by a mapping file: which column means what, what is fixed, and how its words are to be read.

::

    venue = "my spreadsheet"        # whose names of coins it uses
    zone = "Europe/Berlin"          # of times that state none
    decimal = "comma"               # or "point"
    day_order = "day first"         # or "month first"
    quantity = "net"                # or "gross": a fee in the coin is still to be taken from the quantity
    ignore = ["Comment"]            # columns without a part in any sum

    [columns]                       # what it means = the title in the file
    time = "When"
    side = "Direction"
    symbol = "Coin"
    qty = "How many"

    [fixed]                         # what no column says
    currency = "EUR"

    [words.side]                    # word in the file = buy or sell; [words.kind] likewise
    Kauf = "buy"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, cast

from omc_infra.errors import BadInputError
from omc_pipeline.imports.building import amount_of_side, each, market
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.money import Side, value_before_fee
from omc_pipeline.imports.names import asset
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.numbers import Mark
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.amounts import total
from omc_pipeline.pnl.fill import Fill
from omc_pipeline.pnl.kinds import KINDS, LEAVING, Kind
from omc_pipeline.pnl.meanings import MEANINGS
from omc_pipeline.pnl.titles import folded

_SETTINGS = {
    "venue": str,
    "zone": str,
    "decimal": str,
    "day_order": str,
    "quantity": str,
    "ignore": list,
    "columns": dict,
    "fixed": dict,
    "words": dict,
}


@dataclass(frozen=True)
class MappedFormat:
    """A mapping file, read: the format it makes, and what it says of numbers and of columns that don't matter."""

    format: Format
    mark: Mark | None
    zone: str | None
    ignored: Sequence[str] = field(default_factory=tuple)


def read_mapping(content: bytes) -> MappedFormat:
    """Read a mapping file.

    Raises:
        BadInputError: Not TOML, a word it doesn't know, or a column that it needs and nobody describes.
    """
    try:
        said = tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"--map: not TOML: {error}") from error
    for name, value in said.items():
        if name not in _SETTINGS or not isinstance(value, _SETTINGS[name]):
            raise BadInputError(f"--map: {name!r} is not known or of the wrong type; there are {', '.join(_SETTINGS)}")
    columns, fixed = _texts(said, "columns"), _texts(said, "fixed")
    for name in (*columns, *fixed):
        if name not in MEANINGS:
            raise BadInputError(f"--map: {name!r} is no meaning of a column; there are {', '.join(MEANINGS)}")
    _refuse_incomplete({*columns, *fixed})
    order, mark, quantity = said.get("day_order"), said.get("decimal"), said.get("quantity")
    for name, value, allowed in (
        ("day_order", order, ("day first", "month first")), ("decimal", mark, ("point", "comma")), ("quantity", quantity, ("net", "gross")),
    ):  # fmt: skip
        if value is not None and value not in allowed:
            raise BadInputError(f"--map: {name} is {value!r}; it is {' or '.join(map(repr, allowed))}")
    words = {kind: {folded(word): text for word, text in _texts(said.get("words", {}), kind).items()} for kind in ("side", "kind")}
    reader = _Reader(asset_venue=str(said.get("venue", "")), fixed=fixed, words=words, quantity=quantity)
    made = Format(
        name="mapped", venue=str(said.get("venue", "")), title="the mapping file", link="", columns=columns, read=reader.read,
        absent={}, irrelevant=tuple(map(str, said.get("ignore", ()))), order=order,
    )  # fmt: skip
    return MappedFormat(made, cast("Mark | None", mark), said.get("zone"), tuple(map(str, said.get("ignore", ()))))


def suggested(titles: Sequence[str]) -> str:
    """Write a first mapping for a header; what it doesn't know stands in a comment for a person to decide."""
    meant: dict[str, str] = {}
    for meaning, names in MEANINGS.items():
        for name in names:
            found = next((title for title in titles if folded(title) == name and title not in meant.values()), None)
            if found is not None:
                meant[meaning] = found
                break
    left = [title for title in titles if title.strip() and title not in meant.values()]
    lines = [
        "# Check every line: a column that means something else gives other sums.",
        '# zone = "UTC"',
        '# decimal = "point"',
        '# day_order = "day first"',
    ]
    lines += ['# quantity = "net"', "", "[columns]", *(f"{meaning} = {_quoted(title)}" for meaning, title in meant.items())]
    lines += [f"# ... = {_quoted(title)}    # not known: give its meaning, or put it into ignore above [columns]" for title in left]
    lines += [
        "",
        "[fixed]",
        *(() if {"currency", "market"} & meant.keys() else ('# currency = "AUD"',)),
        "",
        "# [words.side]",
        '# Kauf = "buy"',
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + "".join(sign if sign.isprintable() and sign not in '"\\' else f"\\u{ord(sign):04x}" for sign in text) + '"'


def _texts(said: Mapping[str, Any], name: str) -> dict[str, str]:
    found = said.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise BadInputError(f"--map: [{name}] holds texts only")
    return found


def _refuse_incomplete(known: set[str]) -> None:
    missing = [name for name in ("time", "qty") if name not in known]
    missing += [] if {"symbol", "market"} & known else ["symbol or market"]
    missing += [] if {"currency", "market"} & known else ["currency (in [fixed], where no column says it)"]
    missing += [] if {"side", "kind"} & known else ["side"]
    missing += [] if {"price", "total"} & known else ["price or total"]
    if missing:
        raise BadInputError(f"--map: nothing says {', '.join(missing)}")


@dataclass(frozen=True)
class _Reader:
    asset_venue: str
    fixed: Mapping[str, str]
    words: Mapping[str, Mapping[str, str]]
    quantity: Literal["net", "gross"] | None

    def read(self, rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
        """Turn the rows into fills."""
        return each(rows, notes, lambda row: self._one(row, notes))

    def _one(self, row: Row, notes: Notes) -> Iterator[Fill]:
        if not row.has("fee") and "fee" not in self.fixed:
            notes.assume("no fees, since no column names them")
        kind = self._word(row, "kind") or "trade"
        if kind in ("buy", "sell"):
            kind = "trade"
        if kind not in KINDS:
            raise UnclearRowError(f"kind {kind!r} is none of {', '.join(sorted(KINDS))}; say what it means under [words.kind]")
        side = self._side(row, kind)
        base, quote = self._market(row)
        qty, price, stated = amount_of_side(row, "qty", side), row.number_or_none("price"), row.number_or_none("total")
        fee = row.number_or_none("fee")
        if fee is None:
            fee = Decimal(self.fixed.get("fee", "0"))
        fee_coin = row.coin_or_none("fee_currency") or self.fixed.get("fee_currency", quote).upper()
        in_coin = bool(fee) and fee_coin == base
        if in_coin and self.quantity is None:
            raise row.refusal("fee", "is in the coin; say in the mapping file whether quantity = 'net' or 'gross' of it")
        if price is None and stated is None and kind == "trade":
            raise row.refusal("price", "is empty, and no total stands in its place")
        amount = (
            value_before_fee(side, qty, price, stated, fee if fee_coin == quote else row.zero)
            if price is not None or stated is not None
            else None
        )
        if in_coin and self.quantity == "net":
            qty = total(qty, fee if side == "buy" else -fee)
        identity = row.text("id")
        yield Fill(
            f"{base}/{quote}:{identity}" if identity else f"#{row.number}", row.text("account"), base, quote, side, qty, price, amount, fee,
            fee_coin, row.time("time"), cast("Kind", kind), None, None, "", 1, row.number,
        )  # fmt: skip

    def _word(self, row: Row, name: str) -> str:
        written = row.text(name) or self.fixed.get(name, "")
        return self.words[name].get(folded(written), written.strip().lower())

    def _side(self, row: Row, kind: str) -> Side:
        word = self._word(row, "side") or self._word(row, "kind")
        if word in ("buy", "sell"):
            return cast("Side", word)
        if kind == "trade":
            raise row.refusal("side", f"{word[:40]!r} is neither buy nor sell; say what it means under [words.side] of the mapping file")
        return "sell" if kind in LEAVING else "buy"

    def _market(self, row: Row) -> tuple[str, str]:
        if row.has("market"):
            base, quote = market(row, "market")
            return asset(self.asset_venue, base), asset(self.asset_venue, quote)
        base = row.coin("symbol") if row.has("symbol") else self.fixed["symbol"].upper()
        return base, row.coin("currency") if row.has("currency") else self.fixed["currency"].upper()
