"""A Dagster instance for a process that executes one run: one connection, and no question asked twice.

As it comes, Dagster's PostgreSQL storage looks for its tables at each opening, connects anew for each statement, and reads the
catalog's description of its own tables at each status change: about a hundred connections in a run of two steps, half of its
CPU time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from dagster._core.instance.ref import InstanceRef
    from sqlalchemy import Engine
    from sqlalchemy.pool import ConnectionPoolEntry

_MOST_CONNECTIONS = 10
_REST_S = 1.0
_SCHEMA_QUESTIONS = ("has_run_stats_index_cols", "has_table", "has_asset_key_index_cols", "_has_asset_key_index_cols_on_connection")


def open_lean_instance(serialized_ref: str) -> DagsterInstance:
    """Open the instance of a serialized reference; a context manager. Its tables must exist.

    An instance that is not stored in PostgreSQL is opened as it is.
    """
    from dagster import DagsterInstance
    from dagster._core.instance.ref import InstanceRef
    from dagster._serdes import deserialize_value

    ref = deserialize_value(serialized_ref, InstanceRef)
    if ref.storage_data is None or ref.storage_data.class_name != "DagsterPostgresStorage":
        return DagsterInstance.from_ref(ref)
    instance = DagsterInstance.from_ref(_with_tables_in_place(ref))
    make_sparing(instance)
    return instance


def _with_tables_in_place(ref: InstanceRef) -> InstanceRef:
    import yaml

    storage = ref.storage_data
    assert storage is not None  # noqa: S101 the caller looked
    config = {**storage.config_dict, "should_autocreate_tables": False}
    return ref._replace(storage_data=storage._replace(config_yaml=yaml.safe_dump(config)))


def make_sparing(instance: DagsterInstance) -> None:
    """Give an instance in PostgreSQL a pool of connections, and let it ask for its own tables' shape once."""
    from dagster_postgres.utils import create_pg_engine

    storages: list[Any] = [instance.run_storage, instance.event_log_storage, instance.schedule_storage]
    engine = create_pg_engine(
        storages[0].postgres_url,
        storages[0]._token_provider,
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=_MOST_CONNECTIONS - 1,
    )
    _ping_after_rest(engine)
    for storage in storages:
        storage._engine = engine
        for name in _SCHEMA_QUESTIONS:
            if hasattr(storage, name):
                setattr(storage, name, _asked_once(getattr(storage, name)))


def _ping_after_rest(engine: Engine) -> None:
    """Look whether a connection that has rested still lives: PostgreSQL may have been started anew meanwhile."""
    from sqlalchemy import event
    from sqlalchemy.exc import DisconnectionError

    def rested(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["resting_since"] = time.monotonic()

    def woken(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get("resting_since", time.monotonic()) > _REST_S:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError from error

    event.listen(engine, "checkin", rested)
    event.listen(engine, "checkout", woken)


def _asked_once(question: Callable[..., bool]) -> Callable[..., bool]:
    """Remember answers by the names asked for; the connection some questions come with makes no difference."""
    answers: dict[tuple[str, ...], bool] = {}

    def answer(*arguments: object) -> bool:
        names = tuple(argument for argument in arguments if isinstance(argument, str))
        if names not in answers:
            answers[names] = question(*arguments)
        return answers[names]

    return answer
