"""Bodies that lie in S3: the table holds where, and whatever is let go of is deleted there, too."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "b7004"
down_revision = "b7003"
branch_labels = None
depends_on = None

UNWANTED = r"""
CREATE TABLE raw.unwanted (place text NOT NULL, sha256 text NOT NULL, PRIMARY KEY (place, sha256));
COMMENT ON TABLE raw.unwanted IS 'Bodies that were let go of here, and are still to be deleted where they lie.';
COMMENT ON COLUMN raw.unwanted.place IS 'Bucket and prefix.';
COMMENT ON COLUMN raw.payload.body IS
    'zstd, or obj: and the place in S3; NULL: let go after its retention, and stored again when the same bytes are fetched again';
CREATE FUNCTION raw.note_unwanted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO raw.unwanted VALUES (convert_from(substr(OLD.body, 5), 'UTF8'), OLD.sha256) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION raw.note_unwanted() FROM PUBLIC;
CREATE TRIGGER note_unwanted_body AFTER UPDATE OF body OR DELETE ON raw.payload FOR EACH ROW
    WHEN (OLD.body IS NOT NULL AND substr(OLD.body, 1, 4) = '\x6f626a3a'::bytea) EXECUTE FUNCTION raw.note_unwanted();
"""


def upgrade() -> None:
    """Make the table and the trigger that fills it; the writer empties it."""
    roles = role_names(op.get_bind())
    op.execute(UNWANTED)
    op.execute(f"GRANT SELECT, DELETE ON raw.unwanted TO {roles.writer}")
    op.execute(f"GRANT SELECT ON raw.unwanted TO {roles.reader}")
