"""A database of the first release gets canonical fill ids: nothing is counted twice afterwards, and profit and loss follows."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard

from omc_infra.payload import Payload
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import _script, migrate, migration_folders, revision
from omc_infra.settings import Settings
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.ledgers.exchange import BALANCE, FILL, Balance, Fill
from omc_pipeline.ledgers.identity import digest_fill_id
from omc_pipeline.ledgers.table import number_text, row_digest
from omc_pipeline.ledgers.write import append
from omc_pipeline.sources.exchange_coinspot_account import SOURCE

NAMES = ("coin", "type", "otc", "market", "rate", "amount", "total", "solddate", "audfeeExGst", "audGst", "audtotal")
T0 = datetime(2026, 5, 21, 13, 22, 45, tzinfo=UTC)
FIRST, SECOND, GONE = T0 + timedelta(days=1), T0 + timedelta(days=2), T0 + timedelta(days=3)
MODULUS = 1 << 256
FIRST_RELEASE = "m0003"


def order(minute: int = 0, **changes: Any) -> dict[str, Any]:
    sold = (T0 + timedelta(minutes=minute)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fee = {"audfeeExGst": "8.63", "audGst": "0.86", "audtotal": 950.01}
    return {"coin": "BTC", "type": "instant", "market": "BTC/AUD", "rate": "95000.5", "amount": "0.01", "total": "950.005"} | {
        "solddate": sold, **fee, **changes
    }  # fmt: skip


def old_id(details: Mapping[str, Any], user: str, occurrence: int = 0) -> str:
    """Compute the id that the first release gave."""

    def canonical(value: Any) -> str:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return number_text(Decimal(str(value)))
        return "" if value is None else str(value).strip()

    facts = [user, "coinspot", "buy", *(canonical(details.get(name)) for name in NAMES)]
    digest = hashlib.sha256("\x1f".join(facts).encode()).hexdigest()
    return "cs-" + hashlib.sha256(f"{digest}#{occurrence}".encode()).hexdigest()[:32]


def fill_of(details: Mapping[str, Any], user: str, fill_id: str) -> Fill:
    qty, price, total = (Decimal(str(details[name])) for name in ("amount", "rate", "total"))
    fee = Decimal(str(details["audfeeExGst"])) + Decimal(str(details["audGst"]))
    return Fill(fill_id, user, "coinspot", "BTC", "AUD", "buy", qty, price, total, fee, "AUD", datetime.fromisoformat(details["solddate"]))


class FirstRelease:
    """Writes what the first release wrote."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def answer(self, user: str, orders: list[dict[str, Any]], at: datetime, *, is_kept: bool = True) -> str:
        """Store an answer and its fetch; return its digest."""
        body = json.dumps({"status": "ok", "message": "ok", "buyorders": orders, "sellorders": []}).encode()
        sha256 = hashlib.sha256(body).hexdigest()
        packed = zstandard.ZstdCompressor().compress(body) if is_kept else None
        self.connection.execute(
            "INSERT INTO raw.payload (sha256, body, size_bytes, media_type, first_seen_at) VALUES (%s, %b, %s, 'application/json', %s)"
            " ON CONFLICT DO NOTHING",
            [sha256, packed, len(body), at],
        )
        self.connection.execute(
            "INSERT INTO raw.fetch (source, url, status, payload_sha256, context, fetched_at) VALUES (%s, %s, 200, %s, %s, %s)",
            [SOURCE.name, user, sha256, json.dumps({"user_id": user, "account_id": "coinspot"}), at],
        )
        return sha256

    def row(self, row: Fill | Balance, at: datetime, payload: str | None = None, source: str = SOURCE.name, version: int = 1) -> str:
        """Store a row; return its digest."""
        table, digest = row.table, row_digest(row)
        values = [getattr(row, name) for name in table.fields]
        marks = ", ".join(["%s"] * (len(values) + 5))
        self.connection.execute(
            f"INSERT INTO {table.qualified} ({', '.join(table.fields)}, source, version, recorded_at, payload_sha256, row_sha256)"
            f" VALUES ({marks})",
            [*values, source, version, at, payload, digest],
        )
        return digest

    def positions(self, user: str, lot: str, sell: str, known_at: datetime, digests: list[str]) -> None:
        """Store a run with a lot, its match and what else names a fill."""
        execute, bound = self.connection.execute, {"user": user, "lot": lot, "sell": sell, "known": known_at, "at": T0}
        bound["digest"] = f"{sum(int(digest, 16) for digest in digests) % MODULUS:064x}"
        execute(
            "INSERT INTO pnl.run (user_id, method, fee_policy, oversell_policy, lot_policy, currency, rules, input_sha256, fills, known_at,"
            " positions, matches) VALUES (%(user)s, 'fifo', 'capitalise', 'exclude', 'account', 'AUD', 2, %(digest)s, 1, %(known)s, 1, 1)",
            bound,
        )
        execute(
            "INSERT INTO pnl.lot VALUES (%(place)s, %(at)s, %(lot)s, %(user)s, 'coinspot', NULL, 'coinspot', 0, %(at)s, 1, 1, 1, 1, 1)",
            bound | {"place": sum(map(ord, user))},
        )
        execute(
            "INSERT INTO pnl.lot_match VALUES (%(place)s, 1, 1, %(user)s, 'coinspot', %(sell)s, %(lot)s, 1, 1, 1, %(at)s, %(at)s)",
            bound | {"place": sum(map(ord, user)), "sell": f"{sell}:fee", "lot": f"{lot}@{sell}"},
        )
        execute("INSERT INTO pnl.rate_use VALUES (%(source)s, %(lot)s, 1, 'ETH', 'AUD', %(user)s, 1, 'r')", bound | {"source": SOURCE.name})
        execute(
            "INSERT INTO pnl.exception (user_id, method, run_id, kind, symbol, fill_id, message)"
            " VALUES (%(user)s, 'fifo', 1, 'oversell', 'BTC', %(sell)s, %(message)s)",
            bound | {"message": f"fill '{sell}' sells more than was held"},
        )


