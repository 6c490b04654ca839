"""Judge data that is changed for the time of a judgement only: one transaction, which is rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from omc_infra.postgres.database import Database
from omc_infra.postgres.roles import Role

if TYPE_CHECKING:
    from sqlalchemy import Engine


class _Held(psycopg.Connection[Any]):
    """A connection that neither commits nor closes when its users do."""

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class _Trial(Database):
    held: _Held | None = field(default=None, kw_only=True)
    engine_of_all: Engine | None = field(default=None, kw_only=True)

    def engine(self, role: Role) -> Engine:
        assert self.engine_of_all is not None  # noqa: S101 made with it
        return self.engine_of_all

    def connect(self, role: Role) -> psycopg.Connection[Any]:
        assert self.held is not None  # noqa: S101 made with it
        return self.held


@contextmanager
def trial(database: Database) -> Iterator[tuple[Database, psycopg.Connection[Any]]]:
    """Open a database whose changes, by any role, end with the block; with its connection, of role owner."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    held = _Held.connect(database.url("owner", ""))
    engine = create_engine("postgresql+psycopg://", creator=lambda: held, poolclass=StaticPool)
    try:
        yield (
            _Trial(database.name, database.profile, database.address, database.logins, database.limits_s, held=held, engine_of_all=engine),
            held,
        )
    finally:
        psycopg.Connection.rollback(held)
        psycopg.Connection.close(held)
