"""Symbols that were stored before the registry of assets are renamed, and nothing is counted twice or lost by it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from omc_infra.payload import Payload
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import _script, migrate, migration_folders
from omc_infra.settings import Settings
from omc_pipeline import ledgers
from omc_pipeline.assets.reading import registry_with, shipped
from omc_pipeline.assets.section import AssetsConfig
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.ledgers import catalyst, exchange, glass, human
from omc_pipeline.ledgers.exchange import BALANCE, FILL, QUOTE, Balance, Fill, Quote
from omc_pipeline.ledgers.glass import MARKET_CANDLE, MarketCandle
from omc_pipeline.ledgers.identity import digest_fill_id, with_digest_ids
from omc_pipeline.ledgers.renamed_tables import mapped_name, named_tables, planned, rename_all
from omc_pipeline.ledgers.table import LedgerTable, Row, row_digest
from omc_pipeline.ledgers.write import append
from omc_pipeline.positions.changes import ledger_at
from omc_pipeline.positions.run import compute_positions
from omc_pipeline.sources.exchange_coinspot_account import SOURCE as ACCOUNT

pytestmark = pytest.mark.slow

BEFORE = "b8001"
T0 = datetime(2025, 5, 21, 13, 22, 45, tzinfo=UTC)
PRICES = "exchange_coinspot_prices"
ALL = named_tables((*glass.TABLES, *human.TABLES, *catalyst.TABLES, *exchange.TABLES))


def quote(symbol: str, minute: int = 0) -> Quote:
    return Quote(symbol, "AUD", T0 + timedelta(minutes=minute), Decimal("0.5"), Decimal("0.6"), None)


def candle(symbol: str) -> MarketCandle:
    one = Decimal(1)
    return MarketCandle("kraken", symbol, "AUD", "1d", T0, one, one, one, one, None, one, 1, is_final=True)


def trade(user: str, symbol: str, qty: int, day: int, side: str = "buy") -> Fill:
    amount = Decimal(qty)
    return Fill("", user, user, symbol, "AUD", side, amount, Decimal(2), 2 * amount, Decimal(1), "AUD", T0 + timedelta(days=day))


def order(fill: Fill, ticker: str) -> dict[str, Any]:
    return {
        "coin": ticker, "market": f"{ticker}/AUD", "rate": str(fill.price), "amount": str(fill.qty), "total": str(fill.quote_amount),
        "solddate": fill.executed_at.isoformat().replace("+00:00", "Z"), "audfeeExGst": "1", "audGst": "0",
    }  # fmt: skip


@pytest.fixture
def old(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Open a database as it was before the registry, and as current as that otherwise."""
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    named = settings.model_copy(update={"database_url": type(settings.database_url)(f"{url}_{abs(hash(request.node.name)) % 10**6}")})
    for each in _script(migration_folders()).iterate_revisions(BEFORE, "base"):
        shutil.copy(each.path, tmp_path)
    with open_database(named, check=False) as database:
        migrate(database, [tmp_path])
        yield database


def write(database: Database, source: str, rows: Sequence[Row]) -> None:
    """Append to a database of then, which has no months and keeps no newest quotes."""
    insertion = ledgers.write.insertion

    def of_then(table: LedgerTable, *, is_replay: bool) -> sql.Composed:
        return insertion(table, is_replay=is_replay, known=sql.Identifier(table.ledger, table.name))

    with pytest.MonkeyPatch.context() as patch, database.connect("writer") as connection:
        patch.setattr(ledgers.write, "make_months", lambda *_: None)
        patch.setattr(ledgers.write, "insertion", of_then)
        append(connection, source, rows, None)


def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.connect("owner") as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        return connection.execute(statement.encode()).fetchall()


def stored(database: Database, table: LedgerTable) -> list[tuple[Any, str]]:
    found = rows(database, f"SELECT {', '.join(table.fields)}, row_sha256 FROM {table.qualified} ORDER BY {table.clock}, symbol")
    return [(table.row(*row[:-1]), row[-1]) for row in found]


def latest_known(database: Database) -> datetime:
    ((known_at,),) = rows(database, "SELECT max(known_at) FROM pnl.run")
    assert isinstance(known_at, datetime)
    return known_at


def test_old_tickers_become_unique_symbols_and_the_digests_follow(old: Database) -> None:
    write(old, PRICES, [quote("MATIC"), quote("LUNA"), quote("BTC"), quote("ZZZ"), quote("MATIC", 1), quote("POL", 1)])
    write(old, ACCOUNT.name, [Balance("ada", "ada", "RNDR", T0, Decimal(5), None)])

    write(old, "glass_market_candles", [candle("MATIC"), candle("ZZZ")])

    migrate(old, without_backup=True)

    quotes = stored(old, QUOTE)
    assert [row.symbol for row, _ in quotes] == ["BTC", "COINSPOT:ZZZ", "LUNC", "POL", "COINSPOT:MATIC", "POL"]
    assert [row.symbol for row, _ in stored(old, MARKET_CANDLE)] == ["KRAKEN:ZZZ", "POL"]
    held = stored(old, BALANCE)
    assert [(row.symbol, row.qty) for row, _ in held] == [("RENDER", 5)]
    assert all(digest == row_digest(row) for row, digest in (*quotes, *held, *stored(old, MARKET_CANDLE)))


