"""A database from before reporting currencies keeps its runs, figures and exceptions, and its users report as they did."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate, migration_folders
from omc_infra.settings import load_settings
from omc_pipeline.positions import compute_positions, exceptions, summary
from omc_pipeline.positions.report import report
from omc_pipeline.positions.reporting import reporting_currencies
from omc_pipeline.positions.users import stale_users

FIRST_REVISIONS = ("a0", "i0", "m0", "p0")
DIGEST = "ab" * 32
STORED = f"""
INSERT INTO exchange.fill (source, fill_id, user_id, account_id, symbol, currency, side, qty, price, quote_amount, fee, fee_currency,
    executed_at, version, row_sha256) VALUES
    ('venue', 'f1', 'ada', 'main', 'BTC', 'AUD', 'buy', 2, 10, 20, 0, 'AUD', '2026-01-05Z', 1, '{DIGEST}');
INSERT INTO pnl.run (run_id, user_id, method, fee_policy, oversell_policy, lot_policy, currency, rules, input_sha256, fills, known_at,
    positions, matches) OVERRIDING SYSTEM VALUE
    SELECT 1, 'ada', 'fifo', 'capitalise', 'exclude', 'universal', 'AUD', 2, '{DIGEST}', 1, recorded_at, 1, 0 FROM exchange.fill;
SELECT nextval(pg_get_serial_sequence('pnl.run', 'run_id'));
INSERT INTO pnl.position (user_id, method, currency, symbol, run_id, trades, last_at, bought_qty, bought, sold_qty, matched_qty,
    unmatched_qty, proceeds, cost, fees, income) VALUES ('ada', 'fifo', 'AUD', 'BTC', 1, 1, '2026-01-05Z', 2, 20, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO pnl.lot (position_id, acquired_at, lot_fill, user_id, account_id, queue, rank, arrived_at, qty, cost, open_qty, open_cost,
    run_id)
    SELECT position_id, '2026-01-05Z', 'f1', 'ada', 'main', '', 0, '2026-01-05Z', 2, 20, 2, 20, 1 FROM pnl.position;
INSERT INTO pnl.exception (user_id, method, run_id, kind, symbol, qty, message) VALUES ('ada', 'fifo', 1, 'stale_price', 'BTC', 2, 'old');
"""


@pytest.fixture
def before(home: Path, server_url: str, tmp_path: Path) -> Iterator[Database]:
    """Return a database at the last of the first revisions, with the rows of one user."""
    folders = []
    for number, folder in enumerate(migration_folders()):
        folders.append(tmp_path / str(number))
        folders[-1].mkdir()
        for path in folder.glob("*.py"):
            if path.name.startswith(FIRST_REVISIONS):
                shutil.copy(path, folders[-1])
    settings = load_settings({"OMC_HOME": str(home), "OMC_DATABASE_URL": server_url.replace("{database}", "t_before_currencies")})
    with open_database(settings, check=False) as database:
        migrate(database, folders)
        with database.connect("owner") as connection:
            connection.execute(STORED)
        yield database


def test_a_user_from_before_reports_in_aud_by_sydney_with_the_figures_and_exceptions_of_then(before: Database) -> None:
    migrate(before, without_backup=True)

    with before.connect("reader") as connection:
        (chosen,) = reporting_currencies(connection, "ada")
    found = report(before, "ada")
    assert (chosen.user_id, chosen.currency, chosen.tax_zone, chosen.is_default) == ("ada", "AUD", "Australia/Sydney", True)
    assert (found["totals"]["cost"], found["totals"]["identity_holds"]) == ("20", True)
    assert summary(before, "ada").run_id == 1
    assert [(row.kind, row.message) for row in exceptions(before, "ada")] == [("stale_price", "old")]
    assert stale_users(before) == []
    assert compute_positions(before, "ada").unchanged
    assert migrate(before) == []
