"""Channels of the library apprise: Slack, e-mail, Telegram, ntfy, Discord, Teams and more than a hundred others.

apprise raises nothing and writes URLs and tokens to its log, so its log goes nowhere; only the number of an HTTP status is read
from it.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from omc_infra.delivery.message import Message, Severity
from omc_infra.errors import ConfigurationError, UpstreamUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS: Mapping[Severity, str] = {"low": "info", "medium": "warning", "high": "failure"}
_STATUS = re.compile(r"error\s*=\s*(\d{3})\b")


class AppriseChannel:
    """A channel that a URL of apprise names, such as ``slack://``, ``mailto://``, ``tgram://`` or ``ntfy://``.

    Args:
        name: Of the channel; stands in failures, which never hold the URL.
        url: It is a secret.

    Raises:
        ConfigurationError: apprise does not read the URL.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._statuses = _silenced()
        from apprise import Apprise, AppriseAsset
        from apprise.common import OverflowMode, PersistentStoreMode

        in_memory = PersistentStoreMode.MEMORY.value  # what it keeps of a service may be a token
        self._service = Apprise(asset=AppriseAsset(app_id="OMC", app_desc="OMC", app_url="", async_mode=False, storage_mode=in_memory))
        if not self._service.add(url):
            raise ConfigurationError(
                f"channel {name}: OMC_KEY_ALERT_{name.upper()} is not a URL that apprise reads; for a webhook write webhook+https://... "
                "or slack+https://..."
            )
        for service in self._service:
            service.overflow_mode = OverflowMode.SPLIT  # a text that is too long for a service would be refused for ever

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            UpstreamUnavailableError: It was not taken.
        """
        from apprise import NotifyFormat, NotifyType

        self._statuses.found.clear()
        kind = NotifyType(_KINDS[message.severity])
        try:
            taken = self._service.notify(title=message.title, body=message.body, notify_type=kind, body_format=NotifyFormat.TEXT)
        except Exception as error:  # noqa: BLE001 one of a hundred plugins, whose exception may hold the URL
            raise UpstreamUnavailableError(f"{self.name}: its plugin failed with {type(error).__name__}") from None
        if not taken:  # an AppriseResult, which is no bool
            status = f"answered {self._statuses.found[-1]}" if self._statuses.found else "did not take the message"
            raise UpstreamUnavailableError(f"{self.name}: {status}")


class _Statuses(logging.Handler):
    """Keeps the HTTP status of each warning, and nothing else of it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found += _STATUS.findall(record.getMessage())


_HANDLER = _Statuses()


def _silenced() -> _Statuses:
    """Cut the log of apprise off from all others."""
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [_HANDLER], False
    logger.setLevel(logging.WARNING)
    return _HANDLER
