"""The services of the ground floor: PostgreSQL and Dagster's two."""

from __future__ import annotations

from dataclasses import replace

from omc_infra.services.environment import DAGSTER_ROLE
from omc_infra.services.health import HeartbeatHealth, HttpHealth, ServerHealth
from omc_infra.services.table import EVERYTHING, ServiceSpec
from omc_infra.web.access import login_path

POSTGRES = ServiceSpec(
    name="postgres",
    title="PostgreSQL, embedded; it runs as long as a process uses it",
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

_UI = (
    "{python}",
    "-m",
    "omc_infra.web.serve",
    "--token-file",
    "{settings.home}/ui/{settings.profile}/token",
    "--names={settings.ui_hosts}",
)

# Its pool keeps dead connections, so it does not recover from the loss of PostgreSQL.
WEBSERVER = ServiceSpec(
    name="dagster-webserver",
    title="Dagster UI, behind a login",
    command=(*_UI, "-w", "{workspace}"),
    on_port=("--host", "{host}", "--port", "{port}"),
    port=3000,
    health=HttpHealth("/server_info"),
    roles=(DAGSTER_ROLE,),
    needs=("postgres", "code-*"),
    restarts_with=("postgres",),
    label="dagster",
    entry=login_path,
    ready_s=120.0,
)

VIEWER = replace(
    WEBSERVER,
    name="dagster-viewer",
    title="Dagster UI, read-only",
    command=(*_UI, "--read-only", "-w", "{workspace}"),
    port=3001,
    label="viewer",
    on_demand=True,
)
