"""Fills are keyed by account and id, and an id that was a digest is one of canonical values; everything that names a fill follows.

What a stored row says is all that the new digest needs. Only the place among equal rows isn't in it: equal rows that came in one
answer are as many fills. One that came in a later answer is either another fill, or the same one spelled otherwise (``95000.50`` for
``95000.5``); the later answer itself decides, by how often it lists it. Where that body was let go, both stay and the pair is proposed
to a person. A row that is a repetition keeps its old id and is paired, so nothing is lost and a new collection adds nothing.

All of it is one transaction: a process that is killed leaves the database as it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from alembic import op

from omc_infra.settings import load_settings
from omc_pipeline.ledgers.migrations.rekey.bodies import times_listed
from omc_pipeline.ledgers.migrations.rekey.references import follow

revision = "j0006b"
down_revision = "j0006"
branch_labels = None
depends_on = None

REWRITES_ROWS = True

ISO = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')"""
MICROSECONDS = "to_char({0} AT TIME ZONE 'UTC', '.US')"
FACTS = ("kind", "side", "symbol", "currency", "qty", "price", "quote_amount", "fee", "fee_currency", "executed_at")
NUMBERS = ("qty", "price", "quote_amount", "fee", "value_aud")


def _fact(column: str) -> str:
    """Write a fact as ``omc_pipeline.ledgers.identity`` did when this was written."""
    if column == "executed_at":
        return f"{ISO.format(column)} || {MICROSECONDS.format(column)} || '+00:00'"
    return f"coalesce(trim_scale({column})::text, '')" if column in NUMBERS else column


def _cell(column: str) -> str:
    """Write a value as ``omc_pipeline.ledgers.table.row_digest`` does: microseconds only where there are some."""
    name = column.rpartition(".")[2]
    if name.endswith("_at"):
        is_whole = f"{column} = date_trunc('second', {column})"
        return f"{ISO.format(column)} || CASE WHEN {is_whole} THEN '' ELSE {MICROSECONDS.format(column)} END || '+00:00'"
    return f"trim_scale({column})::text" if name in NUMBERS else column


def _row_sha256(columns: str) -> str:
    """Digest the values of a row, joined as bytes: an absent one is a NUL, which text can't hold."""
    joined = r" || '\x1f'::bytea || ".join(rf"coalesce(convert_to({_cell(column)}, 'UTF8'), '\x00'::bytea)" for column in columns.split())
    return f"encode(sha256({joined}), 'hex')"


DIGEST = f"encode(sha256(convert_to(concat_ws(chr(31), account, {', '.join(map(_fact, FACTS))}), 'UTF8')), 'hex')"
NEW_ID = "'d-' || left(encode(sha256(convert_to(digest || '#' || occurrence, 'UTF8')), 'hex'), 32)"
FILL_SHA256 = _row_sha256(
    "r.fill_id f.user_id r.account f.symbol f.currency f.side f.qty f.price f.quote_amount f.fee f.fee_currency f.executed_at f.kind"
    " f.trade_id f.order_id f.algorithm_id"
)
BALANCE_SHA256 = _row_sha256("b.user_id o.account b.symbol b.observed_at b.qty b.value_aud")

