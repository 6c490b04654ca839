"""On a streaming replica, where the primary's locks can't be seen, a reader as of a time goes by the watermarks."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from omc_infra.errors import RetryableError
from omc_infra.postgres.account import choose_account
from omc_infra.postgres.binaries import installed_binaries
from omc_infra.postgres.database import Database
from omc_infra.postgres.folder import ServerFolder
from omc_pipeline.ledgers.glass import COIN_PRICE, CoinPrice
from omc_pipeline.ledgers.knowledge import advance_watermarks
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.write import append

pytestmark = pytest.mark.slow

AT = datetime(2026, 9, 21, 14, tzinfo=UTC)
READY_S = 30.0


def price(minute: int) -> CoinPrice:
    return CoinPrice("BTC", AT + timedelta(minutes=minute), Decimal(minute + 1), None)


@pytest.fixture(scope="module")
def replica(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Run a streaming replica of the session's server, and open the module's database there."""
    folder = ServerFolder.prepare(tmp_path_factory.mktemp("replica"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    copy_cluster(database, folder.data)
    for path in [folder.data, *folder.data.rglob("*")]:
        folder.claim(path)
    with standby(folder, port):
        logins = {role: dataclasses.replace(login, port=port) for role, login in database.logins.items()}
        opened = dataclasses.replace(database, address=dataclasses.replace(database.address, port=port), logins=logins)
        yield opened
        opened.close()


def copy_cluster(database: Database, data: Path) -> None:
    primary = database.address
    subprocess.run(
        [
            str(installed_binaries().program("pg_basebackup")), f"--pgdata={data}", "--write-recovery-conf",
            "--checkpoint=fast", "--no-sync",
            f"--dbname=postgresql://{primary.user}:{primary.password}@{primary.host}:{primary.port}/",
        ],
        check=True, capture_output=True, env={"PATH": os.defpath},
    )  # fmt: skip


@contextmanager
def standby(folder: ServerFolder, port: int) -> Iterator[None]:
    account = choose_account(folder, os.geteuid())
    program = installed_binaries().runnable_by(account, folder).program("postgres")
    options = ("-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200")
    process = subprocess.Popen(
        [*account.prefix, str(program), "-D", str(folder.data), *options],
        cwd=folder.path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        **account.popen_arguments(),
    )
    try:
        deadline = time.monotonic() + READY_S
        while psycopg.pq.PGconn.ping(f"host=127.0.0.1 port={port} connect_timeout=2".encode()) != psycopg.pq.Ping.OK:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # ends connections, where SIGTERM waits for them
        process.wait(timeout=READY_S)


def now_of(database: Database) -> datetime:
    with database.connect("reader") as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


def test_a_replica_answers_once_the_primary_has_closed_the_time(database: Database, replica: Database) -> None:
    with database.connect("writer") as connection:
        append(connection, "told", [price(0)], None)
        connection.commit()
    as_of = now_of(database)
    with pytest.raises(RetryableError, match="this replica isn't complete up to then"):
        LedgerReader(replica.engine("reader"), as_of, patience_s=0.2).rows(COIN_PRICE)

    with database.connect("writer") as connection:
        advance_watermarks(connection)
    rows = LedgerReader(replica.engine("reader"), as_of).rows(COIN_PRICE)

    assert rows == LedgerReader(database.engine("reader"), as_of).rows(COIN_PRICE)
    assert len(rows) == 1


def test_a_replica_gives_no_answer_that_changes_while_the_primary_writes(database: Database, replica: Database) -> None:
    done, readings = threading.Event(), list[tuple[datetime, list[dict[str, Any]]]]()

    def read() -> None:
        while not done.is_set():
            as_of = now_of(database)
            readings.append((as_of, LedgerReader(replica.engine("reader"), as_of).rows(COIN_PRICE, source="busy")))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    with database.connect("writer") as connection:
        for minute in range(80):
            append(connection, "busy", [price(minute)], None)
            time.sleep(0.01)  # between the stamp and the commit
            connection.commit()
        time.sleep(0.05)
        advance_watermarks(connection)
        done.set()
        while any(reader.is_alive() for reader in readers):
            advance_watermarks(connection)
            time.sleep(0.01)

    assert len(readings) > 20
    assert [
        as_of for as_of, seen in readings if LedgerReader(database.engine("reader"), as_of).rows(COIN_PRICE, source="busy") != seen
    ] == []
