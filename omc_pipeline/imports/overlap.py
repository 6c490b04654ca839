"""Files of different formats that tell the same trades of one account: each trade counts once, and what is not clear is said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from omc_pipeline.pnl.amounts import total
from omc_pipeline.pnl.fill import Fill
from omc_pipeline.pnl.result import PnlException

_SHARE = Decimal("0.00001")
_CENT = Decimal("0.01")
_SECONDS = 2


class Reported(NamedTuple):
    """A fill, and the number of the file that tells it."""

    file: int
    fill: Fill


class _What(NamedTuple):
    account: str
    kind: str
    side: str
    symbol: str
    currency: str


class Once(NamedTuple):
    """Fills that count, a line for each pair of files that told some twice, and what a person must look at."""

    fills: list[Reported]
    assumed: list[str]
    exceptions: list[PnlException]


def each_once(reported: Sequence[Reported], formats: Mapping[int, str], names: Mapping[int, str]) -> Once:
    """Leave out what a file of another format has told already.

    A venue may write one line for several executions of one second, so what is compared are the sums of a second, then single fills.

    Args:
        reported: The fills of all files, in the order of the files; those of one format are told once already.
        formats: The format of each file.
        names: What each file is called in messages.
    """
    if len(set(formats.values())) < 2:
        return Once(list(reported), [], [])
    kept: list[Reported] = []
    assumed: list[str] = []
    exceptions: list[PnlException] = []
    for file in sorted(formats):
        own = [one for one in reported if one.file == file]
        known = [one for one in kept if formats[one.file] != formats[file]]
        known_accounts = {one.fill.account for one in known}
        same = [one for one in own if one.fill.account in known_accounts]
        twice = _twice([one.fill for one in known], [one.fill for one in same])
        left = [one for one in own if id(one.fill) not in twice]
        if twice:
            assumed.append(f"{names[file]}: {len(twice):,} fills are told by a file of another format, too, and count once")
        exceptions += _alone([one.fill for one in known], [one.fill for one in left if one.fill.account in known_accounts], names[file])
        kept += left
    return Once(kept, assumed, exceptions)


def _twice(known: Sequence[Fill], own: Sequence[Fill]) -> set[int]:
    """Return the identities of own fills that are known."""
    groups = _seconds(known)
    twice: set[int] = set()
    for what, seconds in _seconds(own).items():
        others = groups.get(what, {})
        for second, fills in seconds.items():
            for near in _near(second, others):
                if _alike(fills, others[near]):
                    twice.update(map(id, fills))
                    others[near] = []
                    break
                for fill in fills:
                    found = next((one for one in others[near] if id(fill) not in twice and _alike([fill], [one])), None)
                    if found is not None:
                        twice.add(id(fill))
                        others[near].remove(found)
    return twice


def _seconds(fills: Iterable[Fill]) -> dict[_What, dict[int, list[Fill]]]:
    found: dict[_What, dict[int, list[Fill]]] = defaultdict(lambda: defaultdict(list))
    for fill in fills:
        what = _What(fill.account, fill.kind, fill.side, fill.symbol, fill.currency)
        found[what][int(fill.time.timestamp())].append(fill)
    return found


def _near(second: int, others: Mapping[int, Sequence[Fill]]) -> list[int]:
    """Return the seconds of others that may be the same, nearest first; a time without seconds may be any of its minute."""
    around = [second + sign * step for step in range(_SECONDS + 1) for sign in ((1, -1) if step else (1,))]
    minute = second - second % 60
    around += range(minute, minute + 60) if second == minute else [minute]
    return [each for each in dict.fromkeys(around) if others.get(each)]


def _alike(own: Sequence[Fill], others: Sequence[Fill]) -> bool:
    if not own or not others:
        return False
    qty, other_qty = total(*(fill.qty for fill in own)), total(*(fill.qty for fill in others))
    if abs(qty - other_qty) > qty * _SHARE:
        return False
    amounts = [[fill.amount for fill in fills] for fills in (own, others)]
    if any(amount is None for one in amounts for amount in one):
        return True
    value, other_value = (total(*(amount for amount in one if amount is not None)) for one in amounts)
    return abs(value - other_value) <= max(value * _SHARE, _CENT * max(len(own), len(others)))


def _alone(known: Sequence[Fill], left: Sequence[Fill], name: str) -> list[PnlException]:
    """Return an exception where fills of an account lie within the time of another file's, and are not in that one."""
    spans: dict[str, tuple[datetime, datetime]] = {}
    for fill in known:
        first, last = spans.get(fill.account, (fill.time, fill.time))
        spans[fill.account] = min(first, fill.time), max(last, fill.time)
    slack = timedelta(seconds=_SECONDS)
    within = [
        fill for fill in left if spans[fill.account][0] - slack <= fill.time <= spans[fill.account][1] + slack and fill.kind == "trade"
    ]
    if not within:
        return []
    first_left = min(within, key=lambda fill: fill.time)
    message = (
        f"{name}: {len(within):,} trades of account {first_left.account} are not in the file of another format that covers the same time,"
        f" the first {first_left.side} of {first_left.qty.normalize():f} {first_left.symbol} at {first_left.time.isoformat()}; they count,"
        " and if that file tells them otherwise, they count twice: give one of the files only"
    )
    return [PnlException("given_twice", first_left.symbol, first_left.id, None, message)]
