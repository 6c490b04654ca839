"""The ledger of calls and money on PostgreSQL: reserved before, settled after, capped, and never paid twice unknowingly."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import psycopg
import pytest
from agent_sessions import EDGAR, brief, opened
from provider_stand_in import MODELS, serving
from sqlalchemy import text

from omc_agents.models.catalogue import ListedModel, Price
from omc_agents.models.choice import make_panel
from omc_agents.models.failures import RefusalError, UnansweredError
from omc_agents.models.keys import EnvironmentKeys
from omc_agents.models.options import AgentsSection
from omc_agents.models.panel import Candidate, Caps, Panel, Retries
from omc_agents.models.protocol import Request, Response, Text, Turn, Usage
from omc_agents.models.recorded import RecordedModel
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.sessions.briefs import show_session
from omc_agents.sessions.calls import CallLedger
from omc_agents.sessions.spend import SpendCapError, UnknownOutcomeError, spent_by_day
from omc_agents.sessions.store import SessionStore
from omc_infra.errors import AccessDeniedError, BadInputError, OmcError, RateLimitedError, UpstreamUnavailableError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.write import append

PRICED = ListedModel(
    provider="openai", name="test-1", context_tokens=100_000, prices=(Price(input_usd=Decimal(10), output_usd=Decimal(100)),)
)
DAY = date(2026, 11, 27)
QUESTION = Request("s", (Turn("user", (Text("how much?"),)),), {"title": "analysis"}, max_output_tokens=1_000, deadline_s=30.0)
ANSWER = Response((Text('{"claims": []}'),), "end", Usage(1_000, 100, 0, 0, 50, 1_160), "test-1", "rid", "0" * 64)
COST = Decimal("0.026")
"""1,000 in, 100 out and 50 of reasoning, and 10 that belong to no part and cost as output."""
Say = Response | Exception


class Said:
    """Says one thing after the other, the last for ever."""

    def __init__(self, *said: Say, name: str = "openai/test-1") -> None:
        self.name, self.said, self.requests = name, list(said), list[Request]()

    def complete(self, request: Request) -> Response:
        self.requests.append(request)
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def session(database: Database) -> Callable[..., tuple[SessionStore, str]]:
    def make(user: str = "system") -> tuple[SessionStore, str]:
        store, opened_session = opened(database, announced(database), user=user)
        return store, opened_session.session_id

    return make


_numbers = count(1)


def announced(database: Database) -> str:
    event_id = f"0009999999-26-{next(_numbers):06d}"
    now = datetime.now(UTC) - timedelta(minutes=1)
    event = CatalystEvent(event_id, "filing", "BTC", "MSTR", "Strategy Inc", "8-K", "8-K", "2.02", "https://example.invalid/f", None, now)
    with database.connect("writer") as connection:
        append(connection, EDGAR, [event], None)
        connection.commit()
    return event_id


def panel(*models: Said, caps: Caps | None = None, attempts: int = 3) -> Panel:
    return Panel(tuple(Candidate(model, PRICED, DAY) for model in models), Retries(attempts, 0.001), caps or Caps())


def calls(database: Database, session_id: str) -> list[dict[str, Any]]:
    with database.engine("reader").connect() as connection:
        found = connection.execute(text("SELECT * FROM agents.model_spend WHERE session_id = :id ORDER BY call_id"), {"id": session_id})
        return [dict(row) for row in found.mappings()]


def ask(store: SessionStore, session_id: str, asked: Panel, waits: list[float] | None = None, **changes: Any) -> Response:
    waited = [] if waits is None else waits
    return CallLedger(store, session_id, asked, waited.append).complete(dataclasses.replace(QUESTION, **changes), "analyse")


def test_a_call_is_reserved_at_its_worst_and_settled_at_its_cost(database: Database, session: Callable[..., Any]) -> None:
    store, session_id = session()
    seen: list[dict[str, Any]] = []

    class Looking(Said):
        def complete(self, request: Request) -> Response:
            seen.extend(calls(database, session_id))
            return super().complete(request)

    ask(store, session_id, panel(Looking(ANSWER)))

    assert [(row["state"], row["cost_usd"]) for row in seen] == [("reserved", None)]
    [call] = calls(database, session_id)
    assert seen[0]["reserved_usd"] == call["reserved_usd"] > COST
    assert (call["state"], call["cost_usd"], call["counted_usd"], call["prices_of"]) == ("settled", COST, COST, DAY)
    assert call["provider_request"] == "rid"
    parts = {name: call["usage"][name] for name in ("input", "output", "cached_read", "cached_write", "reasoning", "unattributed")}
    assert parts == {"input": 1_000, "output": 100, "cached_read": 0, "cached_write": 0, "reasoning": 50, "unattributed": 10}
    assert sum(parts.values()) == call["usage"]["total"] == ANSWER.usage.total


def test_what_was_answered_is_not_asked_again(database: Database, session: Callable[..., Any]) -> None:
    (store, session_id), model = session(), Said(ANSWER)

    assert ask(store, session_id, panel(model)) == ask(store, session_id, panel(model))

    assert len(model.requests) == len(calls(database, session_id)) == 1


@pytest.mark.parametrize(
    ("caps", "option"),
    [
        (Caps(call_usd=Decimal("0.1")), "max_call_usd"),
        (Caps(session_calls=1), "max_session_calls"),
        (Caps(session_usd=Decimal("0.16")), "max_session_usd"),
        (Caps(user_day_usd=Decimal("0.16")), "max_user_day_usd"),
        (Caps(platform_day_usd=Decimal("0.16")), "max_platform_day_usd"),
    ],
)
def test_over_a_cap_nobody_is_asked(database: Database, session: Callable[..., Any], caps: Caps, option: str) -> None:
    (store, session_id), model = session(), Said(ANSWER)
    ask(store, session_id, panel(model))

    with pytest.raises(SpendCapError, match=option):
        ask(store, session_id, panel(model, Said(ANSWER, name="openai/other"), caps=caps), system="another question")

    assert len(model.requests) == len(calls(database, session_id)) == 1


def test_the_cap_of_a_user_is_his_own(session: Callable[..., Any]) -> None:
    (first, first_id), (second, second_id) = session("anna"), session("bruno")
    caps = Caps(user_day_usd=Decimal("0.16"))
    ask(first, first_id, panel(Said(ANSWER), caps=caps))

    ask(second, second_id, panel(Said(ANSWER), caps=caps))

    with pytest.raises(SpendCapError, match="max_user_day_usd"):
        ask(first, first_id, panel(Said(ANSWER), caps=caps), system="more")


def test_a_call_whose_answer_was_lost_is_made_once_more_and_both_count(database: Database, session: Callable[..., Any]) -> None:
    class Killed(Exception):  # noqa: N818 stands for a kill
        pass

    class Losing(SessionStore):
        def remember(self, *_: Any) -> None:
            raise Killed

    (store, session_id), model = session(), Said(ANSWER)
    losing = Losing(store.database, store.user_id, store.token)
    with pytest.raises(Killed):
        ask(losing, session_id, panel(model))
    worst = calls(database, session_id)[0]["reserved_usd"]

    ask(store, session_id, panel(model))

    rows = calls(database, session_id)
    assert [(row["attempt"], row["state"], row["counted_usd"]) for row in rows] == [(1, "unknown", worst), (2, "settled", COST)]
    assert len(model.requests) == 2


def test_a_call_without_a_known_outcome_is_made_twice_at_most(database: Database, session: Callable[..., Any]) -> None:
    (store, session_id), model = session(), Said(UnansweredError("cut"))

    with pytest.raises(UnknownOutcomeError):
        ask(store, session_id, panel(model, attempts=9))

    assert len(model.requests) == 2
    assert [row["state"] for row in calls(database, session_id)] == ["unknown", "unknown"]


def test_a_refused_call_costs_nothing_and_is_made_again_after_its_wait(database: Database, session: Callable[..., Any]) -> None:
    (store, session_id), waits = session(), list[float]()

    ask(store, session_id, panel(Said(RateLimitedError("slow down", retry_after_s=3.0), ANSWER)), waits)

    assert [wait >= 3.0 for wait in waits] == [True]
    assert [(row["state"], row["counted_usd"]) for row in calls(database, session_id)] == [("failed", 0), ("settled", COST)]


def test_a_wait_beyond_the_deadline_is_told_and_not_waited(session: Callable[..., Any]) -> None:
    (store, session_id), waits = session(), list[float]()

    with pytest.raises(RateLimitedError) as found:
        ask(store, session_id, panel(Said(RateLimitedError("later", retry_after_s=3_600.0))), waits)

    assert (found.value.retry_after_s, waits) == (3_600.0, [])


def test_the_next_model_is_asked_where_the_first_cant_answer(database: Database, session: Callable[..., Any]) -> None:
    store, session_id = session()
    first, second = Said(AccessDeniedError("no key")), Said(ANSWER, name="anthropic/test-2")

    assert ask(store, session_id, panel(first, second)) == ANSWER

    assert [(row["model"], row["state"]) for row in calls(database, session_id)] == [
        ("openai/test-1", "failed"),
        ("anthropic/test-2", "settled"),
    ]


def test_a_prompt_that_is_wrong_is_shown_to_no_other_model(session: Callable[..., Any]) -> None:
    (store, session_id), second = session(), Said(ANSWER, name="anthropic/test-2")

    with pytest.raises(BadInputError):
        ask(store, session_id, panel(Said(BadInputError("too long")), second))

    assert second.requests == []


def test_the_first_failure_is_told_where_no_model_answers(session: Callable[..., Any]) -> None:
    store, session_id = session()

    with pytest.raises(UpstreamUnavailableError, match="down"):
        ask(store, session_id, panel(Said(UpstreamUnavailableError("down")), Said(AccessDeniedError("no key"), name="x/y"), attempts=1))


def test_a_refusal_is_paid_kept_and_not_asked_again(database: Database, session: Callable[..., Any]) -> None:
    (store, session_id), model = session(), Said(dataclasses.replace(ANSWER, stop="refusal"))

    for _ in range(2):
        with pytest.raises(RefusalError):
            ask(store, session_id, panel(model))

    assert [row["counted_usd"] for row in calls(database, session_id)] == [COST]


def test_many_at_once_dont_pass_a_cap_together(session: Callable[..., Any]) -> None:
    sessions = [session("carla") for _ in range(6)]
    caps, told = Caps(user_day_usd=Decimal("0.30")), list[str]()

    class Slow(Said):
        def complete(self, request: Request) -> Response:
            threading.Event().wait(0.3)
            return super().complete(request)

    def one(store: SessionStore, session_id: str) -> None:
        try:
            ask(store, session_id, panel(Slow(ANSWER), caps=caps))
            told.append("asked")
        except OmcError as error:
            told.append(type(error).__name__)

    threads = [threading.Thread(target=one, args=each) for each in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert told.count("asked") == 2  # each reserves 0.14
    assert told.count("SpendCapError") == 4


def test_money_of_another_session_is_out_of_reach(database: Database, session: Callable[..., Any]) -> None:
    (mine, my_id), (theirs, their_id) = session("dora"), session("emil")
    ask(theirs, their_id, panel(Said(ANSWER)))

    with pytest.raises(Exception, match="no such session of the bound user"):
        ask(mine, their_id, panel(Said(ANSWER)), system="on your bill")
    with mine.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM agents.model_spend")).scalar_one() == 0
        for statement in ("UPDATE agents.model_spend SET cost_usd = 0", "DELETE FROM agents.model_spend"):
            with pytest.raises(Exception, match="permission denied"), connection.begin_nested():
                connection.execute(text(statement))
    with database.connect("agent") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT agents.reserve_call(%s, 's', 'h', 'm', NULL, 0, 1, 1, 1, 1, 1)", [my_id])


def test_a_brief_beyond_its_cap_fails_and_says_why(database: Database, settings: Settings) -> None:
    model = Said(ANSWER)

    outcome = brief(database, settings, panel(model, caps=Caps(call_usd=Decimal(0))), announced(database))

    assert outcome.outcome == "failed"
    assert "max_call_usd" in (outcome.detail or "")
    assert model.requests == []


@pytest.mark.parametrize("provider", MODELS)
def test_a_brief_is_the_same_over_every_providers_wire(database: Database, settings: Settings, provider: str) -> None:
    event = announced(database)
    with serving() as server:
        options = AgentsSection.model_validate(
            {"provider": provider, "model": MODELS[provider].partition("/")[2], "stand_in_url": server.url}
        )
        asked = make_panel(settings, options, EnvironmentKeys(settings), "system")

        outcome = brief(database, settings, asked, event)

    assert outcome.outcome == "published", outcome.detail
    assert len(server.notes.calls) == 2
    shown = show_session(database, event)
    assert shown["claims"]
    assert [(call["model"], call["state"], call["step"]) for call in shown["spend"]] == [
        (MODELS[provider], "settled", "extract"),
        (MODELS[provider], "settled", "analyse"),
    ]
    assert all(0 < call["cost_usd"] < call["reserved_usd"] for call in shown["spend"])


def test_a_brief_can_be_replayed_from_its_recorded_answers(database: Database, settings: Settings) -> None:
    event = announced(database)
    outcome = brief(database, settings, ScriptedAnalyst(), event)
    store, session_ = opened(database, event)

    recorded = RecordedModel(ScriptedAnalyst.name, lambda sha256: store.remembered(session_.session_id, sha256))
    with store.transaction() as connection:
        requests = connection.execute(
            text("SELECT request FROM agents.model_call WHERE session_id = :id"), {"id": session_.session_id}
        ).all()

    assert outcome.outcome == "published"
    assert len(requests) == 2
    with pytest.raises(BadInputError, match="no answer is recorded"):
        recorded.complete(QUESTION)


def test_the_sums_by_day_are_those_of_the_calls(database: Database, session: Callable[..., Any]) -> None:
    store, session_id = session("frida")
    ask(store, session_id, panel(Said(RateLimitedError("slow"), ANSWER)))
    with pytest.raises(UnknownOutcomeError):
        ask(store, session_id, panel(Said(UnansweredError("cut"))), system="another")

    [row] = [row for row in spent_by_day(database, 1) if row["user_id"] == "frida"]

    single = calls(database, session_id)
    assert row["counted_usd"] == sum(call["counted_usd"] for call in single)
    assert (row["calls"], row["settled"], row["failed"], row["unknown"], row["reserved"]) == (4, 1, 1, 2, 0)
    assert row["unsettled_usd"] == sum(call["reserved_usd"] for call in single if call["state"] == "unknown")
    parts = ("input", "output", "cached_read", "cached_write", "reasoning", "unattributed")
    assert row["total"] == sum(row[name] for name in parts) == ANSWER.usage.total


def test_a_shown_session_tells_its_calls_and_their_cost(database: Database, session: Callable[..., Any]) -> None:
    store, session_id = session()
    ask(store, session_id, panel(Said(ANSWER)))

    shown = show_session(database, session_id)

    assert [(call["step"], call["state"], call["counted_usd"]) for call in shown["spend"]] == [("analyse", "settled", COST)]
