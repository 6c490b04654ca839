"""The section ``[alerts]`` of ``omc.toml``: where alerts go, which, and when not."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from omc_infra.alerts.windows import EXAMPLES, window_of
from omc_infra.configuration import Section, lone_section
from omc_infra.delivery.channels import SECRET_SUFFIX
from omc_infra.delivery.message import Severity
from omc_infra.delivery.persistence import Persistence
from omc_infra.settings import Settings

SECTION = "alerts"
HEARTBEAT = "heartbeat"
HEARTBEAT_KEY = "alert_heartbeat"
"""Of the address that the platform pings while it is well."""
_NAME = re.compile(r"[a-z0-9](?:_?[a-z0-9]){0,31}", re.ASCII)


def checked_channel(name: str) -> str:
    """Return the name of a channel.

    Raises:
        ValueError: No channel can have it.
    """
    if not _NAME.fullmatch(name) or name == HEARTBEAT or name.endswith(SECRET_SUFFIX):
        raise ValueError("a channel's name has lower-case letters, digits and single underscores, and is not one that OMC uses itself")
    return name


ChannelName = Annotated[str, AfterValidator(checked_channel)]
"""Name of a channel in a section of ``omc.toml``."""


def _window(written: str) -> str:
    window_of(written)
    return written


class AlertsSection(Section):
    """Where alerts are sent. The address of each channel is a secret and stands in the environment, as `OMC_KEY_ALERT_<NAME>`."""

    channels: tuple[ChannelName, ...] = Field(
        (), max_length=20, description='Names of the channels that get alerts, such as `["slack"]` for `OMC_KEY_ALERT_SLACK`.'
    )
    minimum_severity: Severity = Field("medium", description="Alerts of a lower severity are listed, and not sent.")
    cooldown_minutes: int = Field(
        60, ge=0, le=10_080, description="After a message about a cause, its next opening is not announced before this many minutes."
    )
    maintenance: tuple[Annotated[str, AfterValidator(_window)], ...] = Field(
        (), max_length=100, description=f"Times, UTC, in which alerts are not announced, of all sources or of a pattern: {EXAMPLES}."
    )
    retry_s: float = Field(
        30.0, gt=0, le=3600, description="Seconds before a message is sent again that a channel did not take; doubled each time."
    )
    give_up_hours: float = Field(
        24.0, gt=0, le=720, description="Hours after which a message is given up; that is an alert of its own, for the other channels."
    )
    start_minutes: int = Field(15, ge=1, le=1440, description="A run that has not started this many minutes after its request is an alert.")
    heartbeat_s: float = Field(
        60.0, ge=1, le=3600, description="Seconds between two pings of `OMC_KEY_ALERT_HEARTBEAT`, which are sent while all is well."
    )

    @property
    def persistence(self) -> Persistence:
        """How long a message is tried."""
        return Persistence(self.retry_s, self.give_up_hours * 3600)

    def is_silent(self, source: str, now: datetime) -> bool:
        """Tell whether a maintenance window covers a source."""
        return any(window_of(written).covers(source, now) for written in self.maintenance)


def config_models() -> dict[str, type[Section]]:
    """Return the section of the configuration."""
    return {SECTION: AlertsSection}


def alerts_section(settings: Settings) -> AlertsSection:
    """Return the section as the configuration file of some settings has it, without a look at the other sections.

    Raises:
        ConfigurationError: It is wrong; the message names file and line.
    """
    return lone_section(settings, SECTION, AlertsSection)
