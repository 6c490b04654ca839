"""Texts of model calls may be let go once their session is finished."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "m0003"
down_revision = "m0002"
branch_labels = None
depends_on = None

CALLS = """
ALTER TABLE agents.model_call ALTER COLUMN request DROP NOT NULL, ALTER COLUMN response DROP NOT NULL;
COMMENT ON COLUMN agents.model_call.response IS 'NULL, as the request: let go after its retention; question, model and usage stay';
"""


def upgrade() -> None:
    """Let the agent role empty the texts of its user's finished sessions, and nothing else."""
    roles = role_names(op.get_bind())
    op.execute(CALLS)
    op.execute(f"GRANT UPDATE (request, response) ON agents.model_call TO {roles.agent}")
    op.execute(
        f"CREATE POLICY emptied_when_finished ON agents.model_call AS RESTRICTIVE FOR UPDATE TO {roles.agent}"
        " USING (EXISTS (SELECT FROM agents.session WHERE session.session_id = model_call.session_id"
        " AND session.status IN ('published', 'refused', 'failed')))"
        " WITH CHECK (request IS NULL AND response IS NULL)"
    )
