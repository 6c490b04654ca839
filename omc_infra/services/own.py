"""The services of the ground floor: PostgreSQL and Dagster's two."""

from __future__ import annotations

from omc_infra.services.environment import DAGSTER_ROLE
from omc_infra.services.health import HeartbeatHealth, HttpHealth, ServerHealth
from omc_infra.services.table import EVERYTHING, ServiceSpec

POSTGRES = ServiceSpec(
    name="postgres",
    title="PostgreSQL, embedded; kept by everybody who uses it",
    health=ServerHealth(),
    replaced_by="database_url",
)

# It launches runs, so it has what any run needs, and hands each the logins of its own code location.
DAEMON = ServiceSpec(
    name="dagster-daemon",
    title="Dagster daemon: schedules, sensors, the run queue, run monitoring; runs start below it",
    command=("{bin}/dagster-daemon", "run", "--log-format", "json", "-w", "{workspace}"),
    health=HeartbeatHealth(),
    roles=(DAGSTER_ROLE, "writer", "reader", "agent"),
    keys=EVERYTHING,
    variables=EVERYTHING,
    needs=("postgres", "code-*"),
    launches_runs=True,
    holds_platform=True,
)

# Its pool keeps dead connections, so it does not recover from the loss of PostgreSQL.
WEBSERVER = ServiceSpec(
    name="dagster-webserver",
    title="Dagster UI",
    command=("{bin}/dagster-webserver", "-w", "{workspace}"),
    on_port=("-h", "{host}", "-p", "{port}"),
    port=3000,
    health=HttpHealth("/server_info"),
    roles=(DAGSTER_ROLE,),
    needs=("postgres", "code-*"),
    restarts_with=("postgres",),
    label="dagster",
    ready_s=120.0,
)
