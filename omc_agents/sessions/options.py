"""The section ``[briefs]`` of ``omc.toml``: the cool-down of subscriptions, and the briefs that no event begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, Field

from omc_infra.alerts.options import ChannelName
from omc_infra.configuration import Section, lone_section
from omc_infra.settings import Settings

SECTION = "briefs"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone such as `UTC` or `Australia/Sydney`") from None
    return name


class BriefsSection(Section):
    """Briefs of subscriptions, of every day, and about alerts."""

    cooldown_minutes: float = Field(
        15.0,
        ge=0,
        le=10_080,
        description="After a brief about a coin, events of the same coin wait this many minutes in each subscription. Then they are "
        "briefed together, in one message. 0: none waits.",
    )
    channels: tuple[ChannelName, ...] = Field(
        (), max_length=20, description="Channels that get the daily brief and briefs about alerts. Subscriptions have their own."
    )
    daily_at: str = Field(
        "",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$",
        description="Time of the daily market brief, such as `07:30`. Empty: there is none.",
    )
    daily_zone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="Time zone of `daily_at`.")
    daily_coins: tuple[Annotated[str, Field(pattern=r"^([A-Z0-9_]{1,30}:)?[A-Z0-9]{1,12}$")], ...] = Field(
        ("BTC", "ETH"), min_length=1, max_length=5, description="Coins of the daily market brief."
    )
    on_quality_alert: bool = Field(
        False, description="Write a brief when an alert about the quality of a ledger opens. The alert itself is sent without it, too."
    )


def briefs_section(settings: Settings) -> BriefsSection:
    """Return the section as the configuration file of some settings has it.

    Raises:
        ConfigurationError: It is wrong; the message names file and line.
    """
    return lone_section(settings, SECTION, BriefsSection)


def config_models() -> Mapping[str, type[BaseModel]]:
    """Return the section of this room."""
    return {SECTION: BriefsSection}
