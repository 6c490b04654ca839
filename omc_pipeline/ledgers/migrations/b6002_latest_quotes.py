"""The newest quote of every series in a small table that follows the ledger by triggers."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "b6002"
down_revision = "b6001"
branch_labels = None
depends_on = None

_COLUMNS = (
    "source", "symbol", "currency", "observed_at", "bid", "ask", "last", "version", "recorded_at", "payload_sha256", "row_sha256",
    "is_crossed",
)  # fmt: skip
_SERIES = ("source", "symbol", "currency")
_ALL, _OF_SERIES = ", ".join(_COLUMNS), ", ".join(_SERIES)
_SAME = " AND ".join(f"quote.{column} = series.{column}" for column in _SERIES)
_CHANGED = ", ".join(f"{column} = EXCLUDED.{column}" for column in _COLUMNS if column not in _SERIES)
_SEARCH = f"""
    SELECT newest.* FROM %s AS series, LATERAL (
        SELECT {_ALL} FROM exchange.quote WHERE {_SAME} ORDER BY observed_at DESC, version DESC LIMIT 1
    ) AS newest"""

TABLE = f"""
CREATE TABLE exchange.latest_quote (LIKE exchange.quote INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (symbol, currency, source))
    WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE FUNCTION exchange.keep_latest_quotes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO exchange.latest_quote AS kept ({_ALL})
    SELECT DISTINCT ON ({_OF_SERIES}) {_ALL} FROM added ORDER BY {_OF_SERIES}, observed_at DESC, version DESC
    ON CONFLICT ({_OF_SERIES}) DO UPDATE SET {_CHANGED}
    WHERE (EXCLUDED.observed_at, EXCLUDED.version) > (kept.observed_at, kept.version);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION exchange.keep_latest_quotes IS 'Bring the newest of the added quotes into exchange.latest_quote.';
CREATE FUNCTION exchange.find_latest_quotes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE exchange.latest_quote;
        RETURN NULL;
    END IF;
    DELETE FROM exchange.latest_quote WHERE ({_OF_SERIES}) IN (SELECT {_OF_SERIES} FROM removed);
    INSERT INTO exchange.latest_quote ({_ALL}) {_SEARCH % f"(SELECT DISTINCT {_OF_SERIES} FROM removed)"}
    ON CONFLICT ({_OF_SERIES}) DO NOTHING;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION exchange.find_latest_quotes IS 'Search the newest quote anew of every series that lost or changed a row.';
CREATE TRIGGER keep_latest AFTER INSERT ON exchange.quote
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION exchange.keep_latest_quotes();
CREATE TRIGGER find_latest_after_update AFTER UPDATE ON exchange.quote
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION exchange.find_latest_quotes();
CREATE TRIGGER find_latest_after_delete AFTER DELETE ON exchange.quote
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION exchange.find_latest_quotes();
CREATE TRIGGER find_latest_after_truncate AFTER TRUNCATE ON exchange.quote
    FOR EACH STATEMENT EXECUTE FUNCTION exchange.find_latest_quotes();
"""

# Skips from series to series in the primary key, so that a home of many quotes is as quick as one of few.
FILL = f"""
WITH RECURSIVE series AS (
    (SELECT {_OF_SERIES} FROM exchange.quote ORDER BY {_OF_SERIES} LIMIT 1)
    UNION ALL
    SELECT following.* FROM series, LATERAL (
        SELECT {_OF_SERIES} FROM exchange.quote AS quote
        WHERE (quote.source, quote.symbol, quote.currency) > (series.source, series.symbol, series.currency)
        ORDER BY {_OF_SERIES} LIMIT 1
    ) AS following
)
INSERT INTO exchange.latest_quote ({_ALL}) {_SEARCH % "series"}
"""


def upgrade() -> None:
    """Make the table, let it follow, and fill it from the quotes there are."""
    roles = role_names(op.get_bind())
    op.execute("LOCK TABLE exchange.quote IN SHARE ROW EXCLUSIVE MODE")
    op.execute(TABLE)
    op.execute("REVOKE EXECUTE ON FUNCTION exchange.keep_latest_quotes, exchange.find_latest_quotes FROM PUBLIC")
    op.execute(FILL)
    op.execute(f"GRANT SELECT ON exchange.latest_quote TO {roles.writer}, {roles.reader}, {roles.agent}")
