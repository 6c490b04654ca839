"""A question whose process is killed with SIGKILL in each step: it is resumed there, gives one answer, and asks its model nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from test_agents_crash import CountingAnalyst, await_no_locks

from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.sessions.persons import give_answer, open_question
from omc_agents.workflow import orchestrator
from omc_agents.workflow.question_steps import ANSWER_STEPS
from omc_infra.postgres.database import Database
from omc_infra.settings import PROJECT_ROOT, Settings
from omc_pipeline.ledgers.exchange import Quote
from omc_pipeline.ledgers.write import append

HERE = str(Path(__file__).parent)
WHERE = (*ANSWER_STEPS, "model", "answered")

VICTIM = """
import sys, threading, time
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.sessions.tokens import issue_token
from omc_agents.workflow import orchestrator
from omc_infra.postgres.database import open_database
from omc_infra.settings import load_settings
from agent_sessions import LIFETIME

settings = load_settings()

def hang(name):
    print(name, flush=True)
    time.sleep(600)

class Mute(ScriptedAnalyst):
    def complete(self, request):
        hang("model")

def stuck_after(step):
    def steps(context):
        bound = dict(orchestrator.steps_of(context))
        real = bound[step]
        bound[step] = lambda work: (real(work), hang(step))[0]
        return bound
    return steps

with open_database(settings) as database:
    for pair in sys.argv[1:]:
        where, session = pair.split("=")
        step = {"model": None, "answered": "plan"}.get(where, where)
        steps = stuck_after(step) if step else orchestrator.steps_of
        if where == "answered":
            real = steps
            steps = lambda context: {**real(context), "plan": lambda work: hang("answered")}
        model = Mute() if where == "model" else ScriptedAnalyst()
        given = (database, settings, model, issue_token(database, session, LIFETIME), steps)
        threading.Thread(target=orchestrator.run_workflow, args=given, daemon=True).start()
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def killed(database: Database, settings: Settings) -> Mapping[str, str]:
    """Work on one question a place in a process of its own, each stuck there, and kill it; return the sessions by place."""
    with database.connect("writer") as connection:
        quote = Quote("BTC", "AUD", datetime.now(UTC) - timedelta(minutes=1), None, None, Decimal("1.5"))
        append(connection, "exchange_coinspot_prices", [quote], None)
        connection.commit()
    sessions = {where: open_question(database, "ada", "price of BTC", ScriptedAnalyst.name) for where in WHERE if where != "answered"}
    sessions["answered"] = open_question(database, "ada", "what is the price", ScriptedAnalyst.name)
    assert orchestrator.resume(database, settings, ScriptedAnalyst(), sessions["answered"]).outcome == "waiting"
    give_answer(database, sessions["answered"], "BTC")
    command = [sys.executable, "-c", VICTIM, *(f"{where}={session}" for where, session in sessions.items())]
    environ = {**os.environ, **settings.environ(), "PYTHONPATH": HERE}
    with subprocess.Popen(command, cwd=PROJECT_ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        stuck = {process.stdout.readline().strip() for _ in sessions}
        process.kill()
    assert stuck == set(sessions)
    await_no_locks(database)
    return sessions


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "asked"),
    [
        ("plan", ["answer"]),
        ("retrieve", ["answer"]),
        ("analyse", []),
        ("verify", []),
        ("publish", None),
        ("model", ["plan", "answer"]),
        ("answered", ["plan", "answer"]),
    ],
)
def test_a_killed_question_is_resumed_where_it_was_and_pays_for_no_answer_twice(
    where: str, asked: list[str] | None, killed: Mapping[str, str], database: Database, settings: Settings
) -> None:
    model, session = CountingAnalyst(), killed[where]

    if asked is not None:
        assert orchestrator.resume(database, settings, model, session).outcome == "published"
        assert model.asked == asked

    state = orchestrator.get_session_state(database, session)
    assert (state.status, "BTC last traded at 1.50 AUD" in str(state.body)) == ("published", True)
    with database.connect("reader") as reader:
        assert reader.execute("SELECT count(*) FROM agents.brief WHERE session_id = %s", [session]).fetchone() == (1,)