def test_a_renamed_fill_is_found_again_and_profit_and_loss_follows_it(old: Database) -> None:
    ada = with_digest_ids([trade("ada", "MATIC", 10, 0), trade("ada", "MATIC", 4, 1, "sell")])
    write(old, ACCOUNT.name, ada)
    before = compute_positions(old, "ada")

    migrate(old, without_backup=True)

    fills = stored(old, FILL)
    assert [(row.symbol, row.fill_id) for row, _ in fills] == [("POL", digest_fill_id(row)) for row, _ in fills]
    assert all(digest == row_digest(row) for row, digest in fills)
    after = compute_positions(old, "ada")
    assert (after.unchanged, after.run_id) == (True, before.run_id)
    with old.connect("reader") as connection:
        fills_known, digest = ledger_at(connection, "ada", latest_known(old))
    assert rows(old, "SELECT fills, input_sha256 FROM pnl.run") == [(fills_known, f"{digest:064x}")]
    names = rows(old, "SELECT p.symbol, m.sell_fill, m.lot_fill FROM pnl.live_match m JOIN pnl.position p USING (position_id)")
    assert names == [("POL", fills[1][0].fill_id, fills[0][0].fill_id)]
    body = {"status": "ok", "buyorders": [order(ada[0], "MATIC")], "sellorders": [order(ada[1], "POL")]}
    whose = {"user_id": "ada", "account_id": "ada"}
    again = ACCOUNT.parse(Payload(ACCOUNT.name, json.dumps(body).encode(), T0, "", context=whose), SourceConfig())
    with old.connect("writer") as connection:
        assert append(connection, ACCOUNT.name, again.rows, None)["exchange.fill"].unchanged == 2


def test_two_positions_that_become_one_are_computed_anew(old: Database) -> None:
    write(old, ACCOUNT.name, with_digest_ids([trade("eve", "MATIC", 10, 0), trade("eve", "POL", 6, 1), trade("eve", "POL", 9, 2, "sell")]))
    compute_positions(old, "eve", oversell_policy="zero_cost")

    migrate(old, without_backup=True)
    compute_positions(old, "eve", oversell_policy="zero_cost")

    assert rows(old, "SELECT symbol, qty FROM pnl.position WHERE trades > 0") == [("POL", 7)]
    assert rows(old, "SELECT symbol FROM pnl.exception WHERE cleared_at IS NULL") == []


def test_a_ticker_that_is_mapped_later_is_renamed_on_demand_and_a_fill_told_twice_counts_once(old: Database) -> None:
    migrate(old, without_backup=True)
    first = with_digest_ids([trade("bob", "COINSPOT:AUS", 3, 0)])
    write(old, ACCOUNT.name, [*first, Balance("bob", "bob", "COINSPOT:AUS", T0, Decimal(3), None)])
    write(old, PRICES, [quote("COINSPOT:AUS"), quote("COINSPOT:ZZZ")])
    write(old, ACCOUNT.name, with_digest_ids([trade("bob", "AUSC", 3, 0)]))  # collected between mapping and renaming
    config = AssetsConfig.model_validate({"own": {"AUSC": {"name": "Aus Cash"}}, "aliases": {"coinspot:AUS": "AUSC"}})
    registry = registry_with(config)

    def apply() -> dict[str, int]:
        with old.connect("owner") as connection, connection.transaction():
            plan = planned(connection, ALL, registry, mapped_name(registry))
            return rename_all(connection, ALL, plan)

    assert apply() == {"exchange.balance": 1, "exchange.fill": 1, "exchange.quote": 1}
    assert apply() == {}
    assert {row.symbol for row, _ in stored(old, QUOTE)} == {"AUSC", "COINSPOT:ZZZ"}
    compute_positions(old, "bob")
    assert rows(old, "SELECT symbol, qty FROM pnl.position WHERE trades > 0") == [("AUSC", 3)]
    assert all(digest == row_digest(row) for table in (QUOTE, BALANCE, FILL) for row, digest in stored(old, table))


def test_what_the_registry_knows_already_is_left_alone(old: Database) -> None:
    write(old, PRICES, [quote("BTC"), quote("BCH")])
    migrate(old, without_backup=True)

    with old.connect("owner") as connection:
        assert planned(connection, ALL, shipped(), mapped_name(shipped())) == {}
