"""The columns of own trades: which are read, which don't matter, and what another one might be."""

from __future__ import annotations

from collections.abc import Collection

from omc_pipeline.pnl.document import Row
from omc_pipeline.pnl.fields import optional_text, refusal
from omc_pipeline.pnl.meanings import meaning_of, might_be
from omc_pipeline.pnl.statuses import is_done

COLUMNS = frozenset(
    {"id", "time", "symbol", "side", "qty", "price", "kind", "cost", "proceeds", "gross", "fee", "fee_ccy", "quote", "currency", "sequence"}
    | {"status"}
)
IRRELEVANT = frozenset({"source_row", "note"})
_MISNAMED = {"fees": "fee", "commission": "fee", "fee_currency": "fee_ccy", "fee_coin": "fee_ccy", "commission_asset": "fee_ccy"}
"""Columns of other tools that would change a sum if they were passed over."""
_FIELDS = {
    "time": "'time'", "id": "'id'", "symbol": "'symbol'", "currency": "'quote'", "side": "'side'", "kind": "'kind'", "qty": "'qty'",
    "price": "'price'", "total": "'cost' of purchases and 'proceeds' of sales", "fee": "'fee'", "fee_currency": "'fee_ccy'",
}  # fmt: skip
"""What a column of each meaning is called here."""


def refuse_unknown(row: Row, known: Collection[str]) -> None:
    """Refuse fields that are not known, by name.

    Raises:
        BadInputError: Says what the first of them might be.
    """
    for name in row.fields:
        if name in _MISNAMED:
            raise refusal(row, name, f"no such field; it is called {_MISNAMED[name]!r} here")
        if name and name not in known:
            meaning, field = might_be(name), _FIELDS.get(meaning_of(name), "")
            guess = f" (it might be {meaning}" + (f"; then call it {field})" if field else ")") if meaning else ""
            raise refusal(row, name, f"is not known, so it may bear on money{guess}; if it doesn't, say --ignore '{name}'")


def happened(row: Row) -> bool:
    """Say whether a row happened, by its status."""
    word = " ".join((optional_text(row, "status") or "").lower().replace("_", " ").split())
    known = is_done(word)
    if known is None:
        raise refusal(row, "status", f"whether something of status {word[:40]!r} happened is not known; leave out the row or its status")
    return known
