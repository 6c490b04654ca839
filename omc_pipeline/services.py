"""The pipeline's services: its code location, and the stand-in upstreams."""

from __future__ import annotations

from omc_infra.services.code_servers import code_server
from omc_infra.services.environment import DAGSTER_ROLE
from omc_infra.services.health import HttpHealth
from omc_infra.services.table import EVERYTHING, ServiceSpec

# Whether a source has its key decides what is scheduled, so this server has the keys.
CODE = code_server("omc_pipeline", roles=(DAGSTER_ROLE, "writer", "reader"), keys=EVERYTHING)

SANDBOX = ServiceSpec(
    name="sandbox",
    title="Simulated upstream APIs",
    command=(
        "{python}", "-m", "omc_pipeline.sandbox", "--seed", "{settings.sandbox_seed}",
        "--state", "{settings.home}/sandbox/state.jsonl", "--announce-port", "{settings.home}/sandbox/port",
    ),
    on_port=("--port", "{port}"),
    port=0,
    health=HttpHealth("/_control/health"),
    profiles=("sandbox",),
    replaced_by="sandbox_url",
    provides="http://{host}:{port}",
    ready_s=20.0,
)  # fmt: skip
