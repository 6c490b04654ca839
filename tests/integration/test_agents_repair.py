"""Claims that no row bears are given back to a model once; what it corrects is verified like any other draft."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest
from containment import GENEROUS, HARMLESS, Arena, panel

from omc_agents.models.failures import RefusalError
from omc_agents.models.panel import Caps
from omc_agents.models.protocol import Request, Response, Text
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.sessions.proof import recording_of
from omc_agents.workflow.replay import replayed
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings


class CarelessModel:
    """Misreads the value of its first claims, and corrects as many of them as it is told to.

    Args:
        wrong: Claims with a wrong value.
        corrects: Of these, what it gets right when it is asked again; the others stay wrong.
        fails: Raise this when it is asked again.
    """

    name = "careless/model-1"

    def __init__(self, wrong: int, corrects: int, fails: Exception | None = None) -> None:
        self.wrong, self.corrects, self.fails = wrong, corrects, fails
        self.refused: list[list[dict[str, Any]]] = []
        self._right: Sequence[dict[str, Any]] = ()

    def complete(self, request: Request) -> Response:
        """Answer as the rules do, but for the values of the first claims."""
        answer = ScriptedAnalyst().complete(request)
        if request.question == "repair":
            (turn,) = request.turns
            self.refused.append(json.loads("".join(block.text for block in turn.blocks if isinstance(block, Text)))["refused"])
            if self.fails is not None:
                raise self.fails
            return self._with(answer, [*self._right[: self.corrects], *self._spoilt()[self.corrects :]])
        if request.question == "analysis":
            claims = json.loads(answer.text)["claims"]
            self._right = claims[: self.wrong]
            return self._with(answer, [*self._spoilt(), *claims[self.wrong :]])
        return dataclasses.replace(answer, model_reported=self.name)

    def _spoilt(self) -> list[dict[str, Any]]:
        return [{**claim, "value": "123456789"} for claim in self._right]

    def _with(self, answer: Response, claims: Sequence[dict[str, Any]]) -> Response:
        return dataclasses.replace(answer, blocks=(Text(json.dumps({"claims": list(claims)})),), model_reported=self.name)


@pytest.fixture(scope="module")
def arena(database: Database, settings: Settings) -> Arena:
    return Arena(database, settings)


def texts(shown: Any) -> set[str]:
    return {claim["text"] for claim in shown["claims"]}


def test_corrected_claims_are_published_and_each_is_asked_for_once(arena: Arena) -> None:
    twin, model = arena.twin("filing"), CarelessModel(wrong=3, corrects=3)

    outcome, _, shown, session_id = arena.brief("filing", HARMLESS, panel(model), "alice")

    assert (outcome, texts(shown)) == ("published", texts(twin))
    (refused,) = model.refused
    assert [each["reason"] for each in refused] == ["value is not the row's"] * 3
    assert "were dropped" not in shown["brief"]["body"].split("Documents:")[0]
    brief = replayed(recording_of(arena.database, session_id, 0.7))
    assert (brief.title, brief.body) == (shown["brief"]["title"], shown["brief"]["body"])


def test_what_stays_wrong_is_dropped_and_counted(arena: Arena) -> None:
    twin, model = arena.twin("filing"), CarelessModel(wrong=3, corrects=1)

    outcome, _, shown, session_id = arena.brief("filing", HARMLESS, panel(model), "alice")

    assert outcome == "published"
    assert len(texts(twin) - texts(shown)) == 2
    assert "2 drafted claims were dropped" in shown["brief"]["body"]
    assert len(model.refused) == 1
    brief = replayed(recording_of(arena.database, session_id, 0.7))
    assert brief.body == shown["brief"]["body"]


def test_a_model_without_a_wrong_claim_is_not_asked_again(arena: Arena) -> None:
    model = CarelessModel(wrong=0, corrects=0)

    assert arena.brief("filing", HARMLESS, panel(model), "alice")[0] == "published"
    assert model.refused == []


@pytest.mark.parametrize(
    ("caps", "asked"), [(GENEROUS, 1), (dataclasses.replace(GENEROUS, session_calls=3), 0)], ids=["declined", "over the cap"]
)
def test_a_repair_that_is_declined_or_over_a_cap_costs_only_the_wrong_claims(arena: Arena, caps: Caps, asked: int) -> None:
    model = CarelessModel(wrong=2, corrects=2, fails=RefusalError("declined"))

    outcome, _, shown, _ = arena.brief("filing", HARMLESS, panel(model, caps), "alice")

    assert (outcome, len(model.refused)) == ("published", asked)
    assert "2 drafted claims were dropped" in shown["brief"]["body"]
