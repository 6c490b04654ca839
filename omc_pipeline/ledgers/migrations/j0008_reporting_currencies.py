"""A user has reporting currencies, each with a tax zone; runs and exceptions belong to one of them.

New columns are filled, and no value that was there is changed, so no backup comes first.
"""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "j0008"
down_revision = "j0006b"
branch_labels = None
depends_on = None

REPORTING = """
CREATE TABLE pnl.reporting (
    user_id text NOT NULL, currency text NOT NULL, tax_zone text NOT NULL, is_default boolean NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (user_id, currency)
);
CREATE UNIQUE INDEX one_default_currency ON pnl.reporting (user_id) WHERE is_default;
COMMENT ON TABLE pnl.reporting IS 'In which currencies a user reports, each with its tax zone. User "*": whoever has chosen none.';
INSERT INTO pnl.reporting (user_id, currency, tax_zone, is_default)
SELECT user_id, 'AUD', 'Australia/Sydney', true
FROM (SELECT '*' UNION SELECT user_id FROM exchange.fill UNION SELECT user_id FROM pnl.run) AS known (user_id);
"""
RUNS = """
ALTER TABLE pnl.run ADD COLUMN day_zone text NOT NULL DEFAULT 'UTC';
COMMENT ON COLUMN pnl.run.day_zone IS 'Whose days the method goes by: UTC, except for method uk where the tax zone is a British one.';
CREATE INDEX run_of_position ON pnl.run (user_id, method, currency, run_id);
DROP INDEX pnl.run_user_id_method_run_id_idx;
"""
EXCEPTIONS = """
ALTER TABLE pnl.exception ADD COLUMN currency text;
UPDATE pnl.exception SET currency = coalesce((SELECT currency FROM pnl.run WHERE run.run_id = exception.run_id), 'AUD');
ALTER TABLE pnl.exception ALTER COLUMN currency SET NOT NULL;
DROP INDEX pnl.exception_user_id_method_kind_symbol_fill_id_qty_idx;
CREATE UNIQUE INDEX one_standing_exception ON pnl.exception (user_id, method, currency, kind, symbol, fill_id, qty)
    NULLS NOT DISTINCT WHERE cleared_at IS NULL;
"""


def upgrade() -> None:
    """Give every known user the currency and zone that all had until now, and whoever comes later the same unless they choose."""
    roles = role_names(op.get_bind())
    for statements in (REPORTING, RUNS, EXCEPTIONS):
        op.execute(statements)
    op.execute(f"GRANT SELECT, INSERT, DELETE, UPDATE (tax_zone, is_default, since) ON pnl.reporting TO {roles.writer}")
    op.execute(f"GRANT SELECT ON pnl.reporting TO {roles.reader}, {roles.agent}")
    op.execute("ALTER TABLE pnl.reporting ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE pnl.reporting FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY all_users ON pnl.reporting TO {roles.owner}, {roles.writer}, {roles.reader} USING (true) WITH CHECK (true)")
    op.execute(f"CREATE POLICY own_rows ON pnl.reporting FOR SELECT TO {roles.agent} USING (user_id = (SELECT agents.bound_user()))")
