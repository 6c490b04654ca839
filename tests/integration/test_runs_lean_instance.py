"""The instance of a run's process: few connections, and none that a restart of PostgreSQL would break for good."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dagster import DagsterInstance
from dagster._serdes import serialize_value

from omc_infra.postgres.database import Database
from omc_infra.runs.lean_instance import open_lean_instance

sys.path.insert(0, str(Path(__file__).parent))

from warm_home import warm_home


@pytest.fixture
def lean(tmp_path: Path, database: Database) -> Iterator[DagsterInstance]:
    with warm_home(tmp_path / "home", database) as home:
        ref = serialize_value(home.instance.get_ref())
    with open_lean_instance(ref) as instance:
        yield instance


@pytest.fixture
def admin(server_url: str, database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server_url.replace("{database}", database.name), autocommit=True) as connection:
        yield connection


def _backends(admin: psycopg.Connection) -> list[int]:
    found = admin.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
    return [pid for (pid,) in found]


def test_all_storages_of_a_lean_instance_share_one_connection(lean: DagsterInstance, admin: psycopg.Connection) -> None:
    before = set(_backends(admin))

    for _ in range(3):
        lean.get_runs()
        lean.event_log_storage.all_asset_keys()
        lean.all_instigator_state()

    assert len(set(_backends(admin)) - before) == 1


def test_a_connection_that_was_cut_while_it_rested_is_made_anew(lean: DagsterInstance, admin: psycopg.Connection) -> None:
    lean.get_runs()
    for pid in _backends(admin):
        admin.execute("SELECT pg_terminate_backend(%s)", [pid])

    time.sleep(1.2)

    assert lean.get_runs() == []