OWNERS = """
SELECT account_id, user_id, source, min(first_at) FROM (
    SELECT account_id, user_id, source, min(recorded_at) AS first_at FROM exchange.fill GROUP BY 1, 2, 3
    UNION ALL SELECT account_id, user_id, source, min(recorded_at) FROM exchange.balance GROUP BY 1, 2, 3
) known GROUP BY 1, 2, 3 ORDER BY 1, 4, 2, 3
"""
ACCOUNTS = f"""
INSERT INTO exchange.users (user_id, created_at) SELECT user_id, min(first_at) FROM pg_temp.owned GROUP BY 1;
INSERT INTO exchange.account (account_id, user_id, venue, source, created_at)
    SELECT DISTINCT ON (account) account, user_id, was, source, first_at FROM pg_temp.owned
    ORDER BY account, source !~ '_account$', first_at;
UPDATE exchange.balance b SET account_id = o.account, row_sha256 = {BALANCE_SHA256} FROM pg_temp.owned o
    WHERE o.was <> o.account AND b.account_id = o.was AND b.user_id = o.user_id AND b.source = o.source;
UPDATE raw.fetch f SET context = f.context || jsonb_build_object('account_id', o.account) FROM pg_temp.owned o
    WHERE o.was <> o.account AND f.context ->> 'account_id' = o.was AND f.context ->> 'user_id' = o.user_id AND f.source = o.source;
"""
LATEST = f"""
CREATE TEMPORARY TABLE rekey ON COMMIT DROP AS
SELECT source, was, was_of, account, user_id, {DIGEST} AS digest, 0 AS occurrence, NULL::text AS fill_id, first_at, payload_sha256
FROM (
    SELECT DISTINCT ON (f.source, f.fill_id) f.source, f.fill_id AS was, f.account_id AS was_of, o.account, f.user_id,
        {", ".join(f"f.{fact}" for fact in FACTS)}, min(f.recorded_at) OVER same AS first_at,
        first_value(f.payload_sha256) OVER (same ORDER BY f.version) AS payload_sha256
    FROM exchange.fill f JOIN pg_temp.owned o ON o.was = f.account_id AND o.user_id = f.user_id AND o.source = f.source
    WINDOW same AS (PARTITION BY f.source, f.fill_id)
    ORDER BY f.source, f.fill_id, f.version DESC
) latest
"""
PLACES = """
CREATE INDEX ON rekey (digest);
ANALYZE pg_temp.rekey;
UPDATE pg_temp.rekey r SET occurrence = p.place FROM (
    SELECT source, was, row_number() OVER (PARTITION BY digest ORDER BY was) - 1 AS place FROM pg_temp.rekey
    WHERE was ~ '^cs-[0-9a-f]{32}$' AND digest IN (SELECT digest FROM pg_temp.rekey GROUP BY digest HAVING count(*) > 1)
) p WHERE p.source = r.source AND p.was = r.was
"""
AGAIN = """
SELECT digest, payload_sha256, array_agg(was ORDER BY was) FROM pg_temp.rekey
WHERE digest IN (SELECT digest FROM pg_temp.rekey WHERE was ~ '^cs-[0-9a-f]{32}$' GROUP BY digest HAVING count(DISTINCT payload_sha256) > 1)
AND was ~ '^cs-[0-9a-f]{32}$' GROUP BY 1, 2 ORDER BY 1, min(first_at)
"""
RENAME = f"""
UPDATE pg_temp.rekey SET fill_id = CASE WHEN was ~ '^cs-[0-9a-f]{{32}}$' AND occurrence >= 0 THEN {NEW_ID} ELSE was END;
UPDATE pg_temp.rekey r SET fill_id = r.source || ':' || r.was FROM pg_temp.rekey other
    WHERE other.account = r.account AND other.fill_id = r.fill_id AND (other.first_at, other.source) < (r.first_at, r.source);
ALTER TABLE exchange.fill DROP CONSTRAINT fill_pkey;
UPDATE exchange.fill f SET fill_id = r.fill_id, account_id = r.account, row_sha256 = {FILL_SHA256} FROM pg_temp.rekey r
    WHERE r.source = f.source AND r.was = f.fill_id AND (r.was, r.was_of) <> (r.fill_id, r.account);
ALTER TABLE exchange.fill ADD PRIMARY KEY (account_id, fill_id, version);
INSERT INTO exchange.fill_alias (account_id, alias_id, fill_id)
    SELECT account, was, fill_id FROM pg_temp.rekey WHERE fill_id <> was AND fill_id <> source || ':' || was;
INSERT INTO exchange.fill_door (account_id, source, user_id, first_at)
    SELECT account, source, user_id, min(first_at) FROM pg_temp.rekey GROUP BY 1, 2, 3;
INSERT INTO exchange.fill_pair (user_id, account_id, fill_id, duplicate_account_id, duplicate_fill_id, state, certainty, rule)
    SELECT r.user_id, r.account, r.was, r.account, r.fill_id, 'duplicate', 'exact', 'same id from another source'
    FROM pg_temp.rekey r WHERE r.fill_id = r.source || ':' || r.was;
"""
PAIR = """
INSERT INTO exchange.fill_pair (user_id, account_id, fill_id, duplicate_account_id, duplicate_fill_id, state, certainty, rule)
SELECT d.user_id, c.account, c.fill_id, d.account, d.fill_id, %(state)s, %(certainty)s, %(rule)s
FROM pg_temp.rekey d JOIN pg_temp.rekey c ON c.digest = d.digest AND c.occurrence = %(of)s AND c.was <> d.was
WHERE d.was = %(was)s
"""


