"""The agents' service: their code location."""

from __future__ import annotations

from omc_agents.workflow.graph import ENVIRONMENT
from omc_infra.services.code_servers import code_server
from omc_infra.services.environment import DAGSTER_ROLE

# The dispatcher: its sensor claims events. It talks to no model; runs of this location start below the daemon, with other roles.
CODE = code_server("omc_agents", roles=(DAGSTER_ROLE, "writer"), environ=ENVIRONMENT)
