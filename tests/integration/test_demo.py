"""The end-to-end test is ``omc demo`` itself: fresh, and again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from demo_process import column, environ_of, run_demo

from omc_infra.settings import PROJECT_ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TUTORIAL_S = 600


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return a home whose path holds a space, and the document of its first demo."""
    home = tmp_path_factory.mktemp("a home with spaces")
    return home, run_demo(home)


def test_a_fresh_demo_fills_every_ledger_and_briefs_a_fresh_filing(demonstrated: tuple[Path, dict[str, Any]]) -> None:
    _, document = demonstrated

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


def test_the_tutorial_works_in_order_and_its_second_demo_adds_no_duplicate_row_and_no_second_brief(
    demonstrated: tuple[Path, dict[str, Any]],
) -> None:
    home, _ = demonstrated
    commands = re.findall(r"```bash\n(.*?)```", (PROJECT_ROOT / "docs/tutorial/first-run.md").read_text(), re.DOTALL)
    assert commands[0].strip() == "make demo"
    before = _facts(home)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        env=environ_of(home),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=TUTORIAL_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert "1974" in done.stdout.replace(",", "")
    after = _facts(home)
    assert set(before["filings"]) < set(after["filings"])
    assert max(Counter(after["filings"]).values()) == 1
    assert max(Counter(after["fills"]).values()) == 1
    assert max(Counter(after["briefed"]).values()) == 1
    assert set(before["briefed"]) < set(after["briefed"])


def _facts(home: Path) -> dict[str, list[str]]:
    return {
        "filings": column(home, "SELECT event_id FROM catalyst.event WHERE version = 1"),
        "fills": column(home, "SELECT fill_id FROM exchange.fill WHERE version = 1"),
        "briefed": column(home, "SELECT event_id FROM agents.brief"),
    }
