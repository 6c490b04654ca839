"""Alerts of a running platform: what Dagster does not tell anybody, messages that are due, and the heartbeat.

It runs in a thread of the process that holds the platform, so that it goes on while Dagster, or a service, does not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from omc_infra.alerts.alert import TOPIC, Cause, Finding
from omc_infra.alerts.announcing import announce
from omc_infra.alerts.heartbeat import Heartbeat
from omc_infra.alerts.options import HEARTBEAT_KEY, AlertsSection, alerts_section
from omc_infra.alerts.store import settle_findings
from omc_infra.clock import utc_now
from omc_infra.delivery.channels import Channel, channel_of
from omc_infra.delivery.dispatching import deliver_due
from omc_infra.delivery.outbox import BrokenChannel, broken_channels
from omc_infra.errors import ConfigurationError, OmcError
from omc_infra.postgres.database import Database
from omc_infra.services.run_watch import unstarted_runs
from omc_infra.services.tick_watch import failing_ticks
from omc_infra.settings import Settings
from omc_infra.terminal import one_line

log = structlog.get_logger()
DELIVERY = "delivery"
_LOOK_S, _FIND_S, _ENDING_S = 5.0, 15.0, 5.0
_OTHERS_NAMED = timedelta(days=1)
_RAISED_BY_TICKS, _RAISED_BY_RUNS = "ticks", "runs"
_TICKS_ADVICE = "Read the error in the Dagster UI under Automation. If it names `omc.toml` or a variable, correct that."
_RUNS_ADVICE = "See with `omc status` that the daemon and the code servers work, and in the Dagster UI under Runs what the run waits for."
_CHANNEL_ADVICE = "Correct the variable that holds the channel's address, start the platform again, and try it with `omc alerts test`."
_PLATFORM_PLAYBOOK, _DELIVERY_PLAYBOOK = "docs/how-to/when-the-machine-fails.md", "docs/how-to/alert-in-slack.md"


class AlertWatch:
    """Looks every five seconds at what is due; a context manager whose thread ends with it.

    Args:
        database: Of the platform; a role that this process lacks leaves its part out.
        settings: Hold the addresses of the channels.
        wrong: Names what is wrong with the platform, for the heartbeat.
    """

    def __init__(self, database: Database, settings: Settings, wrong: Callable[[], Sequence[str]]) -> None:
        self._database, self._settings, self._wrong = database, settings, wrong
        self._options = AlertsSection()
        self._channels: dict[str, Channel] = {}
        self._heartbeat = Heartbeat(settings.key(HEARTBEAT_KEY))
        self._broken: list[str] = []
        self._is_missed = False
        self._failure, self._find_at = "", 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def __enter__(self) -> AlertWatch:
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join(timeout=_ENDING_S)  # what is being sent then stays claimed, and is sent by the next platform

    def watch(self) -> Iterator[str]:
        """Yield a line once where the thread has ended by a mistake in it."""
        if not self._thread.is_alive() and not self._stopped.is_set():
            self._stopped.set()
            yield "alerts are sent no more: their thread has ended; start the platform again, and report what stands above"

    def look(self, now: datetime) -> None:
        """Do what is due once: find, announce, deliver, ping."""
        self._options = self._read_options()
        if time.monotonic() >= self._find_at:
            self._find_at = time.monotonic() + _FIND_S
            self._find(now)
        with self._database.engine("writer").begin() as connection:
            announce(connection, self._options, self._settings.profile, now)
        deliver_due(self._database, self._channel_of, self._options.persistence)
        self._beat()

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            try:
                self.look(utc_now())
            except (OmcError, psycopg.Error, SQLAlchemyError) as error:  # the database is away; the next look may find it
                self._complain(one_line(error)[:300])
            else:
                self._failure = ""

    def _beat(self) -> None:
        """Ping, and log the first ping of a row that stays away, and the first that comes again."""
        if not self._heartbeat.is_due():
            return
        missed = self._heartbeat.beat(self._options.heartbeat_s, lambda: [*self._wrong(), *self._broken])
        if missed and not self._is_missed:
            log.warning("alerts.heartbeat", reason=missed)
        elif not missed and self._is_missed:
            log.info("alerts.heartbeat", reason="pings arrive again")
        self._is_missed = bool(missed)

    def _complain(self, failure: str) -> None:
        if not self._failure:
            log.warning("alerts.interrupted", reason=failure)
        self._failure = failure

    def _find(self, now: datetime) -> None:
        ticks = [
            Finding(
                Cause("dagster", "tick", found.name),
                "high",
                f"Ticks of {found.name} fail, the last one at {found.at:%Y-%m-%d %H:%M} UTC: {found.reason}",
                _TICKS_ADVICE,
                _PLATFORM_PLAYBOOK,
            )
            for found in failing_ticks(self._database, now)
        ]
        runs = [
            Finding(
                Cause("dagster", "run", found.job),
                "medium",
                f"Run {found.run_id} of {found.job} was asked for at {found.since:%Y-%m-%d %H:%M} UTC and never started ({found.status}).",
                _RUNS_ADVICE,
                _PLATFORM_PLAYBOOK,
            )
            for found in unstarted_runs(self._database, now, self._options.start_minutes)
        ]
        with self._database.engine("writer").begin() as connection:
            channels = self._channel_findings(broken_channels(connection), now)
            settle_findings(connection, _RAISED_BY_TICKS, ticks, now)
            settle_findings(connection, _RAISED_BY_RUNS, runs, now)
            settle_findings(connection, DELIVERY, channels, now)
        self._broken = [finding.summary for finding in channels]

    def _channel_findings(self, broken: Sequence[BrokenChannel], now: datetime) -> list[Finding]:
        """Name the channels that did not take their newest message, and those for alerts that can't be made.

        A channel that gets no alerts, such as one of a subscription, is named for a day after its last message was given up.
        """
        failures = {each.channel: each.failure for each in broken}
        others = [each.channel for each in broken if each.topic != TOPIC and now - each.since < _OTHERS_NAMED]
        found = []
        for name in dict.fromkeys((*self._options.channels, *others)):
            failure = failures.get(name)
            try:
                self._channel_of(name)
            except ConfigurationError as error:
                failure = str(error)
            if failure is not None:
                summary = f"Messages to channel {name} are not delivered: {failure}"
                found.append(Finding(Cause(DELIVERY, "channel", name), "high", summary, _CHANNEL_ADVICE, _DELIVERY_PLAYBOOK))
        return found

    def _channel_of(self, name: str) -> Channel:
        if name not in self._channels:
            self._channels[name] = channel_of(name, self._settings)
        return self._channels[name]

    def _read_options(self) -> AlertsSection:
        """Read the options as they are now; while the file is wrong, the last good ones hold."""
        try:
            return alerts_section(self._settings)
        except ConfigurationError as error:
            log.debug("alerts.configuration", reason=str(error))
            return self._options
