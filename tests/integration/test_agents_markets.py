"""Where the market of an event's coin stands, from daily candles in the ledger to claims of a brief."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from agent_sessions import EDGAR, brief, session_of

from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.sessions.briefs import show_session
from omc_agents.tools.indicators import indicators
from omc_agents.tools.market import DailyCandle
from omc_agents.tools.toolbox import Toolbox
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.glass import MarketCandle
from omc_pipeline.ledgers.write import append

NOW = datetime.now(UTC).replace(microsecond=0)
TODAY = NOW.replace(hour=0, minute=0, second=0)
DAYS = 60


def candle(age: int, close: str, volume: str = "10", *, is_final: bool = True) -> MarketCandle:
    price = Decimal(close)
    return MarketCandle(
        "kraken", "BTC", "AUD", "1d", TODAY - timedelta(days=age), price, price, price, price, None, Decimal(volume), 5, is_final
    )


CLOSES = [str(100_000 + 700 * (n % 7) - 300 * (n % 5)) for n in range(DAYS)]


@pytest.fixture(scope="module", autouse=True)
def ledgers(database: Database) -> None:
    closed = [candle(DAYS - n, close) for n, close in enumerate(CLOSES)]
    closed[-1] = candle(1, "125000", "45")  # yesterday: far up, on four and a half times the volume
    event = CatalystEvent(
        "0001050446-26-000001", "filing", "BTC", "MSTR", "Acme Corp", "8-K", "8-K", "8.01", "https://www.sec.gov/a.htm", None,
        NOW - timedelta(minutes=5),
    )  # fmt: skip
    with database.connect("writer") as connection:
        append(connection, "glass_market_candles", [*closed, candle(0, "1", is_final=False)], None)
        append(connection, EDGAR, [event], None)
        connection.commit()


def test_a_brief_tells_where_the_market_stands_and_what_was_unusual(database: Database, settings: Settings) -> None:
    outcome = brief(database, settings, ScriptedAnalyst(), "0001050446-26-000001")

    shown = show_session(database, session_of(database, "0001050446-26-000001"))
    said = {claim["field"]: claim["text"] for claim in shown["claims"] if claim["kind"] == "indicator"}
    days = {(TODAY - timedelta(days=DAYS - n)).date(): DailyCandle(float(close), 10.0) for n, close in enumerate(CLOSES)}
    days[max(days)] = DailyCandle(125_000.0, 45.0)
    known = indicators(days)
    assert known is not None
    day = max(days).isoformat()
    assert outcome.outcome == "published"
    assert said["rsi_14"] == f"The 14-day RSI of BTC was {known.rsi_14:.1f}, at the close of {day} (kraken, AUD)."
    assert said["volume_ratio"] == (
        f"The day's volume of BTC was 4.50 times the median of the 30 days before, at the close of {day} (kraken, AUD)."
    )
    assert said["return_z"].startswith(f"The day's change of BTC of {known.return_pct:+.2f} % lay ")
    assert set(said) == {"rsi_14", "sma_50_pct", "return_z", "volume_ratio"}


def test_candles_that_were_learned_later_change_nothing(database: Database) -> None:
    engine = database.engine("reader")
    before = Toolbox(engine, datetime.now(UTC)).get_indicators("BTC")
    as_of = datetime.now(UTC)
    with database.connect("writer") as connection:
        append(connection, "glass_market_candles", [candle(1, "90000", "45")], None)
        connection.commit()

    assert Toolbox(engine, as_of).get_indicators("BTC") == before
    assert Toolbox(engine, datetime.now(UTC)).get_indicators("BTC") != before


def test_a_coin_without_a_market_has_none(database: Database) -> None:
    assert Toolbox(database.engine("reader"), datetime.now(UTC)).get_indicators("ETH") == []
