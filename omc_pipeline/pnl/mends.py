"""What a person can do about each kind of exception of a file, as commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

_IN_THE_LEDGER = "import the file, since the ledger has rates: omc import FILE --yes, then omc pnl positions"
MENDS: Mapping[str, Sequence[str]] = {
    "oversell": (
        "give the file with the missing purchases or deposits, too: --fills OTHER",
        "count what was not held as sold at no cost: --oversell-policy zero_basis",
        "if it was a short position: --oversell-policy short",
    ),
    "open_short": ("give the file with the purchases that close it, too: --fills OTHER",),
    "missing_price": ("give the prices of what is held: --prices PRICES.csv", _IN_THE_LEDGER),
    "unpriced_fee": ("state the fee as a row of its own, of kind 'fee' with its price", _IN_THE_LEDGER),
    "unknown_fee": ("add a column 'fee', or 0 where there was none",),
    "missing_history": ("give the file of the account that the coins came from, too: --fills OTHER",),
    "in_transit": ("give the file of the account that the coins went to, too: --fills OTHER",),
    "invalid_fill": ("correct the row, or leave it out",),
    "unclear_row": (
        "correct the row in the file, or leave it out",
        "describe the file: omc import FILE --suggest > map.toml, then --map map.toml",
    ),
    "two_readings": ("correct the row: leave out 'cost' and 'proceeds' to count quantity \u00d7 price, or correct the price",),
    "given_twice": ("give one of the files only, or take the doubled rows out",),
}


def mends_of(kinds: Iterable[str]) -> dict[str, list[str]]:
    """Return what can be done about each kind that occurs, the most frequent first."""
    return {kind: list(MENDS[kind]) for kind, _ in Counter(kinds).most_common() if kind in MENDS}
