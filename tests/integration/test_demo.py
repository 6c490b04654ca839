"""The end-to-end test is ``omc demo`` itself: fresh, again, and after being killed at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from omc_infra.settings import PROJECT_ROOT, load_settings

OMC = Path(sys.executable).parent / "omc"
DEADLINE_S = 170


@pytest.fixture(scope="module")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answer a home whose path holds a space."""
    return tmp_path_factory.mktemp("a home with spaces")


def _environ(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_") and name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "OMC_HOME": str(home)}


def _demo(home: Path) -> dict[str, Any]:
    done = subprocess.run(
        [str(OMC), "demo", "--json"], env=_environ(home), capture_output=True, text=True, timeout=DEADLINE_S, cwd=PROJECT_ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _query(home: Path, sql: str) -> list[tuple[Any, ...]]:
    from omc_infra.postgres.database import open_database

    with open_database(load_settings({"OMC_HOME": str(home)})) as database, psycopg.connect(database.url("owner", driver="")) as connection:
        return connection.execute(sql).fetchall()  # type: ignore[arg-type]


def test_a_fresh_demo_fills_every_ledger_and_briefs_a_fresh_filing(demo_home: Path) -> None:
    document = _demo(demo_home)

    assert {name: found["rows"] > 0 for name, found in document["ledgers"].items()} == dict.fromkeys(
        ("glass", "human", "catalyst", "exchange"), True
    )
    for scores in document["quality"].values():
        assert all(0.7 <= scores[f"{dimension}_score"] <= 1 for dimension in ("completeness", "timeliness", "accuracy", "overall")), (
            document["quality"]
        )
    pnl = {name: Decimal(document["pnl"][name]) for name in ("realized", "unrealized", "proceeds", "value", "cost")}
    assert document["pnl"]["identity_holds"] is True
    assert pnl["realized"] + pnl["unrealized"] == pnl["proceeds"] + pnl["value"] - pnl["cost"]
    assert document["briefs"], "no brief"
    for brief in document["briefs"]:
        assert brief["claims"] >= 3
        assert brief["verified"] == brief["claims"]
    assert all(stage["ok"] for stage in document["stages"])


def test_a_second_demo_adds_no_duplicate_row_and_no_second_brief(demo_home: Path) -> None:
    before = _facts(demo_home)

    _demo(demo_home)

    after = _facts(demo_home)
    assert set(before["filings"]) < set(after["filings"])
    assert max(Counter(after["filings"]).values()) == 1
    assert max(Counter(after["fills"]).values()) == 1
    assert max(Counter(after["briefed"]).values()) == 1
    assert set(before["briefed"]) < set(after["briefed"])


def _facts(home: Path) -> dict[str, list[str]]:
    return {
        "filings": [row[0] for row in _query(home, "SELECT event_id FROM catalyst.event WHERE version = 1")],
        "fills": [row[0] for row in _query(home, "SELECT fill_id FROM exchange.fill WHERE version = 1")],
        "briefed": [row[0] for row in _query(home, "SELECT event_id FROM agents.brief")],
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_demo_killed_at_random_moments_is_followed_by_one_that_completes(demo_home: Path) -> None:
    dice = random.Random()
    for victim in ("demo", "dagster-daemon", "postgres", "run", "all"):
        _kill_during_a_demo(demo_home, victim, after_s=dice.uniform(4, 22))

    _demo(demo_home)

    unbriefed = _query(
        demo_home,
        "SELECT o.event_id FROM catalyst.outbox o LEFT JOIN agents.brief b USING (source, event_id)"
        " WHERE o.recorded_at - o.published_at <= interval '24 hours' AND b.event_id IS NULL",
    )
    assert unbriefed == []
    assert max(Counter(_facts(demo_home)["briefed"]).values()) == 1


def _kill_during_a_demo(home: Path, victim: str, *, after_s: float) -> None:
    process = subprocess.Popen(
        [str(OMC), "demo", "--json"], env=_environ(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=PROJECT_ROOT
    )
    try:
        time.sleep(after_s)
        for pid in _victims(home, process.pid, victim):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.5)
    finally:
        process.kill()
        process.wait()


def _victims(home: Path, demo: int, victim: str) -> list[int]:
    mine = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        children = {child.pid for child in psutil.Process(demo).children(recursive=True)} if psutil.pid_exists(demo) else set()
        if str(home) in line or process.pid in children or process.pid == demo:
            mine.append((process.pid, line))
    chosen = {
        "demo": lambda pid, _line: pid == demo,
        "dagster-daemon": lambda _pid, line: "dagster-daemon" in line,
        "postgres": lambda _pid, line: "postgres" in line,
        "run": lambda _pid, line: "multiprocessing" in line or "execute_run" in line,
        "all": lambda _pid, _line: True,
    }[victim]
    return [pid for pid, line in mine if chosen(pid, line)]
