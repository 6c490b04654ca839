"""What was decided on a pair of fills and when is kept, so that a report can leave out the duplicates of its run's time."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "j0008c"
down_revision = "j0008b"
branch_labels = None
depends_on = None

_PAIR = "duplicate_account_id, duplicate_fill_id, account_id, fill_id"
CHANGES = f"""
CREATE TABLE exchange.fill_pair_change (
    user_id text NOT NULL, account_id text NOT NULL, fill_id text NOT NULL,
    duplicate_account_id text NOT NULL, duplicate_fill_id text NOT NULL, state text NOT NULL, changed_at timestamptz NOT NULL,
    PRIMARY KEY ({_PAIR}, changed_at),
    FOREIGN KEY ({_PAIR}) REFERENCES exchange.fill_pair ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX ON exchange.fill_pair_change (user_id);
COMMENT ON TABLE exchange.fill_pair_change IS 'Each state that a pair of fills was ever in, from when on; goes with its pair.';
INSERT INTO exchange.fill_pair_change (user_id, {_PAIR}, state, changed_at)
    SELECT user_id, {_PAIR}, state, changed_at FROM exchange.fill_pair;
CREATE FUNCTION exchange.keep_pair_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO exchange.fill_pair_change (user_id, {_PAIR}, state, changed_at)
    VALUES (new.user_id, new.duplicate_account_id, new.duplicate_fill_id, new.account_id, new.fill_id, new.state, new.changed_at)
    ON CONFLICT ({_PAIR}, changed_at) DO UPDATE SET state = excluded.state;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_change AFTER INSERT OR UPDATE OF state ON exchange.fill_pair
    FOR EACH ROW EXECUTE FUNCTION exchange.keep_pair_change();
"""


def upgrade() -> None:
    """Keep what holds now as the first state of each pair, and every later one by a trigger."""
    roles = role_names(op.get_bind())
    op.execute(CHANGES)
    op.execute(f"GRANT SELECT, INSERT, UPDATE (state) ON exchange.fill_pair_change TO {roles.writer}")
    op.execute(f"GRANT SELECT ON exchange.fill_pair_change TO {roles.reader}")
    op.execute("ALTER TABLE exchange.fill_pair_change ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE exchange.fill_pair_change FORCE ROW LEVEL SECURITY")
    whom = f"{roles.owner}, {roles.writer}, {roles.reader}"
    op.execute(f"CREATE POLICY all_users ON exchange.fill_pair_change TO {whom} USING (true) WITH CHECK (true)")
