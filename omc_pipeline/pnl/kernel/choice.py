"""Which engine computes a file's trades; the answer says it, with the reason.

Left to itself it is the engine in Python integers, at any size: trades read from text are Python integers, and to pack
them into columns and back takes longer than to match them (1.3 to 3 times, measured with 100,000 to 1,000,000 trades). The
kernel is for amounts that are columns already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Literal, get_args

from omc_pipeline.pnl.kernel.matching import fits, match_trades
from omc_pipeline.pnl.policy import LotPolicy, Method, OversellPolicy
from omc_pipeline.pnl.result import Matching
from omc_pipeline.pnl.trade import Trade

EngineName = Literal["auto", "python", "kernel"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
MatchOne = Callable[[Sequence[Trade]], Matching]


@dataclass(slots=True)
class Engine:
    """Matches positions, and remembers what did it.

    Attributes:
        wanted: ``auto``, ``python`` or ``kernel``.
        cache: Folder of compiled code; None: beside the sources.
        used: What computed, once it has.
        reason: Why that.
        by_python: Positions that the kernel left to the Python engine, for sums that reach 1e20.
    """

    wanted: EngineName = "auto"
    cache: Path | None = None
    used: EngineName = field(default="python", init=False)
    reason: str = field(default="nothing was computed", init=False)
    by_python: int = field(default=0, init=False)

    def match(
        self, positions: Sequence[Sequence[Trade]], method: Method, policy: OversellPolicy, lots: LotPolicy, one: MatchOne
    ) -> list[Matching]:
        """Match positions, each in the order of ``trade.in_order``.

        Args:
            positions: Their trades.
            method: How sells find their lots.
            policy: What to do with units that were sold but not held.
            lots: Whether a sell may take lots of another account.
            one: How the Python engine matches a position.

        Raises:
            BadInputError: More is sold than held, and the policy is ``refuse``.
        """
        self.used, self.reason = self._choice(method, lots, policy)
        found = self._by_kernel(positions, method, policy, one) if self.used == "kernel" else None
        return [one(trades) for trades in positions] if found is None else found

    def document(self) -> Mapping[str, object]:
        """Return what an answer says of its engine."""
        return {"name": self.used, "reason": self.reason, "positions_by_python": self.by_python}

    def _choice(self, method: Method, lots: LotPolicy, policy: OversellPolicy) -> tuple[EngineName, str]:
        if self.wanted == "python":
            return "python", "asked for"
        if method in ("uk", "ca"):
            return "python", f"the rules of {method} have no compiled form"
        if policy == "short":
            return "python", "short positions have no compiled form"
        if lots == "account":
            return "python", "lots that move between accounts have no compiled form"
        if self.wanted == "auto":
            return "python", "trades of a file are not columns; packing them takes longer than matching them"
        return "kernel", "asked for"

    def _by_kernel(
        self, positions: Sequence[Sequence[Trade]], method: Method, policy: OversellPolicy, one: MatchOne
    ) -> list[Matching] | None:
        fitting = [fits(trades) for trades in positions]
        try:
            matchings = match_trades(list(compress(positions, fitting)), method, policy, self.cache)
        except ImportError as error:
            if (error.name or "").startswith("omc_"):
                raise  # a fault of our own code, not a machine without numba
            self.used, self.reason = "python", f"the kernel does not run here: {error}"
            return None
        if matchings is None:
            return None
        self.by_python = fitting.count(False)
        found = iter(matchings)
        return [next(found) if fit else one(trades) for trades, fit in zip(positions, fitting, strict=True)]
