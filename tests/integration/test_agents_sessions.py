"""Sessions end to end on PostgreSQL: a brief from ledger rows, point in time, row-level security, one at a time, the call ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from agent_sessions import EDGAR, assigned, brief, opened, session_of, token_of
from sqlalchemy import text

from omc_agents.models.panel import Candidate, Panel
from omc_agents.models.protocol import Request, Response
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.sessions.briefs import briefs_since, show_session
from omc_agents.sessions.store import SessionStore
from omc_agents.workflow.batch import brief_batch
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.glass import CoinPrice, ProtocolTvl
from omc_pipeline.ledgers.human import WHOLE_MARKET, Sentiment
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append

NOW = datetime.now(UTC).replace(microsecond=0)


class CountingAnalyst(ScriptedAnalyst):
    """The scripted analyst, remembering how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def complete(self, request: Request) -> Response:
        self.asked += 1
        return super().complete(request)


def keep(database: Database, rows: Mapping[str, list[Row]]) -> None:
    with database.connect("writer") as connection:
        for source, of_source in rows.items():
            append(connection, source, of_source, None)
        connection.commit()


def quote(last: str, minutes_ago: int) -> Quote:
    return Quote("BTC", "AUD", NOW - timedelta(minutes=minutes_ago), Decimal(last) - 10, Decimal(last) + 10, Decimal(last))


def filing(
    event_id: str, *, title: str = "8-K Results of Operations (2.02)", minutes_ago: int = 1, symbol: str | None = "BTC"
) -> CatalystEvent:
    published = NOW - timedelta(minutes=minutes_ago)
    return CatalystEvent(
        event_id, "filing", symbol, "MSTR", "Strategy Inc", title, "8-K", "2.02", "https://example.invalid/f", None, published
    )


@pytest.fixture(scope="module", autouse=True)
def ledgers(database: Database) -> None:
    keep(
        database,
        {
            "exchange_coinspot_prices": [quote("150000", 1400), quote("151000", 700), quote("153000.5", 5)],
            "glass_defillama": [
                CoinPrice("BTC", NOW - timedelta(minutes=5), Decimal("100500.25"), Decimal("0.99")),
                ProtocolTvl("lido", NOW - timedelta(hours=1), "LDO", "Lido", "Liquid Staking", Decimal("30123456789.5"), None),
                ProtocolTvl("aave", NOW - timedelta(hours=1), "AAVE", "Aave", "Lending", Decimal("20123456789"), None),
            ],
            "human_fear_greed": [Sentiment(WHOLE_MARKET, "fear_greed", NOW - timedelta(hours=9), Decimal(41), "Fear")],
            EDGAR: [filing("0001050446-26-000001", minutes_ago=9000)],
        },
    )


@pytest.fixture
def announce(database: Database) -> Callable[..., str]:
    count = iter(range(100, 1000))

    def make(prefix: str, **fields: Any) -> str:
        event_id = f"000105{prefix}-26-000{next(count)}"
        keep(database, {EDGAR: [filing(event_id, **fields)]})
        return event_id

    return make


def test_an_event_gets_a_brief_whose_every_claim_is_borne_by_a_row(
    database: Database, settings: Settings, announce: Callable[..., str]
) -> None:
    event = announce("0001")

    outcome = brief(database, settings, ScriptedAnalyst(), event)

    assert outcome.outcome == "published", outcome.detail
    shown = show_session(database, event)
    assert [claim["kind"] for claim in shown["claims"]] == [
        "event_filed",
        "quote",
        "price_change",
        "price_usd",
        "sentiment",
        "related_event",
    ]
    rows = {row["ref"]: row["row"] for row in shown["rows"]}
    by_kind = {claim["kind"]: claim for claim in shown["claims"]}
    assert rows[by_kind["quote"]["ref"]]["last"] == by_kind["quote"]["value"] == "153000.5"
    assert by_kind["price_change"]["value"] == "2"
    assert by_kind["price_change"]["text"] == "BTC moved +2.00 % over 23.2 h, from 150,000.00 to 153,000.50 AUD."
    body = shown["brief"]["body"]
    assert body.startswith("**sandbox** · as of ")
    assert all(claim["ref"] in body for claim in shown["claims"])
    assert "Quality of the exchange ledger: not judged yet." in body
    assert "Strategy Inc" not in body


def test_briefs_are_listed_with_their_latency(database: Database, settings: Settings, announce: Callable[..., str]) -> None:
    before, event = datetime.now(UTC), announce("0002")
    brief(database, settings, ScriptedAnalyst(), event)

    (found,) = briefs_since(database, before)

    assert (found.event, found.session, found.claims, found.verified) == (event, session_of(database, event), 6, 6)
    assert 0 < found.latency_s < 60
    assert found.title.startswith("MSTR: form 8-K, ")


