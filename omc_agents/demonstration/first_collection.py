"""The first rows of a new platform, so that its pages are not empty until the first schedule fires."""

from __future__ import annotations

from omc_agents.demonstration.jobs import PipelineJobs
from omc_agents.demonstration.stages import rows_of
from omc_agents.platform import RunningPlatform
from omc_pipeline.ledgers.table import LEDGERS


def collect_where_empty(platform: RunningPlatform) -> list[str]:
    """Collect each ledger that holds no rows, then score and value; answer the ledgers that were empty.

    Raises:
        StageFailedError: A collection failed.
    """
    empty: list[str] = [ledger for ledger in LEDGERS if not rows_of(platform, ledger)]
    jobs = PipelineJobs(platform.instance)
    for ledger in empty:
        jobs.collect(ledger)
    if empty:
        jobs.run("value_positions")
        jobs.run("score_ledgers")
    return empty
