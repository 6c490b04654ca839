"""The job that briefs one batch, in one process: a run costs seconds to start, so it takes up to 25 events along.

Annotations are evaluated here, for Dagster reads them when it builds the op.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import dagster as dg

from omc_agents.orchestration.resources import AgentPlatform
from omc_infra.markdown import escape_markdown

if TYPE_CHECKING:
    from omc_agents.workflow.orchestrator import SessionOutcome

BATCH_TAG = "omc/batch"
LEDGER_TAGS = {"ledger": "catalyst"}

BRIEFS = dg.AssetSpec(
    ["agents", "briefs"],
    group_name="agents",
    description=(
        "Briefs about new catalysts, one for each event. Every claim cites a ledger row. The runs that the sensor starts write them."
    ),
    owners=["team:agents"],
    deps=[["catalyst", "sec_edgar"]],
    kinds={"postgres", "langgraph"},
)


class BatchConfig(dg.Config):
    """Which batch a run works off."""

    batch_id: str


@dg.op(description="Retrieve, extract, analyse, verify and publish for every event of the batch that has no finished session.")
def brief_batch_events(context: dg.OpExecutionContext, config: BatchConfig, agent_platform: dg.ResourceParam[AgentPlatform]) -> None:
    """Work one batch off; the run is red when an event failed. The sensor alone decides about another attempt."""
    from omc_agents.workflow.batch import brief_batch

    settings, batch_id = agent_platform.settings, UUID(config.batch_id)
    with agent_platform.open_database(settings) as database:
        assignments = agent_platform.assignments(database, batch_id)
        outcomes = brief_batch(database, settings, agent_platform.make_model(), batch_id, assignments, agent_platform.make_user_model)
    details = {"profile": settings.profile, "events": len(outcomes), "outcomes": _table(outcomes)}
    if any(outcome.outcome == "published" for outcome in outcomes):
        context.log_event(dg.AssetMaterialization(BRIEFS.key, metadata=details))
    fallen = [outcome for outcome in outcomes if outcome.outcome in {"failed", "retry"}]
    if fallen:
        said = "; ".join(f"{outcome.event_id or outcome.session_id}: {outcome.detail}" for outcome in fallen)
        raise dg.Failure(f"{len(fallen)} of {len(outcomes)} sessions have no brief: {said}"[:2000], metadata=details, allow_retries=False)
    context.add_output_metadata(details)


@dg.job(
    executor_def=dg.in_process_executor,
    description="An agent writes one brief for each event of a batch of new catalysts. Every claim cites a ledger row.",
    tags=LEDGER_TAGS,
    metadata={"owner": "team:agents"},
)
def brief_catalysts() -> None:
    """One op, one batch."""
    brief_batch_events()


def _table(outcomes: Sequence["SessionOutcome"]) -> dg.MetadataValue:
    head = "| event | session | outcome | detail |\n|---|---|---|---|\n"
    cells = [[escape_markdown(cell or "") for cell in (o.event_id, o.session_id, o.outcome, o.detail)] for o in outcomes]
    return dg.MetadataValue.md(head + "\n".join(f"| {' | '.join(row)} |" for row in cells))
