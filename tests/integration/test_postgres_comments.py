"""Comments of tables and columns: written by a migration, renewed when the text changes, and only then."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from omc_infra.postgres.comments import Comments, read_comments, write_comments
from omc_infra.postgres.database import Database


def _comment(database: Database, table: str, column: str | None = None) -> str | None:
    sql = "SELECT obj_description(CAST(:t AS regclass), 'pg_class')" if column is None else (
        "SELECT col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = CAST(:t AS regclass) AND attname = :c"
    )  # fmt: skip
    with database.engine("reader").connect() as connection:
        return connection.execute(sa.text(sql), {"t": table, "c": column}).scalar()


def _write(database: Database, *storeys: Comments) -> int:
    with database.engine("owner").connect() as connection:
        return write_comments(connection, storeys)


def test_a_migrated_database_says_what_its_tables_and_columns_mean(database: Database) -> None:
    assert _comment(database, "glass.coin_price", "price_usd") == "Price. Unit: US dollars per coin."
    assert _comment(database, "glass.coin_price", "recorded_at") == _comment(database, "human.sentiment", "recorded_at")
    assert "valid now" in (_comment(database, "pnl.live_match") or "")


def test_texts_that_the_database_has_are_not_written_again(database: Database) -> None:
    with database.engine("owner").connect() as connection:
        assert write_comments(connection) == 0


def test_a_text_that_changed_is_written_whatever_characters_it_has(database: Database) -> None:
    text = 'It\'s 100 % "new": :name \\ %s'

    written = _write(database, Comments({"omc.marker": text, "omc.marker.profile": text}, {}))

    assert written == 2
    assert _comment(database, "omc.marker") == _comment(database, "omc.marker", "profile") == text


def test_a_shared_text_is_for_columns_without_their_own_of_tables_that_the_storey_describes(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "comments.toml"
    file.write_text('[shared]\nuser_id = "shared"\n["pnl.run"]\ntable = "A run."\nmethod = "own"\n')
    before = _comment(database, "pnl.lot", "user_id")

    _write(database, read_comments(file))

    assert _comment(database, "pnl.run", "user_id") == "shared"
    assert _comment(database, "pnl.run", "method") == "own"
    assert _comment(database, "pnl.lot", "user_id") == before


def test_texts_of_tables_that_are_not_there_are_left_out(database: Database) -> None:
    assert _write(database, Comments({"no.such_table": "nothing"}, {})) == 0
