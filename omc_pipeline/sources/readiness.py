"""Which sources are configured: a live source without its keys is shown as such, is never launched, and counts for no score."""

from __future__ import annotations

from collections.abc import Iterable

from omc_infra.settings import Settings
from omc_pipeline.collection.state import CollectorKey, States
from omc_pipeline.sources.source import Source


def missing_variables(source: Source, settings: Settings) -> tuple[str, ...]:
    """Return the variables that must be set before a source can be collected; in the sandbox profile none."""
    if settings.profile == "sandbox":
        return ()
    keys = [f"OMC_KEY_{name.upper()}" for name in source.keys if not settings.key(name)]
    lacks_contact = source.host.needs_contact and not has_contact(settings)
    return (*keys, "OMC_CONTACT") if lacks_contact else tuple(keys)


def has_contact(settings: Settings) -> bool:
    """Say whether upstreams are told whom to write to."""
    return "@" in settings.contact or "://" in settings.contact


def not_configured_reason(source: Source, settings: Settings) -> str | None:
    """Say what a source lacks, in a sentence; None where it is configured."""
    missing = missing_variables(source, settings)
    return f"{source.name} is not configured: set {' and '.join(missing)}" if missing else None


def configured_sources(sources: Iterable[Source], settings: Settings, known: States | None = None) -> list[Source]:
    """Return the sources that are configured: here, or by what the platform has recorded, whose keys this process may lack.

    Args:
        sources: Which to look at.
        settings: Of this process.
        known: What is recorded.
    """
    return [
        source
        for source in sources
        if not missing_variables(source, settings) or (known is not None and bool(known.of(CollectorKey(source.name)).is_configured))
    ]
