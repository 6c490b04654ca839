"""A channel by its name: what ``OMC_KEY_ALERT_<NAME>`` says decides of which kind it is."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from omc_infra.delivery.message import Message
from omc_infra.delivery.webhook import Form, WebhookChannel
from omc_infra.errors import ConfigurationError
from omc_infra.settings import Settings

KEY_PREFIX = "alert_"
SECRET_SUFFIX = "_secret"  # noqa: S105 the end of a variable's name
_FORMS: dict[str, Form] = {"webhook": "omc", "slack": "slack"}
_SLACK = "https://hooks.slack.com/"


class Channel(Protocol):
    """Something that takes messages."""

    name: str

    def send(self, message: Message) -> None:
        """Send a message; an ``OmcError`` says that it was not taken, without any secret."""


def channel_of(name: str, settings: Settings) -> Channel:
    """Make the channel of a name.

    ``webhook+https://`` and ``slack+https://`` are our own webhook in its two forms, and so is an address of Slack's incoming webhooks;
    every other URL is one of apprise. ``OMC_KEY_ALERT_<NAME>_SECRET`` signs what our webhook sends.

    Raises:
        ConfigurationError: Its variable is missing or malformed; the message never holds the value.
    """
    variable, url = variable_of(name), settings.key(f"{KEY_PREFIX}{name}")
    if url is None:
        raise ConfigurationError(f"channel {name}: {variable} is not set in the environment")
    if url.startswith(_SLACK):
        url = f"slack+{url}"
    form, plus, target = url.partition("+")
    if plus and form in _FORMS and target.startswith(("http://", "https://")):
        if not _has_host(target):
            raise ConfigurationError(f"channel {name}: {variable} names no host")
        return WebhookChannel(name, target, _FORMS[form], settings.key(f"{KEY_PREFIX}{name}{SECRET_SUFFIX}"))
    from omc_infra.delivery.apprise_channel import AppriseChannel

    return AppriseChannel(name, url)


def variable_of(name: str) -> str:
    """Return the variable that holds a channel's URL."""
    return f"OMC_KEY_{KEY_PREFIX}{name}".upper()


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
