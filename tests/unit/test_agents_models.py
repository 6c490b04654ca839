"""The neutral protocol and the scripted analyst."""

from __future__ import annotations

import dataclasses

import pytest

from omc_agents.models.protocol import Opaque, Request, Response, Text, ToolCall, Turn, Usage
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.sessions.responses import as_document, from_document
from omc_agents.tools.arguments import checked_event_type, checked_symbol
from omc_infra.errors import BadInputError

REQUEST = Request("s", (Turn("user", (Text('{"envelopes": [{"text": "Strategy acquires bitcoin"}]}'),)),), {"title": "extraction"})


def test_a_question_has_one_name_whatever_its_deadline() -> None:
    assert REQUEST.sha256("m") == dataclasses.replace(REQUEST, deadline_s=1).sha256("m")
    assert REQUEST.sha256("m") != REQUEST.sha256("n")
    assert REQUEST.sha256("m") != dataclasses.replace(REQUEST, system="t").sha256("m")


def test_the_scripted_analyst_answers_the_same_for_ever() -> None:
    first, second = ScriptedAnalyst().complete(REQUEST), ScriptedAnalyst().complete(REQUEST)

    assert first == second
    assert '"event_kind": "acquisition"' in first.text


def test_the_scripted_analyst_refuses_a_question_it_does_not_know() -> None:
    with pytest.raises(BadInputError, match="'riddle'"):
        ScriptedAnalyst().complete(dataclasses.replace(REQUEST, output_schema={"title": "riddle"}))


def test_an_answer_survives_the_call_ledger() -> None:
    blocks = (Text("a"), ToolCall("1", "t", {"x": [1]}), Opaque("p", {"y": "z"}))
    answer = Response(blocks, "end", Usage(1, 2, 3, 4, 5), "m", "r", "d")

    assert from_document(as_document(answer)) == answer


@pytest.mark.parametrize("text", ["btc", "BTC; DROP TABLE", "", "BTC\n", "B" * 13, "ＢＴＣ", "A:B:C", ":BTC"])
def test_a_tool_argument_that_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        checked_symbol(text)


def test_a_tool_argument_that_is_a_code_is_taken() -> None:
    assert checked_symbol("COINSPOT:AUS") == "COINSPOT:AUS"
    assert (checked_symbol("BTC"), checked_event_type("filing")) == ("BTC", "filing")
