"""Which logins of the database each process of a running platform was started with."""

from __future__ import annotations

from collections import defaultdict

import psutil
import pytest

from omc_agents.benches.landing import await_briefs, land
from omc_agents.benches.platform_run import bench_platform
from omc_agents.benches.samples import POSTGRES, platform_processes
from omc_infra.postgres.roles import ROLES
from omc_infra.services.platform import RunningPlatform


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_process_has_the_logins_of_its_roles_and_the_platform_works() -> None:
    with bench_platform("warm") as bench:
        land(bench.platform.database, "first")
        await_briefs(bench.platform.database, "first", 1, 120.0)

        held = logins(bench.platform)

        assert held["sandbox"] == set()
        assert held["webserver"] == {"dagster"}
        assert held["warm server"] == {"dagster"}, "every run forks from it"
        assert held["code-omc_agents"] == {"writer", "dagster"}
        assert held["code-omc_pipeline"] == {"reader", "writer", "dagster"}, "its schedules keep the state of collectors and accounts"
        assert held["daemon"] == {"writer", "reader", "agent", "dagster"}
        assert not any("administrator" in found or "owner" in found for found in held.values())
        for location, job in (("omc_agents", "maintain_sessions"), ("omc_pipeline", "collect_human")):
            assert bench.await_run(bench.launch(location, job)) == "SUCCESS"


def logins(platform: RunningPlatform) -> dict[str, set[str]]:
    """Return by kind of process which passwords stand anywhere in its variables or its command line."""
    database = platform.database
    secrets = {str(database.logins[role].password): str(role) for role in ROLES} | {str(database.address.password): "administrator"}
    held: dict[str, set[str]] = defaultdict(set)
    for process, kind in platform_processes(platform):
        if kind == POSTGRES or process.pid == psutil.Process().pid:
            continue
        words = process.cmdline()
        name = f"code-{words[words.index('--location-name') + 1]}" if "--location-name" in words else kind
        text = "\n".join([*process.environ().values(), *words])
        held[name] |= {role for secret, role in secrets.items() if secret in text}
    return held
