"""Bodies of the raw store may be let go; their digests and fetches stay."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "m0002"
down_revision = "m0001"
branch_labels = None
depends_on = None

BODIES = """
ALTER TABLE raw.payload ALTER COLUMN body DROP NOT NULL;
COMMENT ON COLUMN raw.payload.body IS 'zstd; NULL: let go after its retention, and stored again when the same bytes are fetched again';
CREATE INDEX payload_held ON raw.payload (first_seen_at, sha256) WHERE body IS NOT NULL;
CREATE INDEX quarantine_open_payload ON raw.quarantine (payload_sha256) WHERE resolved_at IS NULL;
"""


def upgrade() -> None:
    """Let the writer empty a body and fill it again; no row can be deleted, and a rewritten body no longer fits its digest."""
    roles = role_names(op.get_bind())
    op.execute(BODIES)
    op.execute(f"GRANT UPDATE (body) ON raw.payload TO {roles.writer}")
