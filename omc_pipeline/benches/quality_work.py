"""Plant faults one by one in sound data, judge, and count what is seen; and judge sound moments, which must raise no alert."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings, load_settings
from omc_pipeline.benches import quality_faults_absence, quality_faults_quotes, quality_faults_rows
from omc_pipeline.benches.quality_days import Days, fill_days, prepare, store_body
from omc_pipeline.benches.quality_fault import Draw, Fault
from omc_pipeline.benches.quality_sound import SOUND
from omc_pipeline.benches.quality_trial import trial
from omc_pipeline.ledgers.table import LEDGERS, LedgerName
from omc_pipeline.quality import QualityReport, run_suites

KINDS = (*quality_faults_quotes.KINDS, *quality_faults_absence.KINDS, *quality_faults_rows.KINDS)
MOMENTS = 7
"""Sound moments that are judged, a day less some hours apart, so that they stand for a week at different hours."""
_APART = timedelta(hours=23)
_RECORDED = (
    "exchange.quote", "exchange.fill", "exchange.balance", "glass.coin_price", "glass.protocol_tvl", "glass.protocol_fees",
    "glass.protocol_revenue", "glass.chain_tvl", "glass.protocol_day", "glass.market_candle", "glass.fx_rate", "human.news",
    "human.title_score", "human.sentiment", "catalyst.event",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What became of a fault: names of the red checks that bear on it, and whether an alert is open."""

    fault: Fault
    red: tuple[str, ...]
    alerted: bool


@dataclass(frozen=True)
class Sound:
    """A sound moment or scene, and what was wrongly said of it."""

    name: str
    alerts: tuple[str, ...]
    red: tuple[str, ...]
    is_moment: bool


def faults(count: int, seed: int, now: datetime) -> list[Fault]:
    """Draw faults; every kind comes once before one comes again."""
    chosen = random.Random(seed)  # noqa: S311 a repeatable choice, not a secret
    kinds: list[Callable[[Draw], Fault]] = []
    while len(kinds) < count:
        turn = list(KINDS)
        chosen.shuffle(turn)
        kinds += turn
    return [kind(Draw(chosen, now)) for kind in kinds[:count]]


def judged_faults(database: Database, days: Days, planted: list[Fault]) -> Iterator[Seen]:
    """Plant each fault alone, and judge the ledger it is in."""
    settings, (before, alerts) = load_settings({}), _before(database, days)
    for fault in planted:
        with trial(database) as (changed, connection):
            for statement in fault.statements:
                _plant(connection, statement, fault)
            report = _report(changed, days, settings, fault.ledger)
        red = {name for name in _red(report) if name not in before and name.split(" ")[1].startswith(fault.bears)}
        alerted = any(f"{alert.ledger} {alert.dimension}" not in alerts for alert in report.alerts)
        yield Seen(fault, tuple(sorted(red)), alerted)


def judged_sound(database: Database, days: Days) -> Iterator[Sound]:
    """Judge sound moments of a week, newest first, and scenes that only look like faults."""
    settings = load_settings({})
    with trial(database) as (changed, connection):
        for number in range(MOMENTS):
            now = days.until - number * _APART
            _go_back(connection, now)
            yield _sound(f"{now:%a %H:%M}", run_suites(changed, list(days.sources.values()), settings, now, LEDGERS), is_moment=True)
    for name, statements in SOUND.items():
        with trial(database) as (changed, connection):
            prepare(connection)
            for statement in statements:
                connection.execute(statement, {"now": days.until, "since": days.since})
            yield _sound(name, run_suites(changed, list(days.sources.values()), settings, days.until, LEDGERS), is_moment=False)


def quality_days(database: Database) -> Days:
    """Fill the database, and judge once, so that libraries are loaded before anything is timed."""
    days = fill_days(database)
    with trial(database) as (changed, _):
        run_suites(changed, list(days.sources.values()), load_settings({}), days.until, LEDGERS)
    return days


def _before(database: Database, days: Days) -> tuple[set[str], set[str]]:
    """Return what is red and alerted without a fault."""
    with trial(database) as (changed, _):
        report = run_suites(changed, list(days.sources.values()), load_settings({}), days.until, LEDGERS)
    return _red(report), {f"{alert.ledger} {alert.dimension}" for alert in report.alerts}


def _report(database: Database, days: Days, settings: Settings, ledger: LedgerName) -> QualityReport:
    sources = [source for source in days.sources.values() if source.ledger == ledger]
    return run_suites(database, sources, settings, days.until, [ledger])


def _red(report: QualityReport) -> set[str]:
    return {f"{check.source} {check.name}" for ledger in report.ledgers.values() for check in ledger.checks if not check.passed}


def _sound(name: str, report: QualityReport, *, is_moment: bool) -> Sound:
    alerts = tuple(f"{alert.ledger} {alert.dimension}" for alert in report.alerts if alert.dimension != "overall")
    return Sound(name, alerts, tuple(sorted(_red(report))), is_moment)


def _plant(connection: psycopg.Connection[Any], statement: str, fault: Fault) -> None:
    if statement != "BODY":
        connection.execute(statement, dict(fault.bound))
        return
    store_body(connection, fault.bound["body"], "changed", fault.bound["since"])
    connection.execute(
        "UPDATE raw.fetch SET payload_sha256 = 'changed' WHERE source = %(source)s AND fetched_at >= %(since)s",
        {name: fault.bound[name] for name in ("source", "since")},
    )


def _go_back(connection: psycopg.Connection[Any], now: datetime) -> None:
    for table in _RECORDED:
        connection.execute(f"DELETE FROM {table} WHERE recorded_at > %s", [now])
    connection.execute("DELETE FROM raw.fetch WHERE fetched_at > %s", [now])
    connection.execute("UPDATE collection.state SET last_success_at = %s", [now - timedelta(seconds=19)])
    connection.execute("DELETE FROM quality.alert")
