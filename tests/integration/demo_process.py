"""``omc demo`` as a subprocess, and what it left in its database; used by the end-to-end tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from omc_infra.postgres.database import open_database
from omc_infra.settings import PROJECT_ROOT, load_settings

OMC = Path(sys.executable).parent / "omc"
DEADLINE_S = 270


def environ_of(home: Path) -> dict[str, str]:
    """Return this process's variables, with nothing of OMC's but the home."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_") and name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "OMC_HOME": str(home)}


def run_demo(home: Path, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
    """Run a demo to its end and return its document."""
    done = subprocess.run(
        [str(OMC), "demo", "--json"],
        env=environ_of(home),
        capture_output=True,
        text=True,
        timeout=deadline_s,
        cwd=PROJECT_ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def start_demo(home: Path) -> subprocess.Popen[bytes]:
    """Start a demo and leave it running."""
    command = [str(OMC), "demo", "--json"]
    return subprocess.Popen(command, env=environ_of(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=PROJECT_ROOT)


def query(home: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask the home's database as its owner."""
    with open_database(load_settings({"OMC_HOME": str(home)})) as database, psycopg.connect(database.url("owner", driver="")) as connection:
        return connection.execute(sql).fetchall()  # type: ignore[arg-type]


def column(home: Path, sql: str) -> list[str]:
    """Return the first column of a query."""
    return [row[0] for row in query(home, sql)]
