"""The models of a session in the order in which they are asked, with the rules for asking them: waits, prices, caps."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from omc_agents.models.catalogue import ListedModel
from omc_agents.models.protocol import Model, Request, Usage

_WRAPPING_BYTES = 4_096
"""What a provider adds to a prompt for schemas, tools and roles, generously."""


@dataclass(frozen=True)
class Caps:
    """What may be spent, in US dollars; beyond it nothing is asked."""

    call_usd: Decimal = Decimal(1)
    session_calls: int = 100
    session_usd: Decimal = Decimal(10)
    user_day_usd: Decimal = Decimal(20)
    platform_day_usd: Decimal = Decimal(50)


@dataclass(frozen=True)
class Candidate:
    """One model that may be asked.

    Attributes:
        listing: Its size and prices; None for one that costs nothing.
        prices_of: The day of the price list.
    """

    model: Model
    listing: ListedModel | None = None
    prices_of: date | None = None

    def worst_cost_usd(self, request: Request, day: date) -> Decimal:
        """Return the most that a call can cost; a token is a byte at least, so there are no more tokens than bytes."""
        if self.listing is None:
            return Decimal(0)
        tokens = len(json.dumps(request.as_document(), ensure_ascii=False).encode()) + _WRAPPING_BYTES
        return self.listing.worst_cost_usd(tokens, request.max_output_tokens, day)

    def cost_usd(self, usage: Usage, day: date) -> Decimal:
        """Return what a call cost."""
        return Decimal(0) if self.listing is None else self.listing.cost_usd(usage, day)


@dataclass(frozen=True)
class Retries:
    """How often one model is asked, and the scale of the waits in seconds."""

    attempts: int = 4
    backoff_s: float = 1.0
    backoff_max_s: float = 20.0


@dataclass(frozen=True)
class Panel:
    """Models in their order; the first names the session's."""

    candidates: tuple[Candidate, ...]
    retries: Retries = field(default_factory=Retries)
    caps: Caps = field(default_factory=Caps)
    deadline_s: float | None = None
    reading_characters: int = 60_000
    """Of a document, shown to a model."""
    approve_above_usd: Decimal = Decimal(5)
    """What a session may spend before a person has to agree."""
    sessions_at_once: int = 1
    """Sessions of a batch that are worked side by side."""
    trace_endpoint: str = ""
    """Base URL of the OTLP/HTTP receiver of the sessions' spans; empty: none."""

    @property
    def name(self) -> str:
        """Name of the model that is asked first."""
        return self.candidates[0].model.name


def as_panel(asked: Model | Panel) -> Panel:
    """Return a panel; a single model is one that costs nothing."""
    return asked if isinstance(asked, Panel) else Panel((Candidate(asked),))
