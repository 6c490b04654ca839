"""Which model a profile uses."""

from __future__ import annotations

from omc_agents.models.protocol import Model
from omc_agents.models.scripted import ScriptedAnalyst


def default_model() -> Model:
    """Return the model of sessions that events start: the scripted analyst, which needs no key and no network."""
    return ScriptedAnalyst()
