"""Imported files, and the kinds of fills that only files tell: mining, gifts, losses."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "k1001"
down_revision = "e2001"
branch_labels = None
depends_on = None

KINDS = ("trade", "deposit", "withdrawal", "transfer", "fee", "staking", "airdrop", "interest", "hardfork", "wages", "rebate", "mining",
         "gift", "donate", "lost", "stolen", "dust")  # fmt: skip
TABLES = f"""
ALTER TABLE exchange.fill DROP CONSTRAINT fill_kind_check,
    ADD CONSTRAINT fill_kind_check CHECK (kind IN ({", ".join(f"'{kind}'" for kind in KINDS)}));
CREATE TABLE exchange.import_file (
    import_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text NOT NULL REFERENCES exchange.users, name text NOT NULL, payload_sha256 text NOT NULL, format text NOT NULL,
    source text NOT NULL, accounts text[] NOT NULL, options jsonb NOT NULL, rows bigint NOT NULL CHECK (rows >= 0),
    fills_new bigint NOT NULL CHECK (fills_new >= 0), fills_known bigint NOT NULL CHECK (fills_known >= 0),
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp(), imported_by text NOT NULL,
    undone_at timestamptz, undone_by text, undone_reason text,
    CHECK ((undone_at IS NULL) = (undone_by IS NULL))
);
CREATE INDEX ON exchange.import_file (user_id, imported_at);
ALTER TABLE exchange.erasure DROP CONSTRAINT erasure_what_check,
    ADD CONSTRAINT erasure_what_check CHECK (what IN ('user', 'account', 'import'));
"""


def upgrade() -> None:
    """Make the table; the writer adds to it, the owner notes what was undone, and no agent sees it."""
    roles = role_names(op.get_bind())
    op.execute(TABLES)
    op.execute(f"GRANT SELECT ON exchange.import_file TO {roles.writer}, {roles.reader}")
    op.execute(f"GRANT INSERT ON exchange.import_file TO {roles.writer}")
    op.execute("ALTER TABLE exchange.import_file ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE exchange.import_file FORCE ROW LEVEL SECURITY")
    whom = f"{roles.owner}, {roles.writer}, {roles.reader}"
    op.execute(f"CREATE POLICY all_users ON exchange.import_file TO {whom} USING (true) WITH CHECK (true)")
