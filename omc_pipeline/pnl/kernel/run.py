"""One call of the kernel: survey the positions, reserve room, match, cut the room to what was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.kernel.fills import BUY, Fills
from omc_pipeline.pnl.kernel.matched import MatchColumns, Matched, OpenColumns, UnmatchedColumns, reserve
from omc_pipeline.pnl.policy import Method, OversellPolicy

KERNEL_METHODS: tuple[Method, ...] = ("fifo", "lifo", "hifo", "lofo", "avg")
_POLICIES: Mapping[OversellPolicy, int] = {"exclude": 0, "zero_basis": 1, "refuse": 2}


def match_fills(fills: Fills, method: Method, policy: OversellPolicy = "exclude", *, cache: Path | None = None) -> Matched:
    """Match the sells of many positions to their lots, on one core.

    Args:
        fills: Grouped by position, in order.
        method: One of ``KERNEL_METHODS``.
        policy: What to do with units that were sold but not held.
        cache: Folder of compiled code; the first call on a machine compiles, which takes seconds.

    Raises:
        BadInputError: A method the kernel lacks, a negative quantity, a remainder larger than its quantity, hifo or lofo
            without prices, or more is sold than held and the policy is ``refuse``.
        ImportError: numba is not there or does not run here.
    """
    if method not in KERNEL_METHODS:
        raise BadInputError(f"the kernel has no method {method!r}; it has {', '.join(KERNEL_METHODS)}")
    if method in ("hifo", "lofo") and len(fills.price) != len(fills.qty):
        raise BadInputError(f"{method} compares prices; the fills have none")
    loop, lots = _compiled(cache)
    positions = len(fills.offsets) - 1
    states, buys = np.zeros(positions, np.int8), np.zeros(positions, np.int64)
    matches, opened, unmatched, totals = reserve(positions, len(fills.qty), int((fills.side == BUY).sum()))
    loop.survey(fills, states, buys, totals)
    _check(states, loop.INVALID)
    number, count = KERNEL_METHODS.index(method), np.zeros(3, np.int64)
    room = lots.empty_lots(int(buys.max(initial=0)), number)
    refused = loop.match_positions(fills, states, number, _POLICIES[policy], room, count, matches, opened, unmatched, totals)
    if refused >= 0:
        raise BadInputError(
            f"fill {refused} sells more than was held; add the missing buys, or choose the oversell policy exclude or zero_basis"
        )
    written = [_cut(columns, int(end)) for columns, end in zip((matches, opened, unmatched), count, strict=True)]
    return Matched(
        MatchColumns(*written[0]), OpenColumns(*written[1]), UnmatchedColumns(*written[2]), totals, np.flatnonzero(states == loop.BEYOND)
    )


def _compiled(cache: Path | None) -> tuple[ModuleType, ModuleType]:
    from omc_pipeline.pnl.kernel.jit import keep_compiled_code

    keep_compiled_code(cache)
    from omc_pipeline.pnl.kernel import loop, lots

    return loop, lots


def _check(states: Any, invalid: int) -> None:
    found = np.flatnonzero(states == invalid)
    if len(found):
        raise BadInputError(f"position {found[0]}: a quantity is negative, or more remains of a lot than it had")


def _cut(columns: tuple[Any, ...], end: int) -> list[Any]:
    ends, *rest = columns
    return [ends, *(column[:end] for column in rest)]
