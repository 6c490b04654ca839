"""A run killed with SIGKILL inside each step of the workflow: the next attempt continues there and leaves exactly one brief."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from agent_sessions import brief
from sqlalchemy import text

from omc_agents.models.protocol import Request, Response
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.sessions.briefs import show_session
from omc_agents.workflow.context import SessionContext, Step, Work
from omc_agents.workflow.event_steps import STEPS
from omc_agents.workflow.orchestrator import steps_of
from omc_infra.postgres.database import Database
from omc_infra.settings import PROJECT_ROOT, Settings
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.exchange import Quote
from omc_pipeline.ledgers.write import append

EDGAR = "catalyst_sec_edgar"
EVENTS = {step: f"0000000001-26-{number:06}" for number, step in enumerate((*STEPS, "model"))}
HERE = str(Path(__file__).parent)

VICTIM = """
import sys, threading, time
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.workflow.orchestrator import steps_of
from omc_infra.postgres.database import open_database
from omc_infra.settings import load_settings
from agent_sessions import brief

settings = load_settings()

def hang(name):
    print(name, flush=True)
    time.sleep(600)

class Mute(ScriptedAnalyst):
    def complete(self, request):
        hang("model")

def stuck_after(step):
    def steps(desk):
        bound = dict(steps_of(desk))
        real = bound[step]
        bound[step] = lambda work: (real(work), hang(step))[0]
        return bound
    return steps

with open_database(settings) as database:
    for pair in sys.argv[1:]:
        step, event = pair.split("=")
        model, steps = (Mute(), steps_of) if step == "model" else (ScriptedAnalyst(), stuck_after(step))
        given = (database, settings, model, event, steps)
        threading.Thread(target=brief, args=given, daemon=True).start()
    time.sleep(600)
"""


HELD = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class CountingAnalyst(ScriptedAnalyst):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def complete(self, request: Request) -> Response:
        self.asked.append(str(request.output_schema["title"]))
        return super().complete(request)


@pytest.fixture(scope="module")
def killed(database: Database, settings: Settings) -> None:
    """Run one session an event in a process of its own, each stuck at another place, and kill it."""
    now = datetime.now(UTC)
    filings = [
        CatalystEvent(e, "filing", "BTC", "MSTR", "S", "8-K", "8-K", None, "u", None, now - timedelta(seconds=n))
        for n, e in enumerate(EVENTS.values())
    ]
    with database.connect("writer") as connection:
        append(connection, EDGAR, filings, None)
        append(connection, "exchange_coinspot_prices", [Quote("BTC", "AUD", now - timedelta(minutes=1), None, None, Decimal("1.5"))], None)
        connection.commit()
    command = [sys.executable, "-c", VICTIM, *(f"{step}={event}" for step, event in EVENTS.items())]
    with subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env={**os.environ, **settings.environ(), "PYTHONPATH": HERE},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        stuck = {process.stdout.readline().strip() for _ in EVENTS}
        process.kill()
    assert stuck == set(EVENTS)
    await_no_locks(database)


def await_no_locks(database: Database) -> None:
    """Wait until PostgreSQL has seen that the killed process is gone."""
    with database.connect("writer") as connection:
        for _ in range(300):
            found = connection.execute(HELD).fetchone()
            connection.rollback()
            if found == (0,):
                return
            time.sleep(0.1)
    raise AssertionError(f"{found} locks are still held")


@pytest.mark.slow
@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize(
    ("step", "asked", "ran"),
    [
        ("retrieve", ["extraction", "analysis"], STEPS),
        ("model", ["extraction", "analysis"], STEPS[1:]),
        ("extract", ["analysis"], STEPS[1:]),
        ("analyse", [], STEPS[3:]),
        ("verify", [], STEPS[4:]),
        ("publish", [], ()),
    ],
)
def test_a_killed_session_continues_where_it_was_and_pays_for_no_answer_twice(
    step: str, asked: list[str], ran: tuple[str, ...], database: Database, settings: Settings
) -> None:
    model, seen = CountingAnalyst(), list[str]()

    def recording(context: SessionContext) -> Mapping[str, Step]:
        return {name: _noted(name, real, seen) for name, real in steps_of(context).items()}

    outcome = brief(database, settings, model, EVENTS[step], recording)

    assert outcome.outcome == "published", outcome.detail
    assert (model.asked, tuple(seen)) == (asked, ran)
    with database.engine("reader").connect() as connection:
        briefs = connection.execute(text("SELECT count(*) FROM agents.brief WHERE event_id = :id"), {"id": EVENTS[step]}).scalar_one()
    assert briefs == 1
    assert show_session(database, EVENTS[step])["session"]["failures"] == 0


def _noted(name: str, real: Step, seen: list[str]) -> Step:
    def step(work: Work) -> Work:
        seen.append(name)
        return real(work)

    return step