def test_an_event_without_a_coin_is_read_against_the_market(database: Database, settings: Settings, announce: Callable[..., str]) -> None:
    event = announce("0003", symbol=None)

    brief(database, settings, ScriptedAnalyst(), event)

    assert "BTC last traded at" in show_session(database, event)["brief"]["body"]


def test_a_second_look_at_a_briefed_event_asks_nobody_and_writes_nothing(
    database: Database, settings: Settings, announce: Callable[..., str]
) -> None:
    event, model = announce("0004"), CountingAnalyst()
    first = brief(database, settings, model, event)

    second = brief(database, settings, model, event)

    assert first == second
    assert model.asked == 2


def test_a_row_recorded_after_as_of_is_invisible(database: Database, settings: Settings, announce: Callable[..., str]) -> None:
    event = announce("0005")
    _, session = opened(database, event)
    keep(database, {"exchange_coinspot_prices": [quote("999999", 2)]})

    brief(database, settings, ScriptedAnalyst(), event)

    shown = show_session(database, event)
    assert shown["session"]["as_of"] == session.as_of
    assert "999,999" not in shown["brief"]["body"]
    assert "153,000.50" in shown["brief"]["body"]


def test_two_runs_of_one_event_at_the_same_time_give_one_brief(
    database: Database, settings: Settings, announce: Callable[..., str]
) -> None:
    event, asked, go = announce("0006"), threading.Event(), threading.Event()

    class SlowAnalyst(ScriptedAnalyst):
        def complete(self, request: Request) -> Response:
            asked.set()
            assert go.wait(20)
            return super().complete(request)

    first = threading.Thread(target=brief, args=(database, settings, SlowAnalyst(), event))
    first.start()
    assert asked.wait(20)

    second = brief(database, settings, ScriptedAnalyst(), event)
    go.set()
    first.join(20)

    assert second.outcome == "skipped"
    assert show_session(database, event)["session"]["status"] == "published"


def test_a_session_without_a_claim_that_stands_is_inconclusive(
    database: Database, settings: Settings, announce: Callable[..., str]
) -> None:
    class Liar(ScriptedAnalyst):
        def complete(self, request: Request) -> Response:
            answer = super().complete(request)
            return _reworded(answer, '"value": "', '"value": "9')

    event = announce("0007")

    outcome = brief(database, settings, Liar(), event)

    assert outcome.outcome == "inconclusive"
    assert "value is not the row's" in str(outcome.detail)
    assert show_session(database, event)["brief"] is None


def test_an_answer_that_is_no_json_of_the_schema_refuses_the_session(
    database: Database, settings: Settings, announce: Callable[..., str]
) -> None:
    class Chatty(ScriptedAnalyst):
        def complete(self, request: Request) -> Response:
            return _reworded(super().complete(request), "{", "Sure! {")

    outcome = brief(database, settings, Chatty(), announce("0008"))

    assert outcome.outcome == "refused"
    assert "not of the schema Extraction" in str(outcome.detail)


def test_a_session_fails_for_good_after_three_failures_of_its_own(
    database: Database, settings: Settings, announce: Callable[..., str]
) -> None:
    class Broken(ScriptedAnalyst):
        def complete(self, request: Request) -> Response:
            raise TimeoutError("no answer")

    event = announce("0009")

    outcomes = [brief(database, settings, Broken(), event).outcome for _ in range(4)]

    assert outcomes == ["retry", "retry", "failed", "failed"]
    assert show_session(database, event)["session"]["attempts"] == 3


