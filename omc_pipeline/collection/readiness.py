"""Which sources are configured: a live source without its keys is shown as such, is never launched, and counts for no score."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from omc_infra.settings import Settings
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.state import CollectorKey, States


def missing_variables(source: Source, settings: Settings) -> tuple[str, ...]:
    """Return the variables that must be set before a source can be collected; in the sandbox profile none."""
    if settings.profile == "sandbox":
        return ()
    keys = [f"OMC_KEY_{name.upper()}" for name in source.keys if not _has_key(source, name, settings)]
    policies = () if source.policy is None else (source.policy, *source.policy.others.values())
    lacks_contact = any(policy.needs_contact for policy in policies) and not has_contact(settings)
    return (*keys, "OMC_CONTACT") if lacks_contact else tuple(keys)


def _has_key(source: Source, name: str, settings: Settings) -> bool:
    """Say whether a key is set; that of any account counts for a source that is collected by account."""
    return bool(settings.key(name)) or (source.per_account and any(each.startswith(f"{name}__") for each in settings.keys))


def has_contact(settings: Settings) -> bool:
    """Say whether upstreams are told whom to write to."""
    return "@" in settings.contact or "://" in settings.contact


def lacks_extra(source: Source) -> str:
    """Say how to install the optional dependency that a source needs and that isn't there; empty where it lacks none."""
    if not source.extra or find_spec(source.extra) is not None:
        return ""
    return f'install its part of OMC with `uv sync --inexact --extra {source.extra}`, or `pip install "omc[{source.extra}]"`'


def not_configured_reason(source: Source, settings: Settings, known: States | None = None) -> str | None:
    """Say what a source lacks, in a sentence; None where it is configured.

    Args:
        source: Which.
        settings: Of this process.
        known: What is recorded; with it, a source of many venues is not configured before an account was collected.
    """
    missing = missing_variables(source, settings)
    wanted = lacks_extra(source) or (f"set {' and '.join(missing)}" if missing else "")
    if not wanted and known is not None and not has_account(source, known):
        wanted = "add an account at a venue with `omc accounts add VENUE`; it is collected from then on"
    return f"{source.name} is not configured: {wanted}" if wanted else None


def has_account(source: Source, known: States) -> bool:
    """Say whether there is what a source of many venues collects: an account of it was tried before. Of any other source it is true."""
    return source.venues is None or any(state.source == source.name and state.account_id for state in known)


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
        if not (missing_variables(source, settings) or lacks_extra(source))
        or (known is not None and bool(known.of(CollectorKey(source.name)).is_configured))
        if known is None or has_account(source, known)
    ]
