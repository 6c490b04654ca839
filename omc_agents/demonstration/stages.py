"""The stages of the demonstration, each a real piece of the platform that must leave rows behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.request import Request, urlopen

import sqlalchemy as sa
import structlog

from omc_agents.sessions.briefs import BriefSummary, briefs_since
from omc_infra.clock import utc_now
from omc_infra.errors import MachineError, OmcError, RetryableError
from omc_infra.logs import redact
from omc_infra.machine import machine_failure
from omc_infra.services.platform import RunningPlatform
from omc_pipeline.in_process.jobs import PipelineJobs
from omc_pipeline.ledgers.table import LEDGERS

log = structlog.get_logger()
BRIEF_DEADLINE_S = 120.0
DAEMON = "dagster-daemon"
SERVICES = ("postgres", "sandbox", "code-omc_agents", DAEMON)
LAUNCHER = {"locations": ["omc_agents.definitions"], "preload": ["langgraph.graph", "langgraph.checkpoint.postgres"]}
"""Only agents run through the daemon here; the collections run in this process."""


class StageFailedError(RetryableError):
    """A stage left no rows; the message says where to look."""

    advice = "Read the stage's lines above the message and the file that it names, then run `omc demo` again."


@dataclass(frozen=True)
class Stage:
    """One stage: ``run`` raises when the stage did not do its work."""

    name: str
    title: str
    run: Callable[[], None]


@dataclass(frozen=True)
class StageResult:
    """How one stage went; ``failure`` is None when it did its work."""

    name: str
    seconds: float
    failure: str | None = None


class Demonstration:
    """The stages over one running platform, and what they found."""

    def __init__(self, platform: RunningPlatform) -> None:
        self._platform = platform
        self._jobs = PipelineJobs(platform.instance)
        self.started_at: datetime = utc_now()
        self._announced: str | None = None
        self.briefs: list[BriefSummary] = []

    def stages(self) -> list[Stage]:
        """Return the stages in order."""
        return [
            Stage("daemon", "Start the Dagster daemon in the background", lambda: self._platform.start(DAEMON)),
            *(Stage(f"collect_{ledger}", f"Collect the {ledger} ledger", self._collection_of(ledger)) for ledger in LEDGERS),
            Stage("quality", "Score the ledgers", lambda: self._jobs.run("score_ledgers")),
            Stage("pnl", "Compute profit and loss", lambda: self._jobs.run("value_positions")),
            Stage("event", "Land a fresh filing", self._land_filing),
            Stage("brief", "Wait for the sensor's agent to brief it", self._await_briefs),
        ]

    def run(self, stage: Stage) -> StageResult:
        """Run one stage, once more where PostgreSQL died under it; a failure is an answer, not an exception.

        Raises:
            MachineError: A disk is full, or the like: no stage can work.
            KeyboardInterrupt: Somebody ended the demonstration.
        """
        begun = time.monotonic()
        try:
            stage.run()
        except MachineError:
            raise
        except OmcError as error:
            return StageResult(stage.name, time.monotonic() - begun, str(error))
        except Exception as error:  # noqa: BLE001 Dagster's boundary: what a dying database raises in it has no common base
            _raise_if_machine(error)
            log.warning("stage interrupted; trying once more", stage=stage.name, error=_one_line(error))
            self._platform.keep_postgres()
            self._platform.lock.keep()
            return self._run_again(stage, begun)
        return StageResult(stage.name, time.monotonic() - begun)

    def _run_again(self, stage: Stage, begun: float) -> StageResult:
        try:
            stage.run()
        except Exception as error:  # noqa: BLE001 as above
            _raise_if_machine(error)
            return StageResult(stage.name, time.monotonic() - begun, _one_line(error))
        return StageResult(stage.name, time.monotonic() - begun)

    def _collection_of(self, ledger: str) -> Callable[[], None]:
        def collect() -> None:
            self._jobs.collect(ledger)
            if not rows_of(self._platform, ledger):
                raise StageFailedError(f"the {ledger} ledger holds no rows after its collection")

        return collect

    def _land_filing(self) -> None:
        url = f"{self._platform.settings.sandbox_url}/_control/filings"
        with urlopen(Request(url, data=b"{}", method="POST"), timeout=10) as response:  # noqa: S310 our own loopback server
            self._announced = str(json.load(response)["accession_number"])
        self._jobs.collect("catalyst")

    def _await_briefs(self) -> None:
        deadline = time.monotonic() + BRIEF_DEADLINE_S
        while time.monotonic() < deadline:
            list(self._platform.supervisor.watch())
            self.briefs = briefs_since(self._platform.database, self.started_at)
            if any(brief.event == self._announced for brief in self.briefs):
                return
            time.sleep(0.25)
        log = self._platform.supervisor.log_file(DAEMON)
        raise StageFailedError(f"no brief of filing {self._announced} after {BRIEF_DEADLINE_S:.0f} s; see {log}")


def _raise_if_machine(error: Exception) -> None:
    found = machine_failure(error)
    if isinstance(found, MachineError):
        raise found from error


def _one_line(error: Exception) -> str:
    return redact(" ".join(f"{type(error).__name__}: {error}".split()))[:300]


def rows_of(platform: RunningPlatform, ledger: str) -> dict[str, int]:
    """Return how many facts each source holds in a ledger, each counted once whatever its versions."""
    from omc_pipeline.collection.discovery import discover_sources

    counts: dict[str, int] = {}
    with platform.database.engine("reader").connect() as connection:
        for source in discover_sources().values():
            if source.ledger != ledger:
                continue
            for table in source.tables:
                query = sa.text(f"SELECT count(*) FROM {table.qualified} WHERE source = :source AND version = 1")
                counts[source.name] = counts.get(source.name, 0) + int(connection.execute(query, {"source": source.name}).scalar_one())
    return {name: count for name, count in counts.items() if count}
