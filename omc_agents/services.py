"""The agents' service: their code location."""

from __future__ import annotations

from omc_agents.workflow.graph import ENVIRONMENT
from omc_infra.services.code_servers import code_server
from omc_infra.services.environment import DAGSTER_ROLE

CODE = code_server("omc_agents", roles=(DAGSTER_ROLE, "reader", "agent"), environ=ENVIRONMENT)
