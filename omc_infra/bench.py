"""Performance figures, each with a baseline from the same run, because machines are noisy; the format of ``omc bench --json``."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        what: What was measured, starting with its published name (``kernel fifo``).
        value: The figure.
        unit: ``fills/s``, ``ms``, ``s``, ``MB``, ``ratio`` ...
        baseline: What the figure is compared with, or None.
        baseline_value: The baseline's figure in the same unit, measured in the same run.
        higher_is_better: Whether ``ratio`` is value / baseline (a rate) or baseline / value (a duration).
    """

    what: str
    value: float
    unit: str
    baseline: str | None = None
    baseline_value: float | None = None
    higher_is_better: bool = True

    @property
    def ratio(self) -> float | None:
        """How many times better than the baseline; None without one."""
        if not self.baseline_value or not self.value:
            return None
        return self.value / self.baseline_value if self.higher_is_better else self.baseline_value / self.value


def bench_document(bench: str, figures: Sequence[Figure]) -> dict[str, Any]:
    """Return the document that ``omc bench NAME --json`` prints."""
    return {
        "bench": bench,
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "cpus": os.cpu_count(),
            "load": round(os.getloadavg()[0], 2),
        },
        "figures": [
            {
                "what": f.what,
                "value": f.value,
                "unit": f.unit,
                "baseline": f.baseline,
                "baseline_value": f.baseline_value,
                "ratio": f.ratio,
            }
            for f in figures
        ],
    }
