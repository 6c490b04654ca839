"""A database from before alerts had causes keeps what was alerted: open ones stay open, ended ones stay ended."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from omc_infra.alerts.announcing import announce
from omc_infra.alerts.options import AlertsSection
from omc_infra.alerts.store import newest_alerts, open_alerts, settle_findings
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate, migration_folders
from omc_infra.settings import load_settings

LATER = ("n1001", "e9001", "c1001", "e7001")
"""The revision of alerts, and what came after it."""
STORED = """
INSERT INTO quality.alert (ledger, dimension, score, threshold, opened_at, closed_at) VALUES
    ('glass', 'timeliness', 0.2, 0.7, '2026-11-01Z', '2026-11-02Z'),
    ('exchange', 'accuracy', 0.6, 0.7, '2026-11-03Z', NULL), ('exchange', 'overall', 0.6, 0.7, '2026-11-03Z', NULL)
"""
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def before(home: Path, server_url: str, tmp_path: Path) -> Iterator[Database]:
    """Return a database at the revision before, with alerts of scores."""
    folders = []
    for number, folder in enumerate(migration_folders()):
        folders.append(tmp_path / str(number))
        shutil.copytree(folder, folders[-1])
        for path in folders[-1].glob("*.py"):
            if path.name.startswith(LATER):
                path.unlink()
    settings = load_settings({"OMC_HOME": str(home), "OMC_DATABASE_URL": server_url.replace("{database}", "t_before_alerts")})
    with open_database(settings, check=False) as database:
        migrate(database, folders)
        with database.connect("owner") as connection:
            connection.execute(STORED)
        yield database


def test_old_alerts_are_carried_over_with_their_times_and_how_bad_they_were(before: Database) -> None:
    migrate(before, without_backup=True)

    with before.engine("writer").begin() as connection:
        found = [
            (str(a.cause), a.severity, a.score, a.opened_at.day, a.resolved_at and a.resolved_at.day) for a in newest_alerts(connection, 9)
        ]
        assert len(open_alerts(connection, "ledger exchange")) == 2
        announce(connection, AlertsSection(channels=("chat",)), "sandbox", NOW)
        settle_findings(connection, "ledger exchange", [], NOW)
        assert open_alerts(connection) == []
    assert found == [
        ("exchange, ledger overall", "medium", 0.6, 3, None),
        ("exchange, ledger accuracy", "medium", 0.6, 3, None),
        ("glass, ledger timeliness", "high", 0.2, 1, 2),
    ]
    with before.connect("reader") as connection:
        kept = connection.execute("SELECT count(*), count(closed_at) FROM quality.alert").fetchone()
        titles = [title for (title,) in connection.execute("SELECT title FROM omc.message ORDER BY message_id")]
    assert kept == (3, 1)
    assert titles == ["[OMC sandbox] MEDIUM: exchange, ledger accuracy", "[OMC sandbox] MEDIUM: exchange, ledger overall"]
