"""Reading the ledgers as they were known at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from agent_sessions import token_of

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.exchange import BALANCE, FILL, QUOTE, Fill, Quote
from omc_pipeline.ledgers.glass import COIN_PRICE, CoinPrice, ProtocolTvl
from omc_pipeline.ledgers.human import Sentiment
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.table import BOOKKEEPING, Row
from omc_pipeline.ledgers.write import append

AT = datetime(2026, 9, 21, 14, tzinfo=UTC)


def _record(database: Database, *rows: Row, source: str = "venue") -> datetime:
    """Append rows, and answer a time after which they were known."""
    with database.connect("writer") as connection:
        with connection.transaction():
            append(connection, source, rows, "ab" * 32)
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


def _quote(symbol: str, minute: int, last: str, currency: str = "AUD") -> Quote:
    return Quote(symbol, currency, AT + timedelta(minutes=minute), Decimal(last), Decimal(last) + 1, None)


def _fill(fill_id: str, user_id: str, second: int) -> Fill:
    one = Decimal(1)
    return Fill(fill_id, user_id, "coinspot", "BTC", "AUD", "buy", one, one, one, Decimal(0), "AUD", AT + timedelta(seconds=second))


def _event(event_id: str, hour: int, symbol: str | None = "BTC", title: str = "8-K") -> CatalystEvent:
    return CatalystEvent(
        event_id, "filing", symbol, None, "Strategy", title, "8-K", None, "https://x", AT.date(), AT + timedelta(hours=hour)
    )


@pytest.fixture(scope="module")
def known(database: Database) -> dict[str, datetime]:
    """Record quotes and events in three steps, and answer when each was known."""
    first = _record(database, _quote("BTC", 0, "100"), _quote("BTC", 1, "101"), _quote("ETH", 0, "10"), _quote("ETH", 0, "7", "USDT"))
    second = _record(
        database, _quote("BTC", 1, "102"), _quote("BTC", 2, "103"), _event("a", 0), _event("b", 5, "ETH"), _event("c", 2, None)
    )
    third = _record(
        database, _event("a", 0, "SOL", "8-K/A"), _fill("x", "ada", 5), _fill("y", "ada", 1), _fill("w", "ada", 5), _fill("z", "bob", 0)
    )
    return {"first": first, "second": second, "third": third}


def test_a_reader_sees_the_latest_version_that_was_known_at_its_time(database: Database, known: dict[str, datetime]) -> None:
    then, now = LedgerReader(database.engine("reader"), known["first"]), LedgerReader(database.engine("reader"))

    assert [row["bid"] for row in then.rows(QUOTE, symbol="BTC")] == [101, 100]
    assert [row["bid"] for row in now.rows(QUOTE, symbol="BTC")] == [103, 102, 100]
    assert [row["version"] for row in now.rows(QUOTE, symbol="BTC")] == [1, 2, 1]


def test_nothing_is_seen_of_the_time_before_anything_was_known(database: Database, known: dict[str, datetime]) -> None:
    reader = LedgerReader(database.engine("reader"), known["first"] - timedelta(days=1))

    assert reader.rows(QUOTE) == reader.latest_quotes() == reader.events() == []
    assert reader.event("venue", "a") is None


def test_the_latest_quotes_are_one_a_symbol_and_currency_as_of_the_readers_time(database: Database, known: dict[str, datetime]) -> None:
    now, then = LedgerReader(database.engine("reader")), LedgerReader(database.engine("reader"), known["first"])

    assert [(row["symbol"], row["bid"]) for row in now.latest_quotes()] == [("BTC", 103), ("ETH", 10)]
    assert [(row["symbol"], row["bid"]) for row in then.latest_quotes()] == [("BTC", 101), ("ETH", 10)]
    assert [row["bid"] for row in now.latest_quotes(["ETH"], currency="USDT")] == [7]
    assert now.latest_quotes([]) == []


def test_numbers_are_decimals_times_are_aware_and_bookkeeping_is_there(database: Database, known: dict[str, datetime]) -> None:
    (row,) = LedgerReader(database.engine("reader")).rows(QUOTE, symbol="ETH", currency="AUD")

    assert isinstance(row["bid"], Decimal)
    assert row["last"] is None
    assert row["observed_at"] == AT
    assert row["recorded_at"].tzinfo is not None
    assert set(row) == {*QUOTE.fields, *BOOKKEEPING}


def test_a_filter_never_brings_back_a_version_that_has_been_superseded(database: Database, known: dict[str, datetime]) -> None:
    now, then = LedgerReader(database.engine("reader")), LedgerReader(database.engine("reader"), known["second"])

    assert [row["event_id"] for row in now.events(symbol="BTC")] == []
    assert [row["event_id"] for row in then.events(symbol="BTC")] == ["a"]
    assert [row["title"] for row in now.events(symbol="SOL")] == ["8-K/A"]


def test_events_come_newest_first_within_their_limit_and_since(database: Database, known: dict[str, datetime]) -> None:
    reader = LedgerReader(database.engine("reader"))

    assert [row["event_id"] for row in reader.events()] == ["b", "c", "a"]
    assert [row["event_id"] for row in reader.events(limit=1)] == ["b"]
    assert [row["event_id"] for row in reader.events(since=AT + timedelta(hours=2))] == ["b", "c"]
    assert [row["event_id"] for row in reader.events(event_type="vote")] == []
    assert (reader.event("venue", "c") or {})["symbol"] is None


def test_since_is_included_and_until_is_not(database: Database, known: dict[str, datetime]) -> None:
    rows = LedgerReader(database.engine("reader")).rows(QUOTE, since=AT, until=AT + timedelta(minutes=2), newest_first=False, symbol="BTC")

    assert [row["observed_at"].minute for row in rows] == [0, 1]


def test_a_list_means_any_of_its_values_and_none_means_null(database: Database, known: dict[str, datetime]) -> None:
    reader = LedgerReader(database.engine("reader"))

    assert len(reader.rows(QUOTE, symbol=["BTC", "ETH"], currency="AUD")) == 4
    assert len(reader.rows(QUOTE, last=None)) == 5


def test_a_column_that_does_not_exist_is_refused_before_it_reaches_sql(database: Database) -> None:
    with pytest.raises(BadInputError, match="no column 'bid; DROP'"):
        LedgerReader(database.engine("reader")).rows(QUOTE, **{"bid; DROP": 1})
    with pytest.raises(BadInputError, match="has no series"):
        LedgerReader(database.engine("reader")).latest(FILL)
    with pytest.raises(BadInputError, match="zone"):
        LedgerReader(database.engine("reader"), datetime(2026, 1, 1))  # noqa: DTZ001 that is the point


def test_fills_come_in_their_total_order(database: Database, known: dict[str, datetime]) -> None:
    fills = LedgerReader(database.engine("reader")).fills("ada")

    assert [row["fill_id"] for row in fills] == ["y", "w", "x"]


def test_the_agent_sees_the_rows_of_its_sessions_user_and_no_others(database: Database, known: dict[str, datetime]) -> None:
    engine = database.engine("agent")
    of_ada, of_bob = token_of(database, "ada"), token_of(database, "bob")

    assert {row["fill_id"] for row in LedgerReader(engine, user_id="ada", session_token=of_ada).rows(FILL)} == {"x", "y", "w"}
    assert LedgerReader(engine, user_id="bob", session_token=of_bob).fills("bob")[0]["fill_id"] == "z"
    assert LedgerReader(engine, user_id="bob", session_token=of_ada).fills("bob") == []
    assert LedgerReader(engine, user_id="ada").rows(FILL) == []
    assert LedgerReader(engine, user_id="ada", session_token=of_ada).rows(BALANCE) == []
    with pytest.raises(BadInputError, match="bound to user 'ada'"):
        LedgerReader(engine, user_id="ada", session_token=of_ada).fills("bob")


def test_the_binding_to_a_session_ends_with_its_transaction(database: Database, known: dict[str, datetime]) -> None:
    engine = database.engine("agent")

    assert LedgerReader(engine, session_token=token_of(database, "ada")).rows(FILL)
    assert LedgerReader(engine).rows(FILL) == []


def test_a_reader_bound_to_a_user_sees_only_that_user_also_where_no_row_security_holds_it(
    database: Database, known: dict[str, datetime]
) -> None:
    reader = LedgerReader(database.engine("reader"), user_id="bob")

    assert [row["fill_id"] for row in reader.rows(FILL)] == ["z"]
    assert len(reader.rows(QUOTE)) == 5


def test_the_named_readers_of_glass_and_human_answer_theirs(database: Database) -> None:
    tvl = [
        ProtocolTvl(name, AT + timedelta(days=day), None, name, None, Decimal(day + 1), None)
        for name in ("lido", "aave")
        for day in range(3)
    ]
    scores = [Sentiment("MARKET", "fear_greed", AT + timedelta(days=day), Decimal(50 + day), None) for day in range(3)]
    _record(database, *tvl, *scores, CoinPrice("BTC", AT, Decimal(1), None), CoinPrice("BTC", AT + timedelta(hours=1), Decimal(2), None))
    reader = LedgerReader(database.engine("reader"))

    assert [row["tvl_usd"] for row in reader.protocol_tvl("lido", limit=2)] == [3, 2]
    assert len(reader.protocol_tvl(since=AT + timedelta(days=2))) == 2
    assert [row["score"] for row in reader.sentiment(limit=1)] == [52]
    assert reader.sentiment(symbol="BTC") == reader.sentiment(source="nobody") == reader.protocol_fees() == []
    assert [row["price_usd"] for row in reader.latest_prices_usd()] == [2]
    assert len(reader.rows(COIN_PRICE, limit=1)) == 1
