"""Great Expectations loaded without the statistics that no suite here uses."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from omc_pipeline.quality.judge import judge
from omc_pipeline.quality.check import Check
verdicts = judge([Check("few", "accuracy", "critical", "Few.", "1", high=2.0)], {"few": 3.0})
assert verdicts == {"few": False}, verdicts
[getattr(module, "__file__", None) for module in list(sys.modules.values())]
assert "scipy.stats._distn_infrastructure" not in sys.modules
import scipy.stats
print(round(float(scipy.stats.norm.cdf(0)), 3), "scipy.stats._distn_infrastructure" in sys.modules)
"""


@pytest.mark.slow
def test_statistics_are_loaded_at_their_first_use_and_not_by_a_judgement() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["0.5", "True"], done.stderr
