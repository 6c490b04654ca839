"""The identity of profit and loss against the fills themselves: what matches and open lots say is what the run's fills say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.report.cuts import identity_holds, standings
from omc_pipeline.pnl.report.periods import Window
from omc_pipeline.positions.basis import required_run
from omc_pipeline.positions.record import read_unpriced

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

MOST_FILLS = 20_000
"""Of a user with more fills only the kept sums are compared: expanding so many takes more than a second, every quarter of an hour."""


def broken_identities(
    database: Database, user_id: str, method: Method = "fifo", currency: str | None = None, most_fills: int | None = MOST_FILLS
) -> list[str]:
    """Return the coins whose matches and open lots don't add up to the fills that the last run knew; empty where all do.

    Args:
        database: Where they are kept.
        user_id: Whose.
        method: Which of the user's positions.
        currency: One that the user reports in; None: the default.
        most_fills: Nothing is compared of a user with more; None: always.

    Raises:
        BadInputError: No run in the currency yet, or the user doesn't report in it.
    """
    with database.connect("reader") as connection:
        run = required_run(connection, user_id, method, currency)
    if most_fills is not None and run.fills > most_fills:
        return []
    record = read_unpriced(database, user_id, method, currency)
    return [row.symbol for row in standings(record, Window()) if not identity_holds(row)]
