"""The work of ``omc bench agents``: a filled database, and what a session does on it, without the time of its model."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from omc_agents.benches.agents_sessions import session_figures
from omc_agents.benches.landing import SOURCE, event_ids, land
from omc_agents.sessions.dispatch import open_session
from omc_agents.sessions.tokens import Assignment, issue_token
from omc_agents.tools.arguments import SentimentSource, Timeframe
from omc_agents.tools.toolbox import Toolbox
from omc_agents.workflow.orchestrator import get_session_state
from omc_infra.bench import Figure
from omc_pipeline.benches.own_database import bench_database
from omc_pipeline.benches.read_work import DAYS, PAIRS, SYMBOL, fill_candles_and_events
from omc_pipeline.ledgers.knowledge import stamp
from omc_pipeline.seeding.bulk import seed_bulk

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

MODEL = "scripted/analyst-1"
LIFETIME = timedelta(hours=2)
TOOL_MS, STATE_MS, CHECKPOINT_MS = 50.0, 20.0, 10.0
"""Limits of the figures."""
_USER = "seed-scale"
"""Owner of the fills that ``seed_bulk`` makes."""
_WARM = 20
_CHECKPOINTS_A_RUN = 20
_SENTIMENT = """
INSERT INTO human.sentiment (source, symbol, metric, observed_at, score, label, version, recorded_at, row_sha256)
SELECT 'human_sentiment', 'S' || lpad((200 + coin)::text, 4, '0'), 'titles', at, sin(coin + n), NULL, 1, %(recorded_at)s,
    encode(sha256((coin || at::text)::bytea), 'hex')
FROM (SELECT n, %(first)s::timestamptz + n * interval '1 hour' AS at FROM generate_series(1, %(hours)s) AS n) AS hours
CROSS JOIN generate_series(0, %(coins)s - 1) AS coin
"""


def agents_figures(rows: int, repeats: int) -> Iterator[Figure]:
    """Measure on a database of this run's own.

    Args:
        rows: Quotes that it holds; candles, events, sentiment and fills come with them.
        repeats: Calls of each figure, after some that don't count.
    """
    now = datetime.now(UTC)
    with bench_database() as database:
        begun = time.perf_counter()
        seed_bulk(database, rows, DAYS, 1, now)
        fill_candles_and_events(database, now)
        _fill_sentiment(database, now)
        land(database, "tools", symbol=SYMBOL)
        yield Figure(f"filling {rows:,} quotes and what goes with them", round(time.perf_counter() - begun, 1), "s")
        assignment = _assignment(database)
        for name, call in _tools(database, assignment).items():
            yield _p99(f"tool {name} p99", timed(_never_empty(name, call), repeats), TOOL_MS)
        yield _p99("session state p99", timed(lambda: get_session_state(database, assignment.session_id), repeats), STATE_MS)
        yield _p99("checkpoint p99", _checkpoints_ms(database, repeats), CHECKPOINT_MS)
        yield from session_figures(database)


def timed(call: Callable[[], object], repeats: int) -> list[float]:
    """Return how long each warm call took, in milliseconds."""
    for _ in range(_WARM):
        call()
    gc.collect()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append((time.perf_counter() - begun) * 1000)
    return times


def _p99(what: str, times: Sequence[float], limit_ms: float) -> Figure:
    p99 = sorted(times)[max(int(len(times) * 0.99) - 1, 0)]
    return Figure(what, round(p99, 2), "ms", "limit", limit_ms, higher_is_better=False)


def _fill_sentiment(database: Database, now: datetime) -> None:
    bound = {"first": now - timedelta(days=DAYS), "hours": DAYS * 24, "coins": PAIRS}
    with database.connect("writer") as connection:
        connection.execute(_SENTIMENT, {**bound, "recorded_at": stamp(connection, "human.sentiment")})
    with database.connect("owner") as connection:
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE) human.sentiment")


def _assignment(database: Database) -> Assignment:
    """Open a session of the user who has the fills."""
    event = event_ids("tools", 1)[0]
    return issue_token(database, open_session(database, SOURCE, event, MODEL, _USER), LIFETIME)


def _tools(database: Database, assignment: Assignment) -> Mapping[str, Callable[[], Sequence[object]]]:
    """Return a call of each tool whose ledger is filled, as role agent under row-level security."""
    with database.connect("reader") as connection:
        as_of = connection.execute("SELECT clock_timestamp()").fetchone()
    box = Toolbox(database.engine("agent"), as_of[0] if as_of else datetime.now(UTC), assignment.user_id, assignment.token)
    event = box.event(SOURCE, event_ids("tools", 1)[0])
    return {
        "get_price_data": lambda: box.get_price_data(SYMBOL, Timeframe.DAY),
        "get_market_candles": lambda: box.get_market_candles(SYMBOL, Timeframe.DAY),
        "get_sentiment_data": lambda: box.get_sentiment_data(SYMBOL, SentimentSource.ANY),
        "get_catalyst_events": lambda: box.get_catalyst_events(SYMBOL, "filing"),
        "get_documents": lambda: box.get_documents(SOURCE, event.row["event_id"]),
        "get_event_study": lambda: box.get_event_study(event),
        "get_order_history": box.get_order_history,
        "get_order_history of a coin": lambda: box.get_order_history("S0007"),
    }


def _never_empty(name: str, call: Callable[[], Sequence[object]]) -> Callable[[], object]:
    def checked() -> object:
        found = call()
        if not found:
            raise AssertionError(f"{name}: no rows in a filled database")
        return found

    return checked


def _checkpoints_ms(database: Database, repeats: int) -> list[float]:
    """Return the time between the end of a step and the begin of the next one: the checkpoint, and LangGraph's own work."""
    from omc_agents.sessions.store import SessionStore
    from omc_agents.workflow.context import Work
    from omc_agents.workflow.graph import run_graph

    times: list[float] = []
    runs = repeats // _CHECKPOINTS_A_RUN + 2
    land(database, "checkpoints", runs, symbol=SYMBOL)
    for number, event in enumerate(event_ids("checkpoints", runs)):
        ended: list[float] = []

        def step(work: Work, ended: list[float] = ended, counts: bool = number > 0) -> Work:
            if ended and counts:
                times.append((time.perf_counter() - ended[-1]) * 1000)
            ended.append(time.perf_counter())
            return work

        assignment = issue_token(database, open_session(database, SOURCE, event, MODEL), LIFETIME)
        session = SessionStore(database, assignment.user_id, assignment.token).session(assignment.session_id)
        run_graph({f"step{n}": step for n in range(_CHECKPOINTS_A_RUN)}, database, session, assignment.token)
    return times
