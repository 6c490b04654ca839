"""Fills whose venue gives no id are named by what moved, where and when; a fee, price or amount that comes later is a new version.

A fill that was stored twice, once without its fee and once with it, is proposed to a person as a pair: whether an answer listed one order
or two alike is in neither row. Profit and loss of the users concerned is computed anew with its next run.

All of it is one transaction: a process that is killed leaves the database as it was.
"""

from __future__ import annotations

from typing import Any

from alembic import op

from omc_pipeline.ledgers.migrations.j0006b_fill_identity import FILL_SHA256, NEW_ID
from omc_pipeline.ledgers.migrations.rekey.references import correct_runs

revision = "b8001"
down_revision = "b1001b"
branch_labels = None
depends_on = None

REWRITES_ROWS = True

_LENGTH = 34
"""Of ``d-`` and 32 digits: what follows in a lot's name (``:fee``, ``@`` and a transfer) stays."""
MOVED = """encode(sha256(convert_to(concat_ws(chr(31), account_id, kind, side, symbol, currency, trim_scale(qty)::text,
    to_char(executed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00'), 'UTF8')), 'hex')"""
REKEY = f"""
CREATE TEMPORARY TABLE rekey ON COMMIT DROP AS
SELECT '' AS source, account_id AS account, was, user_id, digest, price, quote_amount, fee, payload_sha256, NULL::text AS fill_id,
    row_number() OVER (PARTITION BY digest ORDER BY price NULLS LAST, quote_amount NULLS LAST, fee NULLS LAST, was) - 1 AS occurrence
FROM (
    SELECT DISTINCT ON (account_id, fill_id) account_id, fill_id AS was, user_id, {MOVED} AS digest, price, quote_amount, fee,
        first_value(payload_sha256) OVER (PARTITION BY account_id, fill_id ORDER BY version) AS payload_sha256
    FROM exchange.fill WHERE fill_id ~ '^d-[0-9a-f]{{32}}$' ORDER BY account_id, fill_id, version DESC
) latest;
UPDATE pg_temp.rekey SET fill_id = {NEW_ID};
CREATE UNIQUE INDEX ON rekey (was);
CREATE INDEX ON rekey (account, fill_id);
CREATE TEMPORARY TABLE digests ON COMMIT DROP AS
    SELECT '' AS source, fill_id AS was, version, row_sha256 FROM exchange.fill WHERE fill_id IN (SELECT was FROM pg_temp.rekey);
ANALYZE pg_temp.rekey;
"""
RENAME = f"""
UPDATE exchange.fill f SET fill_id = r.fill_id, row_sha256 = {FILL_SHA256} FROM pg_temp.rekey r
    WHERE r.account = f.account_id AND r.was = f.fill_id;
UPDATE exchange.fill_pair p SET fill_id = r.fill_id FROM pg_temp.rekey r WHERE r.account = p.account_id AND r.was = p.fill_id;
UPDATE exchange.fill_pair p SET duplicate_fill_id = r.fill_id FROM pg_temp.rekey r
    WHERE r.account = p.duplicate_account_id AND r.was = p.duplicate_fill_id;
UPDATE exchange.fill_pair_change p SET fill_id = r.fill_id FROM pg_temp.rekey r WHERE r.account = p.account_id AND r.was = p.fill_id;
UPDATE exchange.fill_pair_change p SET duplicate_fill_id = r.fill_id FROM pg_temp.rekey r
    WHERE r.account = p.duplicate_account_id AND r.was = p.duplicate_fill_id;
UPDATE exchange.fill_alias a SET fill_id = r.fill_id FROM pg_temp.rekey r WHERE r.account = a.account_id AND r.was = a.fill_id;
INSERT INTO exchange.fill_alias (account_id, alias_id, fill_id) SELECT account, was, fill_id FROM pg_temp.rekey ON CONFLICT DO NOTHING;
UPDATE pnl.rate_use u SET fill_id = r.fill_id FROM pg_temp.rekey r WHERE r.account = u.account_id AND r.was = u.fill_id;
UPDATE pnl.exception e SET fill_id = r.fill_id || substr(e.fill_id, {_LENGTH + 1}), message = replace(e.message, r.was, r.fill_id)
    FROM pg_temp.rekey r WHERE r.user_id = e.user_id AND left(e.fill_id, {_LENGTH}) = r.was;
UPDATE pnl.run SET rules = 0 WHERE user_id IN (SELECT user_id FROM pg_temp.rekey);
"""
_NAMES = (("pnl.lot", "lot_fill"), ("pnl.lot_match", "sell_fill"), ("pnl.lot_match", "lot_fill"))
LATER = """
INSERT INTO exchange.fill_pair (user_id, account_id, fill_id, duplicate_account_id, duplicate_fill_id, state, certainty, rule)
SELECT a.user_id, a.account, a.fill_id, b.account, b.fill_id, 'proposed', 'ambiguous', 'same order, its fee told in another answer'
FROM pg_temp.rekey a JOIN pg_temp.rekey b ON b.digest = a.digest AND b.fee IS NULL AND a.fee IS NOT NULL
    AND (b.price, b.quote_amount) IS NOT DISTINCT FROM (a.price, a.quote_amount) AND b.payload_sha256 IS DISTINCT FROM a.payload_sha256
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    """Name the fills anew, then whatever refers to them; their lots' names may end in a transfer's."""
    connection: Any = op.get_bind().connection.driver_connection
    connection.execute("SET LOCAL TIME ZONE 'UTC'")
    connection.execute("LOCK TABLE exchange.fill, pnl.run, pnl.lot, pnl.lot_match, pnl.rate_use IN ACCESS EXCLUSIVE MODE")
    connection.execute("DROP TABLE IF EXISTS pg_temp.rekey, pg_temp.digests")  # of a migration before in the same transaction
    connection.execute(REKEY)
    connection.execute(RENAME)
    for table, column in _NAMES:
        connection.execute(
            f"UPDATE {table} t SET {column} = r.fill_id || substr(t.{column}, {_LENGTH + 1}) FROM pg_temp.rekey r"
            f" WHERE r.user_id = t.user_id AND left(t.{column}, {_LENGTH}) = r.was"
        )
        connection.execute(
            f"UPDATE {table} t SET {column} = split_part(t.{column}, '@', 1) || '@' || r.fill_id FROM pg_temp.rekey r"
            f" WHERE r.user_id = t.user_id AND t.{column} LIKE '%@d-%' AND split_part(t.{column}, '@', 2) = r.was"
        )
    connection.execute(LATER)
    correct_runs(connection)
