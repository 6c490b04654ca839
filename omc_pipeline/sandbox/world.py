"""What all stand-ins know: the seed, the present, when the seeded account was opened, and the announced filings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from omc_infra.clock import Clock
from omc_pipeline.sandbox.state import State

HISTORY = timedelta(days=30)


@dataclass(frozen=True)
class World:
    """One sandbox's seed, clock and state."""

    seed: int
    clock: Clock
    state: State


def day_start(moment: datetime) -> datetime:
    """Return 00:00 UTC of a moment's day."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def present(request: Request) -> datetime:
    """Return the present of one request, which the fault ``late`` sets back."""
    moment: datetime = request.scope["omc.now"]
    return moment


def iso_ms(moment: datetime) -> str:
    """Write a moment as ``2026-11-23T09:56:44.502Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