def upgrade() -> None:
    """Name accounts, then fills, then whatever refers to them."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute("SET LOCAL TIME ZONE 'UTC'")
    connection.execute("LOCK TABLE exchange.fill, exchange.balance, pnl.run, pnl.lot, pnl.lot_match, pnl.rate_use IN ACCESS EXCLUSIVE MODE")
    _name_accounts(connection, load_settings().user)
    connection.execute(
        "CREATE TEMPORARY TABLE digests ON COMMIT DROP AS SELECT source, fill_id AS was, version, row_sha256 FROM exchange.fill"
    )
    connection.execute(LATEST)
    connection.execute(PLACES)
    repeated, doubtful = _repetitions(connection)
    connection.execute(RENAME)
    for was, of in repeated:
        connection.execute(PAIR, {"was": was, "of": of, "state": "duplicate", "certainty": "exact", "rule": "same fill spelled otherwise"})
    for was, of in doubtful:
        connection.execute(
            PAIR, {"was": was, "of": of, "state": "proposed", "certainty": "ambiguous", "rule": "equal fill of a later answer"}
        )
    follow(connection)


def _name_accounts(connection: Any, preferred: str) -> None:
    """Give every account an id of its own: who came first keeps it, but the configured user does so before all others."""
    owners: dict[str, list[tuple[str, str, Any]]] = defaultdict(list)
    for account, user, source, first_at in connection.execute(OWNERS).fetchall():
        owners[account].append((user, source, first_at))
    taken, named = set(owners), list[tuple[Any, ...]]()
    for account, known in owners.items():
        users = list(dict.fromkeys(user for user, _, _ in known))
        keeper = preferred if preferred in users else users[0]
        names: Mapping[str, str] = {user: account if user == keeper else _free(f"{user}-{account}", taken) for user in users}
        named += [(account, user, source, names[user], first_at) for user, source, first_at in known]
    connection.execute(
        "CREATE TEMPORARY TABLE owned (was text, user_id text, source text, account text, first_at timestamptz) ON COMMIT DROP"
    )
    connection.cursor().executemany("INSERT INTO pg_temp.owned VALUES (%s, %s, %s, %s, %s)", named)
    connection.execute(ACCOUNTS)


def _free(name: str, taken: set[str]) -> str:
    free = next(candidate for candidate in (name, *(f"{name}-{n}" for n in range(2, 1000))) if candidate not in taken)
    taken.add(free)
    return free


def _repetitions(connection: Any) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Find the rows of later answers that repeat a fill, and those of which nobody can tell; each with the place it repeats."""
    groups: dict[str, list[tuple[str | None, list[str]]]] = defaultdict(list)
    for digest, payload, rows in connection.execute(AGAIN).fetchall():
        groups[digest].append((payload, rows))
    repeated, doubtful, places = list[tuple[str, int]](), list[tuple[str, int]](), list[tuple[int, str]]()
    for answers in groups.values():
        known = 0
        for number, (payload, rows) in enumerate(answers):
            listed = len(rows) if number == 0 else times_listed(connection, payload, rows[0])
            fresh = len(rows) if listed is None else min(len(rows), max(0, listed - known))
            if listed is None:
                doubtful += [(was, place) for place, was in enumerate(rows) if place < known]
            places += [(known + place, was) for place, was in enumerate(rows[:fresh])]
            places += [(-1, was) for was in rows[fresh:]]
            repeated += [(was, place) for place, was in enumerate(rows[fresh:])]
            known += fresh
    connection.cursor().executemany("UPDATE pg_temp.rekey SET occurrence = %s WHERE was = %s", places)
    return repeated, doubtful
