"""Whether a backfill can run here at all, and its only door; what is compiled is loaded behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from omc_pipeline.positions.basis import Basis
from omc_pipeline.positions.bulk.plain import plain_coins

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database
    from omc_pipeline.positions.book import Book


class Backfilled(NamedTuple):
    """The coins that were computed, the matches that were written, the sum of the digests of their fills."""

    coins: Sequence[str] = ()
    matches: int = 0
    digest: int = 0


def backfill(book: Book, database: Database, coins: Sequence[str]) -> Backfilled:
    """Compute those of the coins that are plain enough, where the kernel runs."""
    chosen = plain_coins(book.connection, book.user_id, book.basis, coins) if _has_compiled_form(book.basis) else []
    if not chosen:
        return Backfilled()
    from omc_pipeline.pnl.kernel.jit import keep_compiled_code

    keep_compiled_code(None)
    from omc_pipeline.positions.bulk.backfill import Backfill

    run = Backfill(book, database)
    run.run(chosen)
    return Backfilled(chosen, run.matches, run.digest)


def _has_compiled_form(basis: Basis) -> bool:
    """Whether the kernel knows the method; a refusal is left to the engine that words it."""
    if basis.method == "uk" or basis.lot_policy != "universal" or basis.oversell_policy == "refuse":
        return False
    try:
        import numba  # noqa: F401 asked for, not used
    except ImportError:
        return False
    return True
