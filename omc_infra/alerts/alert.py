"""What an alert is, and the words of its messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from omc_infra.delivery.message import SEVERITIES, Message, Severity
from omc_infra.terminal import one_line

TOPIC = "alert"
HIGH_BELOW = 0.5
_LONGEST_TITLE, _LONGEST_LINE = 200, 1000
State = Literal["opened", "acknowledged", "snoozed", "resolved"]
Occasion = Literal["opened", "worse", "still open", "resolved"]
_SHOWN = ("alert_id", "source", "kind", "subject", "severity", "score", "summary", "checks", "rows", "opened_at", "confirmed_at",
    "resolved_at", "acknowledged_at", "acknowledged_by", "snoozed_until", "announced_at", "advice", "playbook")  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """What an alert is about; whatever has the same cause is one alert.

    Attributes:
        source: A source, a ledger or a part of the platform.
        kind: Which kind of thing: ``source``, ``symbol``, ``table``, ``tick``, ``run``, ``channel``.
        subject: Which one; empty for the source as a whole.
    """

    source: str
    kind: str
    subject: str = ""

    def __str__(self) -> str:
        """Name it in a few words."""
        return one_line(f"{self.source}, {self.kind} {self.subject}" if self.subject else self.source)


@dataclass(frozen=True)
class Finding:
    """Something wrong that was found just now.

    Attributes:
        cause: Of the alert that it opens or keeps open.
        severity: How bad it is.
        summary: What is wrong, in a sentence.
        advice: What a person does.
        playbook: Page of the documentation that says more.
        score: In [0, 1], where something is scored.
        checks: Names of the checks that fail.
        rows: Natural keys of a few rows; none that belong to a user, for they leave the machine.
    """

    cause: Cause
    severity: Severity
    summary: str
    advice: str
    playbook: str
    score: float | None = None
    checks: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alert:
    """One row of ``omc.alert``; the comments of its columns say what each field means."""

    alert_id: int
    raised_by: str
    source: str
    kind: str
    subject: str
    severity: Severity
    score: float | None
    summary: str
    checks: tuple[str, ...]
    rows: tuple[str, ...]
    advice: str
    playbook: str
    opened_at: datetime
    confirmed_at: datetime
    resolved_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    snoozed_until: datetime | None
    announced_at: datetime | None
    announced_severity: Severity | None
    recovery_announced_at: datetime | None

    @property
    def cause(self) -> Cause:
        """What it is about."""
        return Cause(self.source, self.kind, self.subject)

    def state(self, now: datetime) -> State:
        """Return where in its life it is."""
        if self.resolved_at is not None:
            return "resolved"
        if self.snoozed_until is not None and self.snoozed_until > now:
            return "snoozed"
        return "opened" if self.acknowledged_at is None else "acknowledged"

    def as_document(self, now: datetime) -> dict[str, Any]:
        """Return the shape that ``omc alerts --json`` prints and that webhooks carry."""
        fields = {name: getattr(self, name) for name in _SHOWN}
        return {"state": self.state(now), **fields, "checks": list(self.checks), "rows": list(self.rows)}


def severity_of(score: float, high_below: float = HIGH_BELOW) -> Severity:
    """Say how bad a score below the threshold is: ``high`` below ``high_below``."""
    return "high" if score < high_below else "medium"


def rank(severity: Severity) -> int:
    """Return the place of a severity, the least severe first."""
    return SEVERITIES.index(severity)


def opening_key(alert_id: int) -> str:
    """Return the key of the message that opened an alert."""
    return f"alert {alert_id} opened"


def message_of(alert: Alert, occasion: Occasion, profile: str, now: datetime) -> Message:
    """Write the message of an occasion."""
    key = {
        "opened": opening_key(alert.alert_id),
        "worse": f"alert {alert.alert_id} worse {alert.severity}",
        "still open": f"alert {alert.alert_id} still open {alert.snoozed_until:%Y-%m-%dT%H:%M:%S}" if alert.snoozed_until else "",
        "resolved": f"alert {alert.alert_id} resolved",
    }[occasion]
    word = {"opened": alert.severity, "worse": f"now {alert.severity}"}.get(occasion, occasion).upper()
    document: Mapping[str, Any] = {"occasion": occasion, "profile": profile, **alert.as_document(now)}
    return Message(
        key=key,
        topic=TOPIC,
        title=f"[OMC {profile}] {word}: {alert.cause}"[:_LONGEST_TITLE],
        body="\n".join(_recovered(alert) if occasion == "resolved" else _described(alert)),
        at=now,
        severity="low" if occasion == "resolved" else alert.severity,
        document=document,
        refers_to=None if occasion == "opened" else opening_key(alert.alert_id),
    )


def _described(alert: Alert) -> list[str]:
    score = "" if alert.score is None else f", score {alert.score:.2f}"
    lines = [alert.summary, f"Alert {alert.alert_id}, {alert.severity}{score}, open since {alert.opened_at:%Y-%m-%d %H:%M} UTC."]
    if alert.checks:
        lines.append(f"Checks: {', '.join(alert.checks)}")
    if alert.rows:
        lines.append(f"Rows: {'; '.join(alert.rows)}")
    return [
        *(one_line(line)[:_LONGEST_LINE] for line in lines),
        f"What to do: {one_line(alert.advice)}",
        f"Playbook: {alert.playbook}",
        f"omc alerts ack {alert.alert_id} | omc alerts snooze {alert.alert_id} --for 2h",
    ]


def _recovered(alert: Alert) -> list[str]:
    ended = alert.resolved_at or alert.confirmed_at
    times = f"{alert.opened_at:%Y-%m-%d %H:%M} UTC is over since {ended:%Y-%m-%d %H:%M} UTC, after {span_text(ended - alert.opened_at)}"
    return [
        f"Alert {alert.alert_id} of {times}.",
        f"It was: {one_line(alert.summary)}",
    ]


def span_text(span: timedelta) -> str:
    """Write a span in its two largest units."""
    minutes = max(0, int(span.total_seconds())) // 60
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    return f"{days} d {hours} h" if days else f"{hours} h {rest} min" if hours else f"{rest} min"
