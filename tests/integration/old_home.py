"""A sandbox home as revision ``m0003`` left it, restored into a database of a test's own; and what must outlive every migration of it.

The dump beside ``FIXTURE`` was made by ``pg_dump`` from the home of one ``omc demo`` (seed 1) and holds only what the sandbox invents.
"""

from __future__ import annotations

import dataclasses
import lzma
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from omc_infra.postgres.binaries import installed_binaries
from omc_infra.postgres.database import Database, open_database
from omc_infra.settings import PROJECT_ROOT, Settings

FIXTURE = PROJECT_ROOT / "tests" / "fixtures" / "homes" / "m0003.sql.xz"
REVISION = "m0003"
_ROLES_IN_THE_DUMP = "omc_sandbox_"
_COUNTED = ("raw", "glass", "human", "catalyst", "exchange", "quality", "agents")
_TABLES = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY(%s) ORDER BY 1
"""
_SUMS = """
SELECT user_id, method, currency, symbol, qty, open_cost, realized, proceeds, cost, fees, income FROM pnl.position ORDER BY 1, 2, 3, 4
"""
_MATCHES = (
    "SELECT user_id, method, symbol, count(*), sum(qty), sum(cost), sum(proceeds) FROM pnl.live_match GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)
_LOTS = "SELECT user_id, method, symbol, count(*), sum(qty), sum(cost) FROM pnl.open_lot GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
_FILLS = (
    "SELECT user_id, symbol, side, qty, price, fee, executed_at, recorded_at, version FROM exchange.fill ORDER BY executed_at, qty, version"
)
_SESSIONS = "SELECT session_id, user_id, source, event_id, status, model, as_of FROM agents.session ORDER BY 1"
_BRIEFS = "SELECT brief_id, user_id, title, body, dropped, published_at FROM agents.brief ORDER BY 1"
_CLAIMS = "SELECT brief_id, n, text, kind, verified FROM agents.claim ORDER BY 1, 2"
_ALERTS = "SELECT ledger, dimension, score, threshold, opened_at, closed_at FROM quality.alert ORDER BY alert_id"


@dataclass(frozen=True)
class HomeFacts:
    """What a home's data says, by question: rows by table, and the rows of the questions above, in their order."""

    rows: Mapping[str, int]
    positions: list[tuple[Any, ...]]
    matches: list[tuple[Any, ...]]
    lots: list[tuple[Any, ...]]
    fills: list[tuple[Any, ...]]
    sessions: list[tuple[Any, ...]]
    briefs: list[tuple[Any, ...]]
    claims: list[tuple[Any, ...]]
    alerts: list[tuple[Any, ...]]

    @property
    def realized(self) -> Decimal:
        """Realized gain of all positions together."""
        return sum((position[6] for position in self.positions), Decimal())


@contextmanager
def opened_old_home(settings: Settings) -> Iterator[Database]:
    """Restore the old home and open it, not yet migrated; the caller runs ``migrate``.

    Args:
        settings: Of the sandbox profile; their database must not exist or be empty. Its roles take the place of the dump's, so that
            the server may be shared with other tests.
    """
    with open_database(settings, check=False) as database:  # makes the database and its roles
        restore_old_home(database)
        # The session's server is an embedded one, though tests name it by its URL: a migration of it makes its own backups.
        yield dataclasses.replace(database, address=dataclasses.replace(database.address, embedded=True))


def restore_old_home(database: Database) -> None:
    """Fill an empty database with the rows of the old home, as its administrator."""
    statements = lzma.decompress(FIXTURE.read_bytes()).decode().replace(_ROLES_IN_THE_DUMP, f"{database.name}_")
    address = database.address
    subprocess.run(
        [
            str(installed_binaries().program("psql")), "--quiet", "--no-psqlrc", "--single-transaction",
            "--set=ON_ERROR_STOP=1", "--output=/dev/null",
            f"--host={address.host}", f"--port={address.port}", f"--username={address.user}", f"--dbname={address.database}",
        ],
        input=statements, text=True, check=True,
        env={"PATH": os.environ.get("PATH", os.defpath), "PGPASSWORD": address.password or "", "PGCLIENTENCODING": "UTF8"},
    )  # fmt: skip


def facts_of_home(database: Database, tables: frozenset[str] | None = None) -> HomeFacts:
    """Read what must be the same before and after a migration.

    Args:
        database: Of the home.
        tables: Count only these; None: all tables there are in the schemas of the ledgers, the raw store, quality and the agents.
    """
    with database.address.administer() as connection:

        def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
            return connection.execute(statement, values or None).fetchall()

        named = [name for (name,) in rows(_TABLES, list(_COUNTED)) if tables is None or name in tables]
        return HomeFacts(
            rows={name: rows(f"SELECT count(*) FROM {name}")[0][0] for name in named},
            positions=rows(_SUMS),
            matches=rows(_MATCHES),
            lots=rows(_LOTS),
            fills=rows(_FILLS),
            sessions=rows(_SESSIONS),
            briefs=rows(_BRIEFS),
            claims=rows(_CLAIMS),
            alerts=rows(_ALERTS),
        )
