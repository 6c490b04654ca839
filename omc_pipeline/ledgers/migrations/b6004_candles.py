"""Candles of all origins in one table by month, with the gaps between them as a view."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names
from omc_pipeline.ledgers.knowledge import guard_table

revision = "b6004"
down_revision = "b6003"
branch_labels = None
depends_on = None

MONEY = "numeric(38,18)"
TABLES = f"""
CREATE TABLE glass.candle (
    source text NOT NULL, origin text NOT NULL, symbol text NOT NULL, currency text NOT NULL, interval text NOT NULL,
    opened_at timestamptz NOT NULL, open {MONEY} NOT NULL, high {MONEY} NOT NULL, low {MONEY} NOT NULL, close {MONEY} NOT NULL,
    volume {MONEY}, samples integer NOT NULL,
    version integer NOT NULL CHECK (version >= 1), recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload_sha256 text, row_sha256 text NOT NULL,
    PRIMARY KEY (source, origin, symbol, currency, interval, opened_at, version)
) PARTITION BY RANGE (opened_at);
CREATE INDEX ON glass.candle (symbol, currency, interval, opened_at);
CREATE INDEX ON glass.candle (interval, opened_at);
CREATE INDEX ON glass.candle USING brin (recorded_at) WITH (autosummarize = on);
CREATE TABLE partitions.glass_candle_earlier PARTITION OF glass.candle
    FOR VALUES FROM (MINVALUE) TO (date_trunc('month', now(), 'UTC') + interval '1 month');
CREATE TABLE partitions.glass_candle_later PARTITION OF glass.candle
    FOR VALUES FROM (date_trunc('month', now(), 'UTC') + interval '1 month') TO (MAXVALUE);
INSERT INTO omc.partitioned SELECT 'glass.candle', 'opened_at', month, month
    FROM (SELECT date_trunc('month', now(), 'UTC') + interval '1 month' AS month) AS next;
SELECT omc.make_months('glass.candle', now(), now() + interval '1 month');
CREATE TABLE glass.candle_cursor (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    recorded_until timestamptz NOT NULL,
    closed_until timestamptz NOT NULL
);
CREATE VIEW glass.candle_gap WITH (security_invoker) AS
    SELECT origin, symbol, currency, interval, previous + span AS since, opened_at AS until,
        round(extract(epoch FROM opened_at - previous) / extract(epoch FROM span))::integer - 1 AS missing
    FROM (
        SELECT DISTINCT origin, symbol, currency, interval, opened_at,
            CASE interval WHEN '1m' THEN interval '1 minute' WHEN '5m' THEN interval '5 minutes'
                WHEN '1h' THEN interval '1 hour' ELSE interval '1 day' END AS span,
            max(opened_at) OVER (
                PARTITION BY origin, symbol, currency, interval ORDER BY opened_at
                RANGE BETWEEN UNBOUNDED PRECEDING AND '1 microsecond' PRECEDING
            ) AS previous
        FROM glass.candle
    ) AS following
    WHERE opened_at > previous + span;
"""


def upgrade() -> None:
    """Make the table, its cursor and the view of gaps."""
    roles = role_names(op.get_bind())
    op.execute(TABLES)
    for statement in guard_table("glass.candle"):
        op.execute(statement)
    op.execute(f"GRANT SELECT, INSERT ON glass.candle TO {roles.writer}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON glass.candle_cursor TO {roles.writer}")
    op.execute(f"GRANT SELECT ON glass.candle_gap TO {roles.writer}")
    op.execute(f"GRANT SELECT ON glass.candle, glass.candle_cursor, glass.candle_gap TO {roles.reader}")
    op.execute(f"GRANT SELECT ON glass.candle, glass.candle_gap TO {roles.agent}")
