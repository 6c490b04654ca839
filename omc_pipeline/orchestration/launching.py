"""Decide what may be launched: schedules leave out sources that are not configured, paused or banned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from omc_infra.errors import ConfigurationError, OmcError
from omc_pipeline.collection.readiness import not_configured_reason
from omc_pipeline.collection.sections import configured_options
from omc_pipeline.collection.source import Endpoint, Source
from omc_pipeline.collection.state import CollectorKey, States, states
from omc_pipeline.orchestration.resources import Platform


def launchable(platform: Platform, sources: Sequence[Source], now: datetime) -> tuple[list[Source], list[str]]:
    """Split sources into those that may be collected now and reasons why the others may not, with one query.

    With an invalid configuration, all may: their runs then fail with a message about the mistake, which a skipped tick would hide.

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
        reasons = {source.name: reasons[source.name] or _refusal(known, source, _asked(platform, source), now) for source in sources}
    return [source for source in sources if not reasons[source.name]], [reason for reason in reasons.values() if reason]


def _asked(platform: Platform, source: Source) -> Sequence[Endpoint]:
    """Return the endpoints that the source's options enable; all if the configuration is invalid."""
    if all(endpoint.is_wanted is None for endpoint in source.endpoints):
        return source.endpoints
    try:
        return source.wanted(configured_options(source, platform.configuration))
    except OmcError:
        return source.endpoints


def _refusal(known: States, source: Source, endpoints: Sequence[Endpoint], now: datetime) -> str | None:
    """Return why no endpoint of a source may be collected now, or None."""
    refusals = [known.refusal(CollectorKey(source.name, endpoint.name), now) for endpoint in endpoints]
    return refusals[0] if all(refusals) else None
