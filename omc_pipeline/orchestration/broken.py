"""Broken source files as failing assets that show the file's error; other sources are not affected."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from omc_infra.markdown import escape_markdown
from omc_pipeline.collection.discovery import BrokenSource

JOB = "report_broken_sources"
CRON = "*/15 * * * *"


def broken_key(broken: BrokenSource) -> dg.AssetKey:
    """Return the key that the source's asset would have, or ``sources/<file>`` if the file's name is wrong, too."""
    if broken.ledger is None:
        return dg.AssetKey(["sources", broken.name])
    return dg.AssetKey([broken.ledger, broken.name.removeprefix(f"{broken.ledger}_")])


def broken_assets(broken: Sequence[BrokenSource]) -> list[dg.AssetsDefinition]:
    """Create an asset for each broken file; materializing it fails with the file's error."""
    return [_broken_asset(each) for each in broken]


def _broken_asset(broken: BrokenSource) -> dg.AssetsDefinition:
    @dg.asset(
        key=broken_key(broken),
        group_name=broken.ledger or "sources",
        description=f"The file of this source can't be loaded: {escape_markdown(broken.reason)}",
        tags={"broken": ""},
        metadata={"source": dg.MetadataValue.text(broken.name), "broken": dg.MetadataValue.text(broken.reason)},
    )
    def failed() -> None:
        raise dg.Failure(
            broken.reason, metadata={"help": dg.MetadataValue.path("docs/how-to/when-a-source-breaks.md")}, allow_retries=False
        )

    return failed


def broken_job(broken: Sequence[BrokenSource]) -> tuple[list["UnresolvedAssetJobDefinition"], list[dg.ScheduleDefinition]]:
    """Create the job and schedule that show broken sources as failed; empty lists if there are none."""
    if not broken:
        return [], []
    selection = dg.AssetSelection.assets(*map(broken_key, broken))
    said = "Fail for each source whose file does not load, so that it is seen."
    job = dg.define_asset_job(JOB, selection=selection, description=said, executor_def=dg.in_process_executor)
    running = dg.DefaultScheduleStatus.RUNNING
    return [job], [dg.ScheduleDefinition(f"{JOB}_schedule", job=job, cron_schedule=CRON, default_status=running, description=said)]
