"""The compiled kernel behind ``omc pnl compute`` and ``omc bench pnl``: published cases, light imports, code kept between processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omc_infra.settings import PROJECT_ROOT
from omc_pipeline.commands.pnl import pnl

pytestmark = pytest.mark.slow

TRADES = [
    {"id": "b1", "time": "2026-01-01T00:00:00Z", "symbol": "BTC", "side": "buy", "qty": "3", "price": "10"},
    {"id": "b2", "time": "2026-01-01T00:00:00Z", "symbol": "BTC", "side": "buy", "qty": "3", "price": "20"},
    {"id": "s1", "time": "2026-01-02T00:00:00Z", "symbol": "BTC", "side": "sell", "qty": "4", "price": "15"},
]


def computed(file: Path, *options: str) -> dict[str, Any]:
    outcome = CliRunner().invoke(pnl, ["compute", "--fills", str(file), *options, "--json"], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    document: dict[str, Any] = json.loads(outcome.stdout)
    return document


def python(code: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=PROJECT_ROOT,
        env={**os.environ, **environ},
        check=False,
    )


@pytest.fixture
def trades(tmp_path: Path) -> Path:
    file = tmp_path / "trades.json"
    file.write_text(json.dumps(TRADES))
    return file


def test_every_published_case_comes_out_of_the_kernel_as_of_python_integers(shared: Path, subtests: pytest.Subtests) -> None:
    files = sorted((shared / "pnl-cases").glob("*.json"))

    assert len(files) >= 93
    for file in files:
        with subtests.test(file.stem):
            kernel, integers = (computed(file, "--engine", engine) for engine in ("kernel", "python"))
            uk = json.loads(file.read_text())["method"] == "uk"
            assert kernel.pop("engine")["name"] == ("python" if uk else "kernel")
            assert integers.pop("engine")["name"] == "python"
            assert kernel == integers


def test_left_to_itself_the_command_computes_in_python_integers_and_says_why(trades: Path) -> None:
    engine = computed(trades)["engine"]

    assert engine["name"] == "python"
    assert "packing" in engine["reason"]


def test_a_method_without_compiled_form_is_computed_in_python_integers_and_says_so(trades: Path) -> None:
    outcome = CliRunner().invoke(pnl, ["compute", "--fills", str(trades), "--method", "uk", "--engine", "kernel"], catch_exceptions=False)

    assert outcome.exit_code == 0
    assert "the python engine computed this: the rules of uk have no compiled form" in outcome.stderr


def test_where_numba_is_missing_python_integers_compute_and_the_answer_says_why(trades: Path) -> None:
    code = "import sys; sys.modules['numba'] = None; from omc_pipeline.commands.pnl import pnl; pnl()"

    outcome = python(code, "compute", "--fills", str(trades), "--engine", "kernel", "--json")

    assert outcome.returncode == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert document["engine"]["name"] == "python"
    assert document["engine"]["reason"].startswith("the kernel does not run here: ")
    assert document["total_realized"] == "10"


def test_neither_the_engine_nor_the_command_loads_what_only_the_kernel_needs(trades: Path) -> None:
    code = (
        "import sys; from omc_pipeline.commands.pnl import pnl; import omc_pipeline.pnl.kernel.choice\n"
        "pnl(standalone_mode=False)\n"
        "print([name for name in ('numba', 'llvmlite', 'numpy', 'pyarrow') if name in sys.modules])"
    )

    outcome = python(code, "compute", "--fills", str(trades), "--json")

    assert outcome.stdout.splitlines()[-1] == "[]", outcome.stderr


def test_a_second_process_finds_the_compiled_code_of_the_first(trades: Path, tmp_path: Path) -> None:
    code = "from omc_pipeline.commands.pnl import pnl; pnl()"
    options = ("compute", "--fills", str(trades), "--engine", "kernel")
    environ = {"OMC_HOME": str(tmp_path / "home"), "NUMBA_DEBUG_CACHE": "1", "NUMBA_CACHE_DIR": ""}

    first, second = python(code, *options, **environ), python(code, *options, **environ)

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "data saved to" in first.stdout
    assert "data saved to" not in second.stdout
    assert second.stdout.count("data loaded from") == 2
    assert list((tmp_path / "home" / "numba").glob("*/*/*.nbc"))


def test_the_kernel_runs_where_nothing_can_be_written(trades: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder is wanted")
    code = "from omc_pipeline.commands.pnl import pnl; pnl()"

    outcome = python(code, "compute", "--fills", str(trades), "--engine", "kernel", "--json", OMC_HOME=str(blocked), NUMBA_CACHE_DIR="")

    assert json.loads(outcome.stdout)["engine"]["name"] == "kernel", outcome.stderr
    assert not list((PROJECT_ROOT / "omc_pipeline/pnl/kernel").rglob("__pycache__/*.nbi")), "code was kept where stale code is not noticed"