def revisions_up_to(last: str, folder: Path) -> Path:
    """Copy a revision and those before it into a folder, and return it."""
    for each in _script(migration_folders()).iterate_revisions(last, "base"):
        shutil.copy(each.path, folder)
    return folder


@pytest.fixture
def old(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Database, Settings]]:
    """Open a database as the first release left it."""
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    named = settings.model_copy(update={"database_url": type(settings.database_url)(f"{url}_{abs(hash(request.node.name)) % 10**6}")})
    with open_database(named, check=False) as database:
        migrate(database, [revisions_up_to(FIRST_RELEASE, tmp_path)])
        yield database, named


def rows(database: Database, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with database.connect("owner") as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        return connection.execute(statement, values or None).fetchall()


def given(database: Database, write: Callable[[FirstRelease], Any]) -> Any:
    with database.connect("owner") as connection:
        return write(FirstRelease(connection))


def fills(database: Database) -> list[tuple[Fill, str]]:
    found = rows(database, f"SELECT {', '.join(FILL.fields)}, row_sha256 FROM exchange.fill ORDER BY executed_at, fill_id, version")
    return [(Fill(*row[:-1]), row[-1]) for row in found]


def added_by_replay(database: Database, user: str, account: str, orders: list[dict[str, Any]]) -> int:
    body = json.dumps({"status": "ok", "buyorders": orders, "sellorders": []}).encode()
    parsed = SOURCE.parse(Payload(SOURCE.name, body, GONE, "u", context={"user_id": user, "account_id": account}), SourceConfig())
    with database.connect("writer") as connection:
        did = append(connection, SOURCE.name, parsed.rows, None)["exchange.fill"]
    return did.inserted + did.changed


def test_a_fill_that_is_collected_again_is_the_stored_one_however_it_is_written(old: tuple[Database, Settings]) -> None:
    database, _ = old
    details, later = order(), order(7, rate=95000.5, solddate="2026-05-21T13:29:45.120Z")

    def write(release: FirstRelease) -> None:
        payload = release.answer("ada", [details, later], FIRST)
        for one in (details, later):
            release.row(fill_of(one, "ada", old_id(one, "ada")), FIRST, payload)

    given(database, write)
    migrate(database, without_backup=True)

    for fill, digest in fills(database):
        assert fill.fill_id == digest_fill_id(fill)
        assert digest == row_digest(fill)
    respelled = details | {"rate": 95000.50, "market": "btc/aud", "coin": "btc", "solddate": int(T0.timestamp() * 1000), "type": "Instant"}
    assert added_by_replay(database, "ada", "coinspot", [respelled, later]) == 0
    aliases = rows(database, "SELECT alias_id, fill_id FROM exchange.fill_alias WHERE alias_id LIKE 'cs-%' ORDER BY alias_id")
    assert aliases == sorted((old_id(one, "ada"), digest_fill_id(fill_of(one, "ada", ""))) for one in (details, later))


def test_equal_orders_of_one_answer_stay_two_fills(old: tuple[Database, Settings]) -> None:
    database, _ = old

    def write(release: FirstRelease) -> None:
        payload = release.answer("ada", [order(), order()], FIRST)
        for place in (0, 1):
            release.row(fill_of(order(), "ada", old_id(order(), "ada", place)), FIRST, payload)

    given(database, write)
    migrate(database, without_backup=True)

    assert sorted(fill.fill_id for fill, _ in fills(database)) == sorted(digest_fill_id(fill_of(order(), "ada", ""), n) for n in (0, 1))
    assert rows(database, "SELECT count(*) FROM exchange.fill_pair") == [(0,)]
    assert added_by_replay(database, "ada", "coinspot", [order(), order()]) == 0


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_fill_that_a_later_answer_spelled_otherwise_is_paired_or_where_the_answer_is_gone_proposed(
    old: tuple[Database, Settings], is_kept: bool
) -> None:
    database, _ = old
    respelled = order(rate="95000.50", type="Instant")

    def write(release: FirstRelease) -> None:
        first = release.answer("ada", [order()], FIRST)
        second = release.answer("ada", [respelled], SECOND, is_kept=is_kept)
        release.row(fill_of(order(), "ada", old_id(order(), "ada")), FIRST, first)
        release.row(fill_of(respelled, "ada", old_id(respelled, "ada")), SECOND, second)

    given(database, write)
    migrate(database, without_backup=True)

    fill = fill_of(order(), "ada", "")
    repeated = old_id(respelled, "ada") if is_kept else digest_fill_id(fill, 1)
    state = "duplicate" if is_kept else "proposed"
    assert rows(database, "SELECT fill_id, duplicate_fill_id, state FROM exchange.fill_pair") == [(digest_fill_id(fill), repeated, state)]
    assert len(fills(database)) == 2
    assert added_by_replay(database, "ada", "coinspot", [order()]) == 0


def test_a_twin_that_only_a_later_answer_listed_is_a_fill_of_its_own(old: tuple[Database, Settings]) -> None:
    database, _ = old

    def write(release: FirstRelease) -> None:
        first, second = release.answer("ada", [order()], FIRST), release.answer("ada", [order(), order()], SECOND)
        release.row(fill_of(order(), "ada", old_id(order(), "ada")), FIRST, first)
        release.row(fill_of(order(), "ada", old_id(order(), "ada", 1)), SECOND, second)

    given(database, write)
    migrate(database, without_backup=True)

    assert sorted(fill.fill_id for fill, _ in fills(database)) == sorted(digest_fill_id(fill_of(order(), "ada", ""), n) for n in (0, 1))
    assert rows(database, "SELECT count(*) FROM exchange.fill_pair") == [(0,)]


def test_two_users_whose_accounts_bore_one_name_get_accounts_of_their_own(
    old: tuple[Database, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, _ = old
    monkeypatch.setenv("OMC_USER", "bob")

    def write(release: FirstRelease) -> None:
        for user in ("ada", "bob"):
            payload = release.answer(user, [order()], FIRST)
            release.row(fill_of(order(), user, old_id(order(), user)), FIRST, payload)
            release.row(Balance(user, "coinspot", "BTC", FIRST, Decimal("0.01"), None), FIRST, payload)
            release.positions(user, old_id(order(), user), old_id(order(), user), FIRST, [])

    given(database, write)
    migrate(database, without_backup=True)

    owners = rows(database, "SELECT account_id, user_id, venue, source FROM exchange.account ORDER BY 1")
    assert owners == [("ada-coinspot", "ada", "coinspot", SOURCE.name), ("coinspot", "bob", "coinspot", SOURCE.name)]
    for table in ("exchange.fill", "exchange.balance", "pnl.lot", "pnl.lot_match", "pnl.rate_use"):
        found = rows(database, f"SELECT DISTINCT user_id, account_id FROM {table} ORDER BY 1")
        assert found == [("ada", "ada-coinspot"), ("bob", "coinspot")]
    assert rows(database, "SELECT context ->> 'account_id' FROM raw.fetch WHERE context ->> 'user_id' = 'ada'") == [("ada-coinspot",)]
    held = rows(database, f"SELECT {', '.join(BALANCE.fields)}, row_sha256 FROM exchange.balance")
    assert all(row_digest(Balance(*row[:-1])) == row[-1] for row in held)
    assert added_by_replay(database, "ada", "ada-coinspot", [order()]) == 0
    assert rows(database, "SELECT DISTINCT queue FROM pnl.lot WHERE user_id = 'ada'") == [("ada-coinspot",)]


def test_profit_and_loss_names_the_fills_by_their_new_ids_and_its_runs_know_their_new_digests(old: tuple[Database, Settings]) -> None:
    database, _ = old
    bought, sold = order(), order(5)

    def write(release: FirstRelease) -> None:
        payload = release.answer("ada", [bought, sold], FIRST)
        digests = [release.row(fill_of(one, "ada", old_id(one, "ada")), FIRST, payload) for one in (bought, sold)]
        corrected = replace(fill_of(sold, "ada", old_id(sold, "ada")), algorithm_id="dip")
        later = release.row(corrected, SECOND, payload, version=2)
        release.positions("ada", old_id(bought, "ada"), old_id(sold, "ada"), FIRST, digests)
        release.positions("ada2", "x", "y", SECOND, [digests[0], later])
        release.connection.execute("UPDATE pnl.run SET user_id = 'ada' WHERE user_id = 'ada2'")

    given(database, write)
    migrate(database, without_backup=True)

    found = fills(database)
    lot, sell = found[0][0].fill_id, found[1][0].fill_id
    assert {fill.fill_id for fill, _ in found} == {lot, sell}
    assert rows(database, "SELECT lot_fill FROM pnl.lot WHERE user_id = 'ada'") == [(lot,)]
    assert rows(database, "SELECT sell_fill, lot_fill FROM pnl.lot_match WHERE user_id = 'ada'") == [(f"{sell}:fee", f"{lot}@{sell}")]
    assert rows(database, "SELECT account_id, fill_id FROM pnl.rate_use WHERE user_id = 'ada'") == [("coinspot", lot)]
    assert rows(database, "SELECT fill_id, message FROM pnl.exception WHERE user_id = 'ada'") == [
        (sell, f"fill '{sell}' sells more than was held")
    ]
    sums = [digest for (digest,) in rows(database, "SELECT input_sha256 FROM pnl.run ORDER BY known_at")]
    known = [[found[0][1], found[1][1]], [found[0][1], found[2][1]]]
    assert sums == [f"{sum(int(digest, 16) for digest in digests) % MODULUS:064x}" for digests in known]


def test_a_fill_that_two_sources_told_by_one_id_is_counted_once(old: tuple[Database, Settings]) -> None:
    database, _ = old
    details = fill_of(order(), "ada", "t-1")

    def write(release: FirstRelease) -> None:
        release.row(details, FIRST, None)
        release.row(details, SECOND, None, source="file")

    given(database, write)
    migrate(database, without_backup=True)

    assert rows(database, "SELECT source, fill_id FROM exchange.fill ORDER BY 2") == [("file", "file:t-1"), (SOURCE.name, "t-1")]
    assert rows(database, "SELECT fill_id, duplicate_fill_id, state FROM exchange.fill_pair") == [("t-1", "file:t-1", "duplicate")]


def test_a_migration_that_is_killed_leaves_everything_as_it_was_and_runs_again(old: tuple[Database, Settings], tmp_path: Path) -> None:
    database, settings = old

    def write(release: FirstRelease) -> None:
        payload = release.answer("ada", [order()], FIRST)
        digest = release.row(fill_of(order(), "ada", old_id(order(), "ada")), FIRST, payload)
        release.positions("ada", old_id(order(), "ada"), old_id(order(), "ada"), FIRST, [digest])

    given(database, write)
    migrate(database, [revisions_up_to("j0006", tmp_path)], without_backup=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")} | settings.environ()
    command = [sys.executable, "-c", "from omc_infra.cli import main; main()", "db", "migrate", "--without-backup"]
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'pnl.exception'::regclass"
    with database.connect("owner") as connection:
        connection.execute("LOCK TABLE pnl.exception IN ACCESS EXCLUSIVE MODE")
        migrating = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while rows(database, waiting) == [(0,)] and time.monotonic() < deadline:
            assert migrating.poll() is None, migrating.communicate()
            time.sleep(0.05)
        migrating.send_signal(signal.SIGKILL)
        migrating.wait()

    assert revision(database) == "j0006"
    assert [fill.fill_id for fill, _ in fills(database)] == [old_id(order(), "ada")]

    assert "j0006b" in migrate(database, without_backup=True)
    assert [fill.fill_id for fill, _ in fills(database)] == [digest_fill_id(fill_of(order(), "ada", ""))]
