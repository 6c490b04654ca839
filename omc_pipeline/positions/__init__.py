"""Profit and loss of the users whose fills are in the ledger: reads fills, has ``pnl`` match them, keeps every match and lot.

Not here: how sells find their lots (``pnl``), what Dagster runs and when (``orchestration``).
"""

from omc_pipeline.positions.conservation import conservation_findings
from omc_pipeline.positions.exceptions import exceptions, resolve_exception
from omc_pipeline.positions.run import PositionsRun, compute_positions
from omc_pipeline.positions.summary import PositionSummary, Summary, summary
from omc_pipeline.positions.valuation import Valuation, value_positions

__all__ = [
    "PositionSummary",
    "PositionsRun",
    "Summary",
    "Valuation",
    "compute_positions",
    "conservation_findings",
    "exceptions",
    "resolve_exception",
    "summary",
    "value_positions",
]
