"""Parts of the revision that renames fills, frozen with it. Not here: revisions; Alembic takes every file beside them for one."""
