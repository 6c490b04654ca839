"""Users and their accounts, the doors that fills come through, pairs of fills that are one, and what was erased."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "j0006"
down_revision = "j0007"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE exchange.users (
    user_id text PRIMARY KEY CHECK (user_id <> ''), created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE exchange.account (
    account_id text PRIMARY KEY CHECK (account_id <> ''), user_id text NOT NULL REFERENCES exchange.users, venue text NOT NULL,
    source text, label text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'removed')),
    state_changed_at timestamptz NOT NULL DEFAULT clock_timestamp(), state_changed_by text,
    nonce bigint NOT NULL DEFAULT 0, held_at timestamptz, held_reason text, created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((held_at IS NULL) = (held_reason IS NULL))
);
CREATE UNIQUE INDEX account_of_key_name ON exchange.account (upper(replace(account_id, '-', '_')));
CREATE INDEX ON exchange.account (user_id);
CREATE INDEX ON exchange.account (source);
COMMENT ON TABLE exchange.account IS 'An account at a venue; its id is unique over all users.';
COMMENT ON COLUMN exchange.account.source IS 'The source that collects it by its API; NULL: only files tell of it.';
COMMENT ON COLUMN exchange.account.nonce IS 'The last one sent with its key; the next is greater, in whatever process.';
COMMENT ON COLUMN exchange.account.held_at IS 'A blocking check of its rows failed: profit and loss of its user waits.';
COMMENT ON INDEX exchange.account_of_key_name IS 'Two accounts never share the variable that holds their key.';
CREATE TABLE exchange.fill_door (
    account_id text NOT NULL, source text NOT NULL, user_id text NOT NULL, first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, source, user_id)
);
CREATE INDEX ON exchange.fill_door (user_id);
COMMENT ON TABLE exchange.fill_door IS 'Who has told fills of which account; pairs are looked for only where there are several.';
CREATE TABLE exchange.fill_pair (
    user_id text NOT NULL, account_id text NOT NULL, fill_id text NOT NULL,
    duplicate_account_id text NOT NULL, duplicate_fill_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('duplicate', 'proposed', 'rejected')),
    certainty text NOT NULL CHECK (certainty IN ('exact', 'rounded', 'ambiguous')),
    rule text NOT NULL, decided_by text, created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (duplicate_account_id, duplicate_fill_id, account_id, fill_id),
    CHECK ((account_id, fill_id) <> (duplicate_account_id, duplicate_fill_id))
);
CREATE UNIQUE INDEX fill_left_out ON exchange.fill_pair (duplicate_account_id, duplicate_fill_id) WHERE state = 'duplicate';
CREATE INDEX ON exchange.fill_pair (account_id, fill_id);
CREATE INDEX ON exchange.fill_pair (user_id, changed_at);
COMMENT ON TABLE exchange.fill_pair IS 'Two rows of exchange.fill that are one execution; the duplicate is left out of profit and loss.';
COMMENT ON COLUMN exchange.fill_pair.state IS 'proposed: waits for a person, both are counted; rejected: a person says they are two.';
CREATE TABLE exchange.fill_alias (
    account_id text NOT NULL, alias_id text NOT NULL, fill_id text NOT NULL, PRIMARY KEY (account_id, alias_id)
);
COMMENT ON TABLE exchange.fill_alias IS 'Ids that fills had before, as briefs and exported reports still name them.';
CREATE TABLE exchange.erasure (
    erasure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text NOT NULL CHECK (what IN ('user', 'account')),
    subject text NOT NULL, erased_by text NOT NULL, erased_at timestamptz NOT NULL DEFAULT clock_timestamp(), rows jsonb NOT NULL
);
COMMENT ON TABLE exchange.erasure IS 'Who erased what and when, with the number of rows by table, and nothing of their content.';
"""
OF_USERS = ("exchange.users", "exchange.account", "exchange.fill_door", "exchange.fill_pair")


def upgrade() -> None:
    """Make the tables; the writer keeps them, the reader reads them, and no agent sees any."""
    roles = role_names(op.get_bind())
    op.execute(TABLES)
    every = f"{', '.join(OF_USERS)}, exchange.fill_alias, exchange.erasure"
    op.execute(f"GRANT SELECT ON {every} TO {roles.writer}, {roles.reader}")
    op.execute(f"GRANT INSERT ON {', '.join(OF_USERS)} TO {roles.writer}")
    kept = "label, state, state_changed_at, state_changed_by, nonce, held_at, held_reason"
    op.execute(f"GRANT UPDATE ({kept}) ON exchange.account TO {roles.writer}")
    op.execute(f"GRANT UPDATE (state, decided_by, changed_at) ON exchange.fill_pair TO {roles.writer}")
    for table in OF_USERS:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY all_users ON {table} TO {roles.owner}, {roles.writer}, {roles.reader} USING (true) WITH CHECK (true)")
