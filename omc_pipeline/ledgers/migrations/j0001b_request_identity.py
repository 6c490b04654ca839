"""Fetches know what was asked, by which run, and whether their rows were stored."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "j0001b"
down_revision = "j0001"
branch_labels = None
depends_on = None

REWRITES_ROWS = True

# Earlier fetches take the identity that a GET of their URL has. None of them counts as parsed: no row tells whether its body was, so the
# next request of each is sent without validators, once.
IDENTITY_OF_URL = "encode(sha256(convert_to('GET' || chr(10) || url, 'UTF8')), 'hex')"
IDENTITY = f"""
ALTER TABLE raw.fetch ADD COLUMN method text NOT NULL DEFAULT 'GET', ADD COLUMN request_sha256 text, ADD COLUMN run_id text,
    ADD COLUMN parsed_at timestamptz;
UPDATE raw.fetch SET request_sha256 = {IDENTITY_OF_URL};
ALTER TABLE raw.fetch ALTER COLUMN request_sha256 SET NOT NULL;
ALTER TABLE raw.fetch DROP CONSTRAINT fetch_source_url_fetched_at_payload_sha256_key;
ALTER TABLE raw.fetch ADD CONSTRAINT one_fetch UNIQUE (source, request_sha256, fetched_at, payload_sha256);
COMMENT ON COLUMN raw.fetch.request_sha256 IS 'Identity: method, URL on the first host, digest of the body, declared headers, context';
COMMENT ON COLUMN raw.fetch.run_id IS 'The run that asked';
COMMENT ON COLUMN raw.fetch.parsed_at IS 'When the rows of the body were stored; only then do its validators make a request conditional';
"""


def upgrade() -> None:
    """Add and fill the columns; the writer may say that a body was parsed, and change nothing else."""
    roles = role_names(op.get_bind())
    op.execute(IDENTITY)
    op.execute(f"GRANT UPDATE (parsed_at) ON raw.fetch TO {roles.writer}")
