"""An alert's life: opened once for its cause, announced when it should be, taken on, silenced, resolved with a message that refers back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from alert_receivers import SettableClock
from sqlalchemy import text

from omc_infra.alerts import Alert, Cause, Finding
from omc_infra.alerts.announcing import announce
from omc_infra.alerts.options import AlertsSection
from omc_infra.alerts.store import acknowledge, newest_alerts, open_alerts, settle_findings, snooze
from omc_infra.delivery.message import Severity
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OPTIONS = AlertsSection(channels=("chat",), cooldown_minutes=60)
BTC = Cause("exchange_quotes", "symbol", "BTC")
ETH = Cause("exchange_quotes", "symbol", "ETH")


def finding(cause: Cause = BTC, severity: Severity = "medium", **fields: object) -> Finding:
    return Finding(cause, severity, "Bid above ask.", "Compare with the venue.", "docs/how-to/x.md", **fields)  # type: ignore[arg-type]


class Watch:
    """A watch that finds what a test says, and the messages that come of it."""

    def __init__(self, database: Database, clock: SettableClock) -> None:
        self.database, self.clock = database, clock

    def finds(self, *findings: Finding, by: str = "ledger exchange") -> list[int]:
        with self.database.engine("writer").begin() as connection:
            return settle_findings(connection, by, findings, self.clock())

    def announced(self, options: AlertsSection = OPTIONS) -> list[str]:
        """Announce what is due and return the titles of new messages, without what stands in all."""
        with self.database.engine("writer").begin() as connection:
            before = connection.execute(text("SELECT coalesce(max(message_id), 0) FROM omc.message")).scalar_one()
            announce(connection, options, "sandbox", self.clock())
            titles = connection.execute(
                text("SELECT title FROM omc.message WHERE message_id > :before ORDER BY message_id"), {"before": before}
            )
            return [title.removeprefix("[OMC sandbox] ") for title in titles.scalars()]

    def open(self) -> Sequence[Alert]:
        with self.database.engine("reader").connect() as connection:
            return open_alerts(connection)


@pytest.fixture
def watch(database: Database) -> Watch:
    with database.engine("owner").begin() as connection:
        connection.execute(text("TRUNCATE omc.delivery, omc.message, omc.alert"))
    return Watch(database, SettableClock(NOW))


def test_a_cause_that_is_found_again_is_one_alert_and_one_message(watch: Watch) -> None:
    first = watch.finds(finding())
    said = watch.announced()
    watch.clock.go_on(minutes=15)
    again = watch.finds(finding(checks=("a", "b")))

    (alert,) = watch.open()
    assert (first, said, watch.announced()) == (again, ["MEDIUM: exchange_quotes, symbol BTC"], [])
    assert (alert.opened_at, alert.confirmed_at, alert.checks) == (NOW, NOW + timedelta(minutes=15), ("a", "b"))


def test_each_cause_has_its_own_alert(watch: Watch) -> None:
    watch.finds(finding(BTC), finding(ETH), finding(Cause("exchange_quotes", "source")))

    assert [str(alert.cause) for alert in watch.open()] == ["exchange_quotes, symbol BTC", "exchange_quotes, symbol ETH", "exchange_quotes"]


def test_what_is_found_no_more_is_resolved_with_a_message_that_refers_to_its_opening(watch: Watch) -> None:
    (alert_id,) = watch.finds(finding())
    watch.announced()
    watch.clock.go_on(hours=3, minutes=5)
    watch.finds()

    assert watch.announced() == ["RESOLVED: exchange_quotes, symbol BTC"]
    assert (watch.announced(), watch.open()) == ([], [])
    with watch.database.engine("reader").connect() as connection:
        key, refers_to, body = connection.execute(
            text("SELECT key, refers_to, body FROM omc.message ORDER BY message_id DESC LIMIT 1")
        ).one()
    assert (key, refers_to) == (f"alert {alert_id} resolved", f"alert {alert_id} opened")
    assert "2026-11-20 12:00 UTC is over since 2026-11-20 15:05 UTC, after 3 h 5 min" in body


def test_the_watches_leave_each_others_alerts_alone(watch: Watch) -> None:
    watch.finds(finding())
    watch.finds(finding(ETH), by="ticks")

    watch.finds(by="ticks")

    assert [alert.cause for alert in watch.open()] == [BTC]


def test_what_was_over_before_anything_was_said_is_never_mentioned(watch: Watch) -> None:
    watch.finds(finding())
    watch.finds()

    assert watch.announced() == []


def test_a_cause_that_comes_back_is_announced_after_the_cool_down_only(watch: Watch) -> None:
    said = []
    for findings in ([finding()], [], [finding()], [], [finding()]):
        watch.finds(*findings)
        said.append(watch.announced())
        watch.clock.go_on(minutes=5)
    watch.clock.go_on(minutes=60)

    assert said == [["MEDIUM: exchange_quotes, symbol BTC"], ["RESOLVED: exchange_quotes, symbol BTC"], [], [], []]
    assert watch.announced() == ["MEDIUM: exchange_quotes, symbol BTC"]


def test_an_acknowledged_alert_is_silent_until_it_is_over(watch: Watch) -> None:
    (alert_id,) = watch.finds(finding())
    watch.announced()
    with watch.database.engine("writer").begin() as connection:
        alert = acknowledge(connection, alert_id, "ada", NOW)
    watch.finds(finding(severity="high"))
    silent = watch.announced()
    watch.finds()

    assert (alert.state(NOW), alert.acknowledged_by, silent) == ("acknowledged", "ada", [])
    assert watch.announced() == ["RESOLVED: exchange_quotes, symbol BTC"]


def test_a_snoozed_alert_is_silent_for_its_time_and_then_sent_once_more(watch: Watch) -> None:
    (alert_id,) = watch.finds(finding())
    watch.announced()
    with watch.database.engine("writer").begin() as connection:
        snoozed = snooze(connection, alert_id, NOW + timedelta(hours=2))
    said = []
    for _ in range(4):
        watch.clock.go_on(minutes=45)
        watch.finds(finding())
        said.append(watch.announced())

    assert snoozed.state(NOW) == "snoozed"
    assert said == [[], [], ["STILL OPEN: exchange_quotes, symbol BTC"], []]


def test_an_alert_that_gets_worse_is_sent_again_once(watch: Watch) -> None:
    said = []
    for severity in ("medium", "high", "medium", "high"):
        watch.finds(finding(severity=severity))  # type: ignore[arg-type]
        said.append(watch.announced())

    assert said == [["MEDIUM: exchange_quotes, symbol BTC"], ["NOW HIGH: exchange_quotes, symbol BTC"], [], []]


def test_what_is_below_the_least_severity_is_listed_and_not_sent(watch: Watch) -> None:
    options = OPTIONS.model_copy(update={"minimum_severity": "high"})
    watch.finds(finding())

    below = watch.announced(options)
    watch.finds(finding(severity="high"))

    assert (below, len(watch.open())) == ([], 1)
    assert watch.announced(options) == ["HIGH: exchange_quotes, symbol BTC"]


def test_a_maintenance_window_holds_messages_back_until_it_ends(watch: Watch) -> None:
    options = OPTIONS.model_copy(update={"maintenance": ("daily 11:00-13:00 exchange_*",)})
    watch.finds(finding(), finding(Cause("glass_fx", "source")))

    within = watch.announced(options)
    watch.clock.go_on(hours=1)

    assert within == ["MEDIUM: glass_fx"]
    assert watch.announced(options) == ["MEDIUM: exchange_quotes, symbol BTC"]


def test_without_channels_nothing_is_said_and_nothing_is_forgotten(watch: Watch) -> None:
    watch.finds(finding())

    before = watch.announced(AlertsSection())

    assert (before, watch.announced()) == ([], ["MEDIUM: exchange_quotes, symbol BTC"])


def test_a_message_says_what_a_person_needs(watch: Watch) -> None:
    (alert_id,) = watch.finds(finding(severity="high", score=0.31, checks=("quote_uncrossed",), rows=("BTC AUD 2026-11-20",)))
    watch.announced()

    with watch.database.engine("reader").connect() as connection:
        body, document = connection.execute(text("SELECT body, document FROM omc.message")).one()
    assert body.splitlines() == [
        "Bid above ask.",
        f"Alert {alert_id}, high, score 0.31, open since 2026-11-20 12:00 UTC.",
        "Checks: quote_uncrossed",
        "Rows: BTC AUD 2026-11-20",
        "What to do: Compare with the venue.",
        "Playbook: docs/how-to/x.md",
        f"omc alerts ack {alert_id} | omc alerts snooze {alert_id} --for 2h",
    ]
    assert (document["occasion"], document["subject"], document["state"], document["profile"]) == ("opened", "BTC", "opened", "sandbox")


@pytest.mark.parametrize("alert_id", [0, -1, 10**9, 2**63, 10**30])
def test_a_number_of_no_alert_is_bad_input(alert_id: int, watch: Watch) -> None:
    with watch.database.engine("writer").begin() as connection, pytest.raises(BadInputError, match="there is no alert"):
        acknowledge(connection, alert_id, "ada", NOW)


def test_a_resolved_alert_takes_no_acknowledgement(watch: Watch) -> None:
    (alert_id,) = watch.finds(finding())
    watch.finds()

    with watch.database.engine("writer").begin() as connection, pytest.raises(BadInputError, match="is resolved"):
        snooze(connection, alert_id, NOW)
    with watch.database.engine("reader").connect() as connection:
        assert [alert.state(NOW) for alert in newest_alerts(connection, 5)] == ["resolved"]
