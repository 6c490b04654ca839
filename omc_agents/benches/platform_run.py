"""A whole platform in a folder of its own, for a bench: every service and schedule on, with one launcher or the other."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.request import Request, urlopen

import sqlalchemy as sa

from omc_agents.benches.landing import await_briefs, land
from omc_agents.benches.samples import take_sample
from omc_infra.errors import UpstreamUnavailableError
from omc_infra.runs.instance import AS_CONFIGURED
from omc_infra.services.platform import RunningPlatform, open_platform
from omc_infra.services.start_hooks import run_start_hooks
from omc_infra.settings import load_settings
from omc_infra.web.access import ensure_access, token_file

Launcher = Literal["warm", "default"]
WEBSERVER = "dagster-webserver"
_RUN_S, _POLL_S = 180.0, 0.2
_LAUNCH = """
mutation ($location: String!, $job: String!, $config: RunConfigData, $assets: [AssetKeyInput!]) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: $location, repositoryName: "__repository__", jobName: $job, assetSelection: $assets},
    runConfigData: $config
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
_STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass(frozen=True)
class BenchPlatform:
    """A running platform and its UI's address."""

    platform: RunningPlatform
    url: str

    def launch(self, location: str, job: str, config: dict[str, Any] | None = None, asset: str | None = None) -> str:
        """Launch a job, or one asset of it (``human/fear_greed``), as the UI does; return the run's id."""
        assets = [{"path": asset.split("/")}] if asset else None
        answer = self._ask(_LAUNCH, {"location": location, "job": job, "config": config or {}, "assets": assets})["launchRun"]
        if "run" not in answer:
            raise UpstreamUnavailableError(f"job {job} was not launched: {answer}")
        return str(answer["run"]["runId"])

    def await_run(self, run_id: str) -> str:
        """Wait until a run has ended and return its status."""
        deadline = time.monotonic() + _RUN_S
        while time.monotonic() < deadline:
            status = str(self._ask(_STATUS, {"run": run_id})["runOrError"]["status"])
            if status in _ENDED:
                return status
            time.sleep(_POLL_S)
        raise UpstreamUnavailableError(f"run {run_id} has not ended after {_RUN_S:.0f} s")

    def batch_of_nothing(self) -> dict[str, Any]:
        """Brief one event, and return the configuration of a run of ``brief_catalysts`` that finds its batch done."""
        land(self.platform.database, "nothing")
        await_briefs(self.platform.database, "nothing", 1)
        with self.platform.database.engine("reader").connect() as connection:
            batch = connection.execute(sa.text("SELECT batch_id FROM agents.dispatch ORDER BY dispatched_at DESC LIMIT 1")).scalar_one()
        return {"ops": {"brief_batch_events": {"config": {"batch_id": str(batch)}}}}

    def cpu_s(self) -> float:
        """Return the CPU seconds all of the platform's processes and their ended children have used."""
        return take_sample(self.platform).cpu_s

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        token = ensure_access(token_file(self.platform.settings)).token
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        request = Request(f"{self.url}/graphql", data=body, headers=headers)  # noqa: S310 our own loopback server
        with urlopen(request, timeout=60) as response:  # noqa: S310
            found: dict[str, Any] = json.load(response)["data"]
        return found


@contextmanager
def bench_platform(launcher: Launcher) -> Iterator[BenchPlatform]:
    """Run a platform in a temporary home until the block ends."""
    kept = dict(os.environ)
    with TemporaryDirectory(prefix="omc-bench-") as folder:
        settings = load_settings({"OMC_HOME": folder, "OMC_LOG_LEVEL": "error"})
        try:
            with open_platform(settings, None if launcher == "default" else AS_CONFIGURED) as platform:
                for failure in run_start_hooks(platform.settings):
                    raise UpstreamUnavailableError(failure)
                platform.start(WEBSERVER, port=0)
                platform.start("dagster-daemon")
                platform.services.await_healthy(WEBSERVER)
                yield BenchPlatform(platform, platform.services.places[WEBSERVER].url)
        finally:
            os.environ.clear()
            os.environ.update(kept)
