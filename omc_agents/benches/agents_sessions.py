"""Whole sessions for ``omc bench agents``: one with a long document, and twenty at once, with a model whose time is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil

from omc_agents.benches.landing import DOCUMENT, SOURCE, event_ids, land
from omc_agents.models.panel import Candidate, Panel
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.sessions.dispatch import open_session
from omc_agents.sessions.tokens import Assignment, issue_token
from omc_agents.workflow.batch import brief_batch
from omc_infra.bench import Figure
from omc_infra.settings import load_settings
from omc_pipeline.benches.read_work import SYMBOL

if TYPE_CHECKING:
    from omc_agents.models.protocol import Request, Response
    from omc_infra.postgres.database import Database

SESSIONS, MODEL_S = 20, 0.5
OVERHEAD_S = 1.5
"""Limit of what a session may take without its model's time."""
_CPU_SHARE, _CPUS = 1.3, 2
_BYTES = 200_000
_LIFETIME = timedelta(hours=1)
_BRIEFS = 5


class TimedModel:
    """The scripted analyst, no faster than a given time a call; adds up the time of its calls."""

    name = ScriptedAnalyst.name

    def __init__(self, call_s: float) -> None:
        self._call_s, self._lock, self._analyst = call_s, threading.Lock(), ScriptedAnalyst()
        self.calls, self.spent_s = 0, 0.0

    def complete(self, request: Request) -> Response:
        """Return the analyst's answer, after the time a call takes."""
        begun = time.perf_counter()
        answer = self._analyst.complete(request)
        time.sleep(max(0.0, self._call_s - (time.perf_counter() - begun)))
        with self._lock:
            self.calls += 1
            self.spent_s += time.perf_counter() - begun
        return answer


def session_figures(database: Database) -> Iterator[Figure]:
    """Return what a session takes beside its model, and how long twenty at once take."""
    yield _overhead(database)
    model = TimedModel(MODEL_S)
    cpu_s, begun = _cpu_s(database), time.perf_counter()
    published = _brief(database, model, "at once", SESSIONS, DOCUMENT)
    wall_s, used_s = time.perf_counter() - begun, _cpu_s(database) - cpu_s
    limit_s = MODEL_S * model.calls / SESSIONS + _CPU_SHARE * used_s / _CPUS
    beside = f"limit: the model's time of one session + {_CPU_SHARE} x CPU time / {_CPUS}"
    yield Figure(f"{SESSIONS} sessions", round(wall_s, 2), "s", beside, round(limit_s, 2), higher_is_better=False)
    yield Figure(f"{SESSIONS} sessions, published", published, "sessions", "all of them", SESSIONS)
    yield Figure(f"{SESSIONS} sessions, CPU time", round(used_s, 2), "s")


def _overhead(database: Database) -> Figure:
    """Return the longest of a few sessions with a long filing, without their model's time; the first one doesn't count."""
    long_document = DOCUMENT.replace("</body>", "<p>Nothing else of note happened in this period.</p>\n" * (_BYTES // 53) + "</body>")
    taken = []
    for number in range(_BRIEFS + 1):
        model, begun = TimedModel(0.0), time.perf_counter()
        published = _brief(database, model, f"long {number}", 1, long_document)
        taken.append(time.perf_counter() - begun - model.spent_s)
        if not published:
            raise AssertionError("the session with a long filing was not published")
    return Figure("workflow overhead", round(max(taken[1:]), 3), "s", "limit", OVERHEAD_S, higher_is_better=False)


def _brief(database: Database, model: TimedModel, name: str, count: int, document: str) -> int:
    """Brief fresh filings side by side; return how many briefs were published."""
    land(database, name, count, symbol=SYMBOL, document=document)
    assignments: list[Assignment] = [
        issue_token(database, open_session(database, SOURCE, event, model.name), _LIFETIME) for event in event_ids(name, count)
    ]
    panel = Panel((Candidate(model),), sessions_at_once=count)
    outcomes = brief_batch(database, load_settings({}), panel, uuid4(), assignments)
    return sum(outcome.outcome == "published" for outcome in outcomes)


def _cpu_s(database: Database) -> float:
    """Return the CPU time of this process and of the database's server, in seconds; processes of it that ended count, too."""
    with database.connect("reader") as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        server = psutil.Process(row[0]).parent() if row else None
    if server is None:
        raise AssertionError("the database's server has no process here")
    own, main = psutil.Process().cpu_times(), server.cpu_times()
    total = own.user + own.system + sum(main[:4])  # user, system, and both of the children that ended
    for child in server.children():
        with suppress(psutil.NoSuchProcess):
            total += sum(child.cpu_times()[:2])
    return float(total)
