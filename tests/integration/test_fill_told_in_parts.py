"""An order whose fee, rate or total a venue tells only later is one fill with two versions, in old homes too."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from omc_infra.payload import Payload
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import _script, migrate, migration_folders
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import add_account
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.tally import Tally
from omc_pipeline.ledgers.exchange import FILL, Fill
from omc_pipeline.ledgers.identity import digest_fill_id
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.table import number_text, row_digest
from omc_pipeline.positions import compute_positions, summary
from omc_pipeline.sources.exchange_coinspot_account import SOURCE

T0 = datetime(2026, 5, 21, 13, 22, 45, tzinfo=UTC)
ORDER = {
    "coin": "BTC", "type": "instant", "market": "BTC/AUD", "rate": "95000.5", "amount": "0.01", "total": "950.005",
    "solddate": "2026-05-21T13:22:45.000Z", "audfeeExGst": "8.63", "audGst": "0.86", "audtotal": 959.495,
}  # fmt: skip
KNOWN = Fill(
    "", "ada", "ada-coinspot", "BTC", "AUD", "buy", Decimal("0.01"), Decimal("95000.5"), Decimal("950.005"), Decimal("9.49"), "AUD", T0
)
BEFORE = "b1001b"
"""The last revision with ids over all facts."""


def answer(connection: psycopg.Connection[Any], minute: int, *orders: dict[str, Any], user: str = "ada") -> None:
    body = json.dumps({"status": "ok", "buyorders": orders, "sellorders": []}).encode()
    whose = {"user_id": user, "account_id": f"{user}-coinspot"}
    payload = Payload(SOURCE.name, body, T0 + timedelta(days=1, minutes=minute), "u", context=whose)
    PostgresRawStore(connection).store(payload, etag=None, last_modified=None)
    assert Tally(SOURCE).take(connection, payload, SourceConfig())


@pytest.mark.parametrize("name", ["audfeeExGst", "audGst", "rate", "total"])
def test_an_order_that_lacks_a_field_first_is_one_fill_of_two_versions(database: Database, name: str) -> None:
    user = f"u-{name.lower()}"
    with database.connect("writer") as connection:
        add_account(connection, user, "coinspot", SOURCE.name)
        answer(connection, 0, ORDER | {name: None}, user=user)
        answer(connection, 1, ORDER, user=user)
        answer(connection, 2, ORDER, user=user)

    found = LedgerReader(database.engine("reader"), user_id=user).fills(user)
    assert [(row["version"], row["price"], row["quote_amount"], row["fee"]) for row in found] == [
        (2, KNOWN.price, KNOWN.quote_amount, KNOWN.fee)
    ]
    compute_positions(database, user)
    assert summary(database, user).cost == Decimal("959.495")


def _old_id(fill: Fill, place: int = 0) -> str:
    """Compute the id over all facts that a fill had before."""
    numbers = ["" if value is None else number_text(value) for value in (fill.qty, fill.price, fill.quote_amount, fill.fee)]
    facts = [fill.account_id, fill.kind, fill.side, fill.symbol, fill.currency, *numbers, fill.fee_currency]
    digest = hashlib.sha256("\x1f".join([*facts, fill.executed_at.isoformat(timespec="microseconds")]).encode()).hexdigest()
    return "d-" + hashlib.sha256(f"{digest}#{place}".encode()).hexdigest()[:32]


@pytest.fixture
def old(settings: Settings, tmp_path: Path) -> Iterator[Database]:
    """Open a database of the revision before."""
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    named = settings.model_copy(update={"database_url": type(settings.database_url)(f"{url}_old")})
    for each in _script(migration_folders()).iterate_revisions(BEFORE, "base"):
        shutil.copy(each.path, tmp_path)
    with open_database(named, check=False) as database:
        migrate(database, [tmp_path])
        yield database


def test_fills_of_an_old_home_get_the_ids_that_a_new_collection_gives_and_what_names_them_follows(old: Database) -> None:
    unknown, other = replace(KNOWN, fee=None), replace(KNOWN, qty=Decimal("0.0200"), executed_at=T0 + timedelta(microseconds=120_000))
    given = [(one, _old_id(one), payload) for one, payload in ((unknown, "a"), (KNOWN, "b"), (other, "b"), (other, "b"))]
    given[3] = (other, _old_id(other, 1), "b")
    with old.connect("owner") as connection:
        add_account(connection, "ada", "coinspot", SOURCE.name)
        for fill, fill_id, payload in given:
            named = replace(fill, fill_id=fill_id)
            connection.execute(
                f"INSERT INTO exchange.fill ({', '.join(FILL.fields)}, source, version, payload_sha256, row_sha256)"
                f" VALUES ({', '.join(['%s'] * (len(FILL.fields) + 4))})",
                [*(getattr(named, name) for name in FILL.fields), SOURCE.name, 1, payload, row_digest(named)],
            )
    compute_positions(old, "ada")
    cost = summary(old, "ada").cost

    migrate(old, without_backup=True)

    with old.connect("owner") as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        rows = connection.execute(f"SELECT {', '.join(FILL.fields)}, row_sha256 FROM exchange.fill").fetchall()
        aliases = dict(connection.execute("SELECT alias_id, fill_id FROM exchange.fill_alias").fetchall())
        pair = connection.execute("SELECT fill_id, duplicate_fill_id, state FROM exchange.fill_pair").fetchall()
        lots = connection.execute("SELECT lot_fill FROM pnl.lot").fetchall()
        runs = connection.execute("SELECT input_sha256, rules FROM pnl.run").fetchall()
    ids = [digest_fill_id(KNOWN, 1), digest_fill_id(KNOWN), digest_fill_id(other), digest_fill_id(other, 1)]
    assert [aliases[was] for _, was, _ in given[:2]] == ids[:2]
    assert {aliases[was] for _, was, _ in given[2:]} == set(ids[2:])
    assert all(row_digest(Fill(*row[:-1])) == row[-1] for row in rows)
    assert {row[0] for row in rows} == {lot for (lot,) in lots} == set(ids)
    assert pair == [(ids[1], ids[0], "proposed")]
    assert runs == [(f"{sum(int(row[-1], 16) for row in rows) % (1 << 256):064x}", 0)]
    with old.connect("writer") as connection:
        answer(connection, 0, ORDER, *[ORDER | {"amount": "0.02", "solddate": "2026-05-21T13:22:45.120Z"}] * 2)
        count = connection.execute("SELECT count(*), max(version) FROM exchange.fill").fetchone()
    assert count == (4, 1)
    compute_positions(old, "ada")
    assert summary(old, "ada").cost == cost
