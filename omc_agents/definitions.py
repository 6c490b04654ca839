"""The agents' Dagster code location: the wiring, and nothing else. Importing it loads no model library and no LangGraph."""

from __future__ import annotations

import dagster as dg

from omc_agents.models.choice import chosen_name, chosen_panel, panel_of
from omc_agents.orchestration.documents import awaited_documents
from omc_agents.orchestration.jobs import BRIEFS, brief_catalysts
from omc_agents.orchestration.resources import AgentPlatform
from omc_agents.orchestration.retention import maintain_sessions, maintain_sessions_schedule, session_retention
from omc_agents.orchestration.sensors import catalyst_outbox
from omc_agents.sessions.options import briefs_section
from omc_infra.postgres.database import open_database
from omc_infra.settings import load_settings


def build_definitions(agent_platform: AgentPlatform | None = None) -> dg.Definitions:
    """Assemble the location; tests build the same one with other parts.

    Args:
        agent_platform: Settings, database and model; by default those of the process's environment, and the models of `omc.toml`.
    """
    parts = agent_platform or AgentPlatform(
        load_settings, open_database, chosen_panel, chosen_name, awaited_documents, panel_of, briefs_section
    )
    return dg.Definitions(
        assets=[BRIEFS, session_retention],
        jobs=[brief_catalysts, maintain_sessions],
        schedules=[maintain_sessions_schedule],
        sensors=[catalyst_outbox],
        resources={"agent_platform": dg.ResourceDefinition(lambda _: parts, config_schema={})},  # without options for run config
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Build the location when Dagster loads it."""
    return build_definitions()
