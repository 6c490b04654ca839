"""The section ``[mcp]`` of ``omc.toml``: how often a client may call, and how much one result holds."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field

from omc_infra.configuration import Section, load_configuration
from omc_infra.errors import ConfigurationError

SECTION = "mcp"


class McpSection(Section):
    """Limits of `omc mcp`."""

    calls_per_minute: int = Field(60, ge=1, le=10_000, description="Calls that a client may make in a minute; more are refused.")
    result_characters: int = Field(
        6_000, ge=1_000, le=100_000, description="Characters of a result without `limit`; rows beyond it come with the cursor."
    )
    most_characters: int = Field(24_000, ge=1_000, le=1_000_000, description="Characters of a result whose call sets `limit`.")


def load_limits() -> McpSection:
    """Read the section as it is now."""
    options = load_configuration().section(SECTION)
    if not isinstance(options, McpSection):
        raise ConfigurationError(f"[{SECTION}] is read by nobody")
    return options


def config_models() -> Mapping[str, type[BaseModel]]:
    """Return the section of this room."""
    return {SECTION: McpSection}
