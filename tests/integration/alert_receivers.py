"""Servers on loopback that take messages as people's services do: HTTP (see ``http_upstream``) and SMTP, and channels that lead there."""

from __future__ import annotations

import email
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.message import Message as Mail
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

from omc_infra.delivery import Message
from omc_infra.services.ports import free_port


class Mailbox:
    """Takes mail, or refuses it with a status of SMTP."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.refusal: str | None = None

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 aiosmtpd's name
        if self.refusal:
            return self.refusal
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[Mailbox, str]]:
    """Run a mail server and return its mailbox and a URL of apprise that leads there."""
    mailbox = Mailbox()
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox, f"mailto://127.0.0.1:{port}/?from=omc@example.com&to=me@example.com&mode=insecure"
    finally:
        controller.stop()


class SettableClock:
    """A clock that a test moves."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, **span: float) -> datetime:
        """Move on and return the new time."""
        self.now += timedelta(**span)
        return self.now


def message(key: str, at: datetime, **fields: Any) -> Message:
    """Return a message of some key."""
    named = {"title": f"title of {key}", "body": f"body of {key}", **fields}
    return Message(key=key, topic="alert", at=at, **named)
