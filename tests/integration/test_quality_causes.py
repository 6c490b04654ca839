"""What the suites find becomes one alert for each cause: a dead source, a wrong symbol, a table; and it ends with its cause."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import text

from omc_infra.alerts import Alert
from omc_infra.alerts.store import newest_alerts, open_alerts
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.ledgers.table import LEDGERS
from omc_pipeline.quality.run import run_suites
from tests.integration.test_quality_run import ACCOUNT, HOUR, HUMAN, MINUTE, NOW, PRICES, SOURCES, Platform, fill, quote
from tests.integration.test_quality_run import platform as empty_platform  # noqa: F401 a fixture


@pytest.fixture
def platform(empty_platform: Platform) -> Platform:  # noqa: F811 the fixture
    with empty_platform.database.engine("owner").begin() as connection:
        connection.execute(text("TRUNCATE omc.delivery, omc.message, omc.alert"))
    return empty_platform


def alerts(database: Database) -> list[Alert]:
    with database.engine("reader").connect() as connection:
        return list(open_alerts(connection))


def causes(database: Database) -> list[tuple[str, str, str]]:
    return [(alert.source, alert.kind, alert.subject) for alert in alerts(database)]


def test_a_dead_source_is_one_alert_whatever_it_fails_and_ends_when_it_is_collected(platform: Platform) -> None:
    platform.collect_all(HUMAN)
    platform.report(NOW + MINUTE)
    platform.report(NOW + 2 * MINUTE)

    (found,) = alerts(platform.database)
    assert (found.source, found.kind, found.subject, found.severity) == (HUMAN.name, "source", "", "high")
    assert (len(found.checks) > 2, found.opened_at, "`omc collect`" in found.advice) == (True, NOW + MINUTE, True)
    platform.collect_all(*(one for one in SOURCES if one is not HUMAN))
    platform.report(NOW + 3 * MINUTE)
    assert causes(platform.database) == []


def test_one_wrong_symbol_is_the_cause_and_its_rows_are_named(platform: Platform) -> None:
    platform.collect_all()
    good = quote("SOL", NOW - MINUTE)
    platform.add(PRICES, dataclasses.replace(good, bid=good.ask * 2 if good.ask else None), recorded_at=NOW)  # type: ignore[operator]

    report = platform.report(NOW + MINUTE)

    (alert,) = alerts(platform.database)
    assert (alert.source, alert.kind, alert.subject, alert.severity) == (PRICES.name, "symbol", "SOL", "high")
    assert "quote_uncrossed" in alert.checks
    assert all(row.startswith("SOL AUD ") for row in alert.rows)
    assert {number for each in report.alerts for number in each.causes} == {alert.alert_id}


def test_two_wrong_symbols_are_two_alerts_and_many_are_one_of_their_table(platform: Platform) -> None:
    platform.collect_all()
    symbols = ("SOL", "ETH", "ADA")
    found = []
    for most in (2, 3):
        rows = [quote(symbol, NOW - most * MINUTE) for symbol in symbols[:most]]
        platform.add(PRICES, *(dataclasses.replace(row, bid=row.ask * 2) for row in rows if row.ask), recorded_at=NOW)
        if most == 3:
            with platform.database.engine("owner").begin() as connection:
                connection.execute(text("DELETE FROM exchange.quote WHERE observed_at = :at"), {"at": NOW - 2 * MINUTE})
        platform.report(NOW + most * MINUTE)
        found.append(causes(platform.database))

    assert sorted(found[0]) == [(PRICES.name, "symbol", "ETH"), (PRICES.name, "symbol", "SOL")]
    assert (PRICES.name, "table", "quote") in found[1]


def test_rows_of_users_are_in_no_alert(platform: Platform) -> None:
    platform.collect_all()
    platform.add(ACCOUNT, fill(99, NOW - HOUR, qty=fill(1, NOW).qty * 0 - 1))
    platform.report(NOW + MINUTE)

    found = [alert for alert in alerts(platform.database) if alert.source == ACCOUNT.name]

    assert found
    assert [alert.kind for alert in found] == ["table"]
    assert all(alert.rows == () and "f99" not in str(alert) and "demo" not in str(alert) for alert in found)


def test_a_cause_ends_when_its_check_passes(platform: Platform) -> None:
    platform.collect_all()
    good = quote("SOL", NOW - MINUTE)
    platform.add(PRICES, dataclasses.replace(good, bid=(good.ask or 0) * 2), recorded_at=NOW)
    platform.report(NOW + MINUTE)
    with platform.database.engine("owner").begin() as connection:
        connection.execute(text("DELETE FROM exchange.quote WHERE bid > ask"))

    platform.report(NOW + 2 * MINUTE)

    with platform.database.engine("reader").connect() as connection:
        (alert,) = newest_alerts(connection, 10)
    assert (alerts(platform.database), alert.resolved_at) == ([], NOW + 2 * MINUTE)


def test_sound_ledgers_have_no_alert(platform: Platform) -> None:
    platform.collect_all()

    platform.report(NOW + MINUTE)

    assert causes(platform.database) == []


def test_a_ledger_without_anything_to_judge_is_a_cause_itself(platform: Platform, settings: Settings) -> None:
    run_suites(platform.database, [], settings, NOW, LEDGERS)

    assert {(alert.kind, alert.source) for alert in alerts(platform.database)} == {("ledger", ledger) for ledger in LEDGERS}
    assert len(alerts(platform.database)) == 3 * len(LEDGERS)
