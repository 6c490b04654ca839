"""Eight writers and eight readers at once, and what of the readers' answers is another one when the writers are done."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from omc_agents.tools.arguments import SentimentSource, Timeframe
from omc_agents.tools.toolbox import Toolbox
from omc_infra.postgres.database import Database
from omc_pipeline.ledgers import catalyst, exchange, glass, human
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.exchange import Balance, Fill, Quote
from omc_pipeline.ledgers.glass import CoinPrice, ProtocolFees, ProtocolTvl
from omc_pipeline.ledgers.human import Sentiment
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append
from omc_pipeline.quality.score import LedgerScore
from omc_pipeline.quality.store import store_scores

WRITERS, READERS = 8, 8
SCORES = "quality.score"

ROWS: dict[str, Callable[[datetime, Decimal], Row]] = {
    "catalyst.event": lambda at, n: CatalystEvent(
        f"e{n}", "filing", "BTC", None, "Strategy", f"{n}", "8-K", None, "https://x", at.date(), at
    ),
    "exchange.balance": lambda at, n: Balance("ada", "main", "BTC", at, n, None),
    "exchange.fill": lambda at, n: Fill(f"f{n}", "ada", "main", "BTC", "AUD", "buy", n, n, n, Decimal(0), "AUD", at),
    "exchange.quote": lambda at, n: Quote("BTC", "AUD", at, n, n, n),
    "glass.coin_price": lambda at, n: CoinPrice("BTC", at, n, None),
    "glass.protocol_fees": lambda at, n: ProtocolFees("aave", at, "Aave", n, n, n),
    "glass.protocol_tvl": lambda at, n: ProtocolTvl("aave", at, "AAVE", "Aave", None, n, None),
    "human.sentiment": lambda at, n: Sentiment("BTC", "index", at, n, None),
}
TABLES = {table.qualified: table for ledger in (glass, human, catalyst, exchange) for table in ledger.TABLES if table.qualified in ROWS}
"""Some of every ledger: reading more at a time takes minutes, and all are written by the same statement under the same guard."""
TOOLS: dict[str, Callable[[Toolbox], Sequence[Any]]] = {
    "get_price_data": lambda box: box.get_price_data("BTC", Timeframe.DAY),
    "get_sentiment_data": lambda box: box.get_sentiment_data("BTC", SentimentSource.ANY),
    "get_catalyst_events": lambda box: box.get_catalyst_events("BTC", None),
    "get_order_history": lambda box: box.get_order_history(),
    "get_ledger_quality": lambda box: box.get_ledger_quality(),
}
Step = tuple[str, float, bool]
"""Table, seconds between stamp and commit, and whether it is committed at all."""

steps = st.tuples(st.sampled_from([*ROWS, SCORES]), st.sampled_from([0.0, 0.002, 0.01]), st.sampled_from([True, True, True, False]))
plans = st.lists(st.lists(steps, min_size=6, max_size=10), min_size=WRITERS, max_size=WRITERS)
hard = settings(
    max_examples=4,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Clock:
    """Gives every row a moment and a number of its own."""

    def __init__(self) -> None:
        self._lock, self._count = threading.Lock(), 0
        self._began = datetime.now(UTC).replace(microsecond=0)

    def next(self) -> tuple[datetime, Decimal]:
        with self._lock:
            self._count += 1
            return self._began + timedelta(milliseconds=self._count), Decimal(self._count)


def write(database: Database, clock: Clock, plan: Sequence[Step]) -> None:
    for table, pause_s, is_kept in plan:
        if table == SCORES:
            write_score(database, pause_s, is_kept=is_kept)
            continue
        with database.connect("writer") as connection:
            append(connection, "hard", [ROWS[table](*clock.next())], None)
            time.sleep(pause_s)
            connection.commit() if is_kept else connection.rollback()


def write_score(database: Database, pause_s: float, *, is_kept: bool) -> None:
    with database.engine("writer").connect() as connection:
        store_scores(connection, uuid.uuid4(), {"glass": LedgerScore(1.0, 1.0, 1.0)})
        time.sleep(pause_s)
        connection.commit() if is_kept else connection.rollback()


def now_of(database: Database) -> datetime:
    with database.engine("reader").connect() as connection:
        moment: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return moment


Reading = tuple[datetime, str, Sequence[Any]]


def changed_answers(
    database: Database,
    plan: Sequence[Sequence[Step]],
    read: Callable[[datetime, str], Sequence[Any]],
    names: Sequence[str],
    meanwhile: Callable[[], None] = lambda: None,
) -> list[str]:
    """Read as of the present while all writers write, and again when they are done; return what then was another answer."""
    clock, done, readings = Clock(), threading.Event(), list[Reading]()

    def read_all(first: int) -> None:
        turn = first
        while not done.is_set():
            name, as_of = names[turn % len(names)], now_of(database)
            readings.append((as_of, name, read(as_of, name)))
            meanwhile()
            turn += 1

    with ThreadPoolExecutor(WRITERS + READERS) as pool:
        reading = [pool.submit(read_all, first) for first in range(READERS)]
        try:
            for writing in [pool.submit(write, database, clock, part) for part in plan]:
                writing.result()
        finally:
            done.set()
        for one in reading:
            one.result()
    assert len(readings) >= READERS
    return [f"{name} as of {as_of.isoformat()}" for as_of, name, seen in readings if read(as_of, name) != seen]
