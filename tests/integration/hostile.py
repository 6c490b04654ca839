"""Text as an attacker, a broken upstream or a strange file name has it, and a database in which every free text holds it."""

from __future__ import annotations

import unicodedata

import psycopg
from psycopg import sql

from omc_infra.postgres.database import Database

HOSTILE = "[/zqm] [link=http://a.example]x[/link] \x1b[31m \x1b]0;t\x07 \x9b \u202e \u200b \u2066 \U000e0041 :smile: \\u202e \r\x08"
NAME = "x[/b]\x1b[31m\u202e"
"""Short enough for a file's name."""
_SHOWN = frozenset("\n\t")
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_SCHEMAS = ("agents", "catalyst", "exchange", "glass", "human", "pnl", "quality", "raw", "collection")
_OURS = frozenset(
    {"source", "ledger", "dimension", "method", "currency", "user_id", "tax_zone", "account_id", "venue", "profile", "day_zone"}
    | {"fee_policy", "lot_policy", "oversell_policy"}
)
"""Names of our own code and settings, by which rows are found: what they may hold is decided where they are written."""
_COLUMNS = """
SELECT c.table_schema, c.table_name, c.column_name, c.data_type FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = ANY(%s) AND t.table_type = 'BASE TABLE' AND c.is_generated = 'NEVER' AND c.data_type IN ('text', 'jsonb')
ORDER BY 1, 2, 3
"""

_TROUBLES = (
    """INSERT INTO collection.state (source, endpoint, account_id, consecutive_failures, last_failure_at, failure_class, failure_message,
           is_retryable, paused_at, paused_by, pause_reason)
       VALUES ('glass_defillama', '', '', 3, now(), %(text)s, %(text)s, true, now(), %(text)s, %(text)s)""",
    """INSERT INTO pnl.exception (user_id, method, run_id, kind, symbol, fill_id, message, currency)
       SELECT user_id, method, run_id, 'oversell', %(text)s, %(text)s, %(text)s, currency FROM pnl.run LIMIT 1""",
    """INSERT INTO exchange.fill_pair (user_id, account_id, fill_id, duplicate_account_id, duplicate_fill_id, state, certainty, rule)
       SELECT user_id, account_id, min(fill_id), account_id, max(fill_id), 'proposed', 'exact', %(text)s
       FROM exchange.fill GROUP BY 1, 2""",
    "UPDATE exchange.quote SET bid = ask * 2, observed_at = now(), recorded_at = now()",
    "UPDATE exchange.account SET held_at = now(), held_reason = %(text)s, state_changed_by = %(text)s",
    "UPDATE agents.session SET detail = %(text)s",
)


def hidden_characters(text: str) -> list[str]:
    """Return what a terminal would obey or not show: control, escape, bidi, zero-width and surrogate characters."""
    return [char for char in text if char not in _SHOWN and unicodedata.category(char) in _HIDDEN]


def poison(database: Database) -> list[str]:
    """Append hostile text to every free text of the database, as its administrator, and return the columns that took it."""
    taken = []
    with database.address.administer() as connection:
        connection.execute("SET session_replication_role = replica")  # keys change together, so no reference breaks
        for schema, table, column, kind in connection.execute(_COLUMNS, [list(_SCHEMAS)]).fetchall():
            if (
                column not in _OURS
                and not column.endswith("_sha256")
                and _poisoned(connection, sql.Identifier(schema, table), sql.Identifier(column), kind)
            ):
                taken.append(f"{schema}.{table}.{column}")
    return taken


def add_troubles(database: Database) -> None:
    """Write what a person reads when something went wrong, each with hostile words: failures, pauses, exceptions, pairs, crossed quotes."""
    with database.address.administer() as connection:
        for statement in _TROUBLES:
            connection.execute(statement, {"text": HOSTILE})


def _poisoned(connection: psycopg.Connection, table: sql.Identifier, column: sql.Identifier, kind: str) -> bool:  # type: ignore[type-arg]
    """Change one column; one of a closed vocabulary refuses it."""
    changed = sql.SQL("{0} || jsonb_build_object('note', %s::text)" if kind == "jsonb" else "{0} || %s::text").format(column)
    which = sql.SQL("jsonb_typeof({0}) = 'object'" if kind == "jsonb" else "{0} IS NOT NULL").format(column)
    try:
        with connection.transaction():
            done = connection.execute(sql.SQL("UPDATE {} SET {} = {} WHERE {}").format(table, column, changed, which), [HOSTILE])
    except psycopg.Error:
        return False
    return done.rowcount > 0
