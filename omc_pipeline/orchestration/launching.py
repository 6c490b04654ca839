"""What may be launched now: schedules leave out sources that are not configured, paused or banned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from omc_infra.errors import ConfigurationError
from omc_pipeline.collection.state import CollectorKey, states
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.sources.readiness import not_configured_reason
from omc_pipeline.sources.source import Source


def launchable(platform: Platform, sources: Sequence[Source], now: datetime) -> tuple[list[Source], list[str]]:
    """Split sources into those that may be collected now and the reasons why the others may not; one query.

    Where the configuration is wrong all may: their runs fail with the line that says what is wrong, which a skipped tick would hide.

    Args:
        platform: Settings and, where a source is configured at all, the open database.
        sources: Those that are due.
        now: Aware.
    """
    try:
        settings = platform.settings
    except ConfigurationError:
        return list(sources), []
    reasons = {source.name: not_configured_reason(source, settings) for source in sources}
    if not all(reasons.values()):
        with platform.database.connect("reader") as connection:
            known = states(connection)
        reasons = {name: reason or known.refusal(CollectorKey(name), now) for name, reason in reasons.items()}
    return [source for source in sources if not reasons[source.name]], [reason for reason in reasons.values() if reason]
