"""When each host group may be asked next: rates, quotas and bans over all processes."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "j0001"
down_revision = "j0003"
branch_labels = None
depends_on = None

HOST_GROUPS = """
CREATE TABLE omc.host_group (
    name text PRIMARY KEY,
    free_at timestamptz NOT NULL DEFAULT 'epoch',
    quota_from timestamptz NOT NULL DEFAULT 'epoch',
    quota_used bigint NOT NULL DEFAULT 0,
    banned_until timestamptz NOT NULL DEFAULT 'epoch',
    ban_reason text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
COMMENT ON TABLE omc.host_group IS 'Upstreams whose requests are counted together; one update a request reserves its turn.';
COMMENT ON COLUMN omc.host_group.free_at IS 'When the next turn begins; it lags behind the present while a burst is left.';
COMMENT ON COLUMN omc.host_group.banned_until IS 'Until then nobody asks: the upstream said so.';
"""


def upgrade() -> None:
    """Make the table; the writer counts in it, the reader shows bans."""
    roles = role_names(op.get_bind())
    op.execute(HOST_GROUPS)
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON omc.host_group TO {roles.writer}")
    op.execute(f"GRANT SELECT ON omc.host_group TO {roles.reader}")
