"""One file a method; each answers the matching of one position's trades.

Not here: the loop they share (``engine``), policies, results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from omc_pipeline.pnl.engine import LotQueue
from omc_pipeline.pnl.methods.average import Pool, match_average
from omc_pipeline.pnl.methods.ca import match_ca
from omc_pipeline.pnl.methods.fifo import OldestFirst, match_fifo
from omc_pipeline.pnl.methods.hifo import ByPrice, match_hifo
from omc_pipeline.pnl.methods.lifo import NewestFirst, match_lifo
from omc_pipeline.pnl.methods.lofo import match_lofo
from omc_pipeline.pnl.methods.uk import match_uk
from omc_pipeline.pnl.policy import Method, OversellPolicy
from omc_pipeline.pnl.result import Matching
from omc_pipeline.pnl.trade import Trade

METHODS: Mapping[Method, Callable[[Sequence[Trade], OversellPolicy], Matching]] = {
    "fifo": match_fifo,
    "lifo": match_lifo,
    "hifo": match_hifo,
    "lofo": match_lofo,
    "avg": match_average,
    "uk": match_uk,
    "ca": match_ca,
}

QUEUES: Mapping[Method, Callable[[], LotQueue]] = {
    "fifo": OldestFirst,
    "lifo": NewestFirst,
    "hifo": lambda: ByPrice(-1),
    "lofo": lambda: ByPrice(1),
    "avg": Pool,
}
"""The empty queue of each method that consumes lots one after another; ``uk`` and ``ca`` look ahead and have none."""