def test_another_users_session_is_invisible_and_can_not_be_written(
    database: Database, settings: Settings, announce: Callable[..., str]
) -> None:
    event = announce("0010")
    brief(database, settings, ScriptedAnalyst(), event)
    stranger = SessionStore(database, "mallory", token_of(database, "mallory"))

    with stranger.transaction() as connection:
        seen = {
            table: connection.execute(text(f"SELECT count(*) FROM agents.{table}")).scalar_one()
            for table in ("evidence", "model_call", "brief", "claim", "checkpoints", "checkpoint_blobs", "checkpoint_writes")
        }

        sessions = connection.execute(text("SELECT DISTINCT user_id FROM agents.session")).scalars().all()

    assert set(seen.values()) == {0}
    assert sessions == ["mallory"]
    with pytest.raises(Exception, match="permission denied for table session"), stranger.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO agents.session (session_id, user_id, source, event_id, status, model, event_recorded_at, as_of)"
                " VALUES ('x', 'system', 's', 'e', 'queued', 'm', now(), now())"
            )
        )


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM catalyst.outbox", "UPDATE agents.brief SET body = ''", "SELECT * FROM raw.payload", "DELETE FROM agents.session"],
)
def test_the_agent_role_writes_nowhere_but_in_its_schema(statement: str, database: Database) -> None:
    with database.connect("agent") as connection:
        connection.execute("SET TRANSACTION READ WRITE")

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_a_users_orders_are_read_for_that_user_only(database: Database, announce: Callable[..., str]) -> None:
    from omc_agents.tools.toolbox import Toolbox

    for user in ("alice", "bob"):
        fill = Fill(
            f"fill-{user}", user, "main", "BTC", "AUD", "buy", Decimal("0.1"), Decimal(150000), Decimal(15000), Decimal(15), "AUD", NOW
        )
        keep(database, {"exchange_coinspot_account": [fill]})
    as_of = datetime.now(UTC) + timedelta(seconds=1)

    of_alice = Toolbox(database.engine("agent"), as_of, "alice", token_of(database, "alice")).get_order_history()

    assert [row.row["fill_id"] for row in of_alice] == ["fill-alice"]
    assert Toolbox(database.engine("agent"), as_of).get_order_history() == []


def test_a_low_score_and_old_prices_are_said_in_the_brief(database: Database, settings: Settings, announce: Callable[..., str]) -> None:
    with database.engine("writer").begin() as connection:
        connection.execute(
            text(
                "INSERT INTO quality.score"
                " (run_id, ledger, completeness_score, timeliness_score, accuracy_score, overall_score, mean_score)"
                " VALUES (gen_random_uuid(), 'exchange', 1, 0.2, 1, 0.2, 0.73)"
            )
        )
    keep(database, {"exchange_coinspot_prices": [Quote("ETH", "AUD", datetime.now(UTC) - timedelta(hours=5), None, None, Decimal(5000))]})
    event = announce("0011", symbol="ETH")

    brief(database, settings, ScriptedAnalyst(), event)

    body = show_session(database, event)["brief"]["body"]
    assert "Quality of the exchange ledger: 0.20, below 0.7: read its figures with care." in body
    assert "Price ledger stale: newest quote is 5.0 h old." in body


def test_the_checkpoint_tables_are_those_of_the_installed_library(database: Database) -> None:
    from omc_agents.workflow.graph import checkpoints, import_langgraph

    import_langgraph()
    with checkpoints(database, token_of(database, "system")) as saver, database.engine("reader").connect() as connection:
        held = connection.execute(text("SELECT max(v) FROM agents.checkpoint_migrations")).scalar_one()

        assert held == len(saver.MIGRATIONS) - 1


def test_checkpoints_hold_no_text_from_outside(database: Database, settings: Settings, announce: Callable[..., str]) -> None:
    event = announce("0012", title="canary-7f3a in a title")
    brief(database, settings, ScriptedAnalyst(), event)

    with database.engine("reader").connect() as connection:
        found = connection.execute(
            text(
                "SELECT (SELECT count(*) FROM agents.checkpoints WHERE checkpoint::text LIKE '%canary-7f3a%')"
                " + (SELECT count(*) FROM agents.checkpoint_blobs WHERE position('canary-7f3a'::bytea IN blob) > 0)"
                " + (SELECT count(*) FROM agents.checkpoint_writes WHERE position('canary-7f3a'::bytea IN blob) > 0)"
            )
        ).scalar_one()

    assert found == 0


def _reworded(answer: Response, old: str, new: str) -> Response:
    import dataclasses

    from omc_agents.models.protocol import Text

    return dataclasses.replace(answer, blocks=(Text(answer.text.replace(old, new)),))


@pytest.mark.slow
def test_sessions_of_a_batch_wait_for_a_provider_side_by_side(database: Database, settings: Settings, announce: Callable[..., str]) -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    class Slow(ScriptedAnalyst):
        def complete(self, request: Request) -> Response:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.3)
            with lock:
                at_once -= 1
            return super().complete(request)

    assignments = [assigned(database, announce(f"09{number:02}")) for number in range(6)]

    outcomes = brief_batch(database, settings, Panel((Candidate(Slow()),), sessions_at_once=3), uuid4(), assignments)

    assert [outcome.outcome for outcome in outcomes] == ["published"] * 6
    assert [outcome.session_id for outcome in outcomes] == [assignment.session_id for assignment in assignments]
    assert most == 3
