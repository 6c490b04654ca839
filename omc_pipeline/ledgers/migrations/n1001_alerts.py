"""Alerts with a life, and the outbox of messages; what was alerted of scores so far is carried over."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "n1001"
down_revision = "e5001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE omc.alert (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, raised_by text NOT NULL,
    source text NOT NULL, kind text NOT NULL, subject text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('low', 'medium', 'high')), score double precision, summary text NOT NULL,
    checks text[] NOT NULL DEFAULT '{}', rows text[] NOT NULL DEFAULT '{}', advice text NOT NULL, playbook text NOT NULL,
    opened_at timestamptz NOT NULL, confirmed_at timestamptz NOT NULL, resolved_at timestamptz,
    acknowledged_at timestamptz, acknowledged_by text NOT NULL DEFAULT '', snoozed_until timestamptz,
    announced_at timestamptz, announced_severity text, recovery_announced_at timestamptz
);
CREATE UNIQUE INDEX one_open_alert_of_a_cause ON omc.alert (source, kind, subject) WHERE resolved_at IS NULL;
CREATE INDEX alert_announced ON omc.alert (source, kind, subject, announced_at) WHERE announced_at IS NOT NULL;
CREATE INDEX alert_recovery_unannounced ON omc.alert (alert_id)
    WHERE resolved_at IS NOT NULL AND announced_at IS NOT NULL AND recovery_announced_at IS NULL;
CREATE TABLE omc.message (
    message_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL UNIQUE, topic text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('low', 'medium', 'high')), title text NOT NULL, body text NOT NULL,
    document jsonb NOT NULL, refers_to text, created_at timestamptz NOT NULL
);
CREATE TABLE omc.delivery (
    message_id bigint NOT NULL REFERENCES omc.message, channel text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed', 'dropped')),
    attempts integer NOT NULL DEFAULT 0, next_at timestamptz NOT NULL, last_failure text NOT NULL DEFAULT '', settled_at timestamptz,
    PRIMARY KEY (message_id, channel)
);
CREATE INDEX delivery_due ON omc.delivery (next_at) WHERE state = 'pending';
CREATE INDEX delivery_newest ON omc.delivery (channel, settled_at) WHERE state IN ('sent', 'failed');
"""
CARRIED_OVER = """
INSERT INTO omc.alert (
    raised_by, source, kind, subject, severity, score, summary, advice, playbook, opened_at, confirmed_at, resolved_at)
SELECT 'ledger ' || ledger, ledger, 'ledger', dimension, CASE WHEN score < 0.5 THEN 'high' ELSE 'medium' END, score,
    'The score of ' || dimension || ' fell below ' || threshold || '.', 'See which checks fail with `omc quality ' || ledger || '`.',
    'docs/how-to/when-a-source-breaks.md', opened_at, coalesce(closed_at, opened_at), closed_at
FROM quality.alert ORDER BY alert_id
"""


def upgrade() -> None:
    """Make the tables; the writer keeps them, the reader shows them."""
    roles = role_names(op.get_bind())
    op.execute(TABLES)
    op.execute(CARRIED_OVER)
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON omc.alert, omc.message, omc.delivery TO {roles.writer}")
    op.execute(f"GRANT SELECT ON omc.alert, omc.message, omc.delivery TO {roles.reader}")
