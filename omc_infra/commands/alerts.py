"""``omc alerts``: what needs a person, and what a person says about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import utc_now
from omc_infra.errors import BadInputError, ConfigurationError, OmcError
from omc_infra.person import by_option
from omc_infra.settings import Settings, load_settings
from omc_infra.terminal import open_console, say

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from omc_infra.alerts.alert import Alert
    from omc_infra.postgres.roles import Role

MOST_SHOWN = 200
_FAILURES_SHOWN = timedelta(days=7)
_SPAN = re.compile(r"^(\d{1,6})([mhd])$", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=365)


@click.group()
def alerts() -> None:
    """Look after alerts: what is wrong, who takes it on, where it is sent."""


@alerts.command("list")
@click.option("--all", "every", is_flag=True, help=f"Also those that are resolved: the newest {MOST_SHOWN}.")
@json_option
def list_command(every: bool, as_json: bool) -> None:
    """List the open alerts, and the messages that did not reach their channel."""
    from omc_infra.alerts.store import newest_alerts, open_alerts
    from omc_infra.delivery.outbox import undelivered

    settings, now = load_settings(), utc_now()
    with _connected(settings, "reader") as connection:
        found = newest_alerts(connection, MOST_SHOWN) if every else open_alerts(connection)
        waiting = undelivered(connection, now - _FAILURES_SHOWN)
    if as_json:
        documents = [alert.as_document(now) for alert in found]
        emit({"profile": settings.profile, "alerts": documents, "undelivered": waiting})
    else:
        _print(found, waiting, settings.profile, now)


@alerts.command("ack")
@click.argument("alert_id", type=click.IntRange(1, 2**63 - 1))
@by_option
@json_option
def ack_command(alert_id: int, by: str, as_json: bool) -> None:
    """Take an alert on: nothing more is sent about it, but that it is over."""
    from omc_infra.alerts.store import acknowledge

    settings, now = load_settings(), utc_now()
    with _connected(settings, "writer") as connection:
        alert = acknowledge(connection, alert_id, by, now)
    _answer(alert, settings.profile, as_json, now, f"alert {alert_id} is acknowledged by {alert.acknowledged_by}: {alert.cause}")


@alerts.command("snooze")
@click.argument("alert_id", type=click.IntRange(1, 2**63 - 1))
@click.option("--for", "span", default="2h", show_default=True, help="How long: 30m, 2h, 7d.")
@json_option
def snooze_command(alert_id: int, span: str, as_json: bool) -> None:
    """Silence an alert for a time; where it is still open then, it is sent again."""
    from omc_infra.alerts.store import snooze

    settings, now, length = load_settings(), utc_now(), _span(span)
    with _connected(settings, "writer") as connection:
        alert = snooze(connection, alert_id, now + length)
    _answer(alert, settings.profile, as_json, now, f"alert {alert_id} is silent until {alert.snoozed_until:%F %T}Z: {alert.cause}")


@alerts.command("test", epilog="Exit code 1: a channel did not take the message.")
@click.argument("channel", required=False)
@json_option
def test_command(channel: str | None, as_json: bool) -> None:
    """Send a test message to the channels of `[alerts]`, or to one; nothing is recorded."""
    from omc_infra.alerts.options import alerts_section
    from omc_infra.delivery.channels import channel_of

    settings = load_settings()
    configured = alerts_section(settings).channels
    if not configured:
        raise ConfigurationError('no channel is configured: set channels = ["slack"], for instance, under [alerts] in omc.toml')
    if channel is not None and channel not in configured:
        raise BadInputError(f"no channel {channel!r}; [alerts] in omc.toml names {', '.join(configured)}")
    found = [channel_of(name, settings) for name in ([channel] if channel else configured)]
    failures = {each.name: _failure_of(each, settings.profile) for each in found}
    if as_json:
        sent = [{"channel": name, "sent": failure is None, "failure": failure} for name, failure in failures.items()]
        emit({"profile": settings.profile, "channels": sent})
    else:
        for name, failure in failures.items():
            say(f"{name}: sent" if failure is None else failure)
    if any(failures.values()):
        raise click.exceptions.Exit(1)


def _failure_of(channel: Any, profile: str) -> str | None:
    from omc_infra.delivery.message import Message

    now = utc_now()
    message = Message(
        key=f"test {now.isoformat()}",
        topic="test",
        title=f"[OMC {profile}] TEST: alerts arrive here",
        body="This is a test message of `omc alerts test`; nothing is wrong.",
        at=now,
        document={"profile": profile},
    )
    try:
        channel.send(message)
    except OmcError as error:
        return str(error)
    return None


def _print(found: Sequence[Alert], waiting: Sequence[dict[str, Any]], profile: str, now: datetime) -> None:
    from omc_infra.tables import print_rows

    console = open_console()
    print_rows(console, [_row(alert, now) for alert in found], f"alerts · {profile}")
    print_rows(console, [_waiting_row(each) for each in waiting], "messages that were not delivered")
    if not found:
        say("no alert is open")


def _row(alert: Alert, now: datetime) -> dict[str, str]:
    return {
        "alert": str(alert.alert_id),
        "state": alert.state(now),
        "severity": alert.severity,
        "cause": str(alert.cause),
        "since": f"{alert.opened_at:%F %T}Z",
        "what": alert.summary,
        "what to do": f"{alert.advice} ({alert.playbook})",
    }


def _waiting_row(each: dict[str, Any]) -> dict[str, str]:
    then = f"again at {each['next_at']:%F %T}Z" if each["state"] == "pending" else "given up"
    return {
        "message": each["key"],
        "channel": each["channel"],
        "attempts": str(each["attempts"]),
        "failure": each["last_failure"] or "not sent yet",
        "then": then,
    }


def _answer(alert: Alert, profile: str, as_json: bool, now: datetime, line: str) -> None:
    if as_json:
        emit({"profile": profile, "alert": alert.as_document(now)})
    else:
        say(line)


def _span(text: str) -> timedelta:
    found = _SPAN.match(text)
    span = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if span is None or not timedelta() < span <= _LONGEST:
        raise BadInputError(f"--for {text}: must be like 30m, 2h or 7d, at most {_LONGEST.days}d")
    return span


@contextmanager
def _connected(settings: Settings, role: Role) -> Iterator[Connection]:
    from omc_infra.postgres.database import open_database

    with open_database(settings) as database, database.engine(role).begin() as connection:
        yield connection
