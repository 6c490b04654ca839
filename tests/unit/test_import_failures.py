"""A fault of our own code is not taken for a library that is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from omc_infra.runs.preload import PreloadError, preload
from omc_pipeline.pnl.kernel.choice import Engine


def test_a_module_of_ours_that_does_not_import_is_no_missing_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "omc_odd.py").write_text("import omc_pipeline.no_such_room\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(PreloadError, match=r"omc_odd does not load: No module named 'omc_pipeline\.no_such_room'"):
        preload([], ["omc_odd"])


def test_a_fault_of_the_kernels_own_code_is_raised_and_not_computed_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "omc_pipeline.pnl.kernel.run", None)
    engine = Engine("kernel")

    with pytest.raises(ImportError, match=r"omc_pipeline\.pnl\.kernel\.run"):
        engine.match([], "fifo", "exclude", "universal", lambda _: pytest.fail("the kernel was asked for"))
