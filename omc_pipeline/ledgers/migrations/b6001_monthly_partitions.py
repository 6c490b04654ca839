"""Quotes and candles by month: what is there becomes the oldest partition as it is, months are made ahead from the next one on.

No row is rewritten. The old table is attached whole, which costs one scan that checks its times; a killed migration is rolled back and
simply run again. Rows of a later month than the first new one (there should be none) are moved to where they belong.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from omc_infra.postgres.roles import role_names

revision = "b6001"
down_revision = "b7004"
branch_labels = None
depends_on = None

MONTHLY = (("exchange.quote", "observed_at"), ("glass.market_candle", "opened_at"))

REGISTER = """
CREATE SCHEMA partitions;
COMMENT ON SCHEMA partitions IS 'Parts of large tables by month; read and written through the tables that they are parts of.';
CREATE TABLE omc.partitioned (
    table_name text PRIMARY KEY,
    clock text NOT NULL,
    first_month timestamptz NOT NULL,
    next_month timestamptz NOT NULL,
    CHECK (first_month <= next_month)
);
"""

# Two partitions without an end, and no DEFAULT one: then the partitions have an order, and the newest row of a series is found in the
# newest of them. The lock is asked for briefly, less than a deadlock takes to be found: without it the rows wait in a partition
# without an end, and the daily maintenance moves them.
MAKE_MONTHS = """
CREATE FUNCTION omc.make_months(name text, since timestamptz, until timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '200ms' AS $$
DECLARE
    known omc.partitioned;
    wanted_first timestamptz := date_trunc('month', greatest(since, timestamptz '2009-01-01'));
    wanted_next timestamptz := date_trunc('month', least(until, now() + interval '1 year')) + interval '1 month';
    earlier text;
    later text;
    is_empty boolean;
    made integer := 0;
BEGIN
    SELECT * INTO known FROM omc.partitioned WHERE table_name = name;
    IF NOT FOUND OR (wanted_first >= known.first_month AND wanted_next <= known.next_month) THEN
        RETURN 0;
    END IF;
    earlier := format('partitions.%I', replace(name, '.', '_') || '_earlier');
    later := format('partitions.%I', replace(name, '.', '_') || '_later');
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', name);
    SELECT * INTO known FROM omc.partitioned WHERE table_name = name FOR UPDATE;
    IF wanted_first < known.first_month THEN
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %s)', earlier) INTO is_empty;
        IF is_empty THEN
            EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', name, earlier);
            made := made + omc.make_month_tables(name, wanted_first, known.first_month);
            EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (MINVALUE) TO (%L)', name, earlier, wanted_first);
            UPDATE omc.partitioned SET first_month = wanted_first WHERE table_name = name;
        END IF;
    END IF;
    IF wanted_next > known.next_month THEN
        EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', name, later);
        made := made + omc.make_month_tables(name, known.next_month, wanted_next);
        EXECUTE format('WITH moved AS (DELETE FROM %s WHERE %I < %L RETURNING *) INSERT INTO %s SELECT * FROM moved',
            later, known.clock, wanted_next, name);
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (MAXVALUE)', name, later, wanted_next);
        UPDATE omc.partitioned SET next_month = wanted_next WHERE table_name = name;
    END IF;
    RETURN made;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END $$;
COMMENT ON FUNCTION omc.make_months IS
    'Make the monthly partitions of a table for a span of its clock; none where another transaction keeps the table busy.';
CREATE FUNCTION omc.make_month_tables(name text, first timestamptz, following timestamptz) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    made integer := 0;
    month timestamptz := first;
BEGIN
    WHILE month < following LOOP
        EXECUTE format('CREATE TABLE partitions.%I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
            replace(name, '.', '_') || to_char(month, '_YYYY_MM'), name, month, month + interval '1 month');
        made := made + 1;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION omc.make_month_tables IS 'Make the partitions of a span of months; called by omc.make_months, which holds the table.';
"""


def upgrade() -> None:
    """Make the register and its functions, then give each large table its months."""
    roles = role_names(op.get_bind())
    op.execute(REGISTER)
    op.execute(MAKE_MONTHS)
    op.execute("REVOKE EXECUTE ON FUNCTION omc.make_months, omc.make_month_tables FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION omc.make_months TO {roles.writer}")
    op.execute(f"GRANT SELECT ON omc.partitioned TO {roles.writer}, {roles.reader}")
    for table, clock in MONTHLY:
        _by_month(table, clock)


def _by_month(table: str, clock: str) -> None:
    """Put a partitioned table in the place of a plain one, which becomes its first partition."""
    bind, schema, part = op.get_bind(), table.partition(".")[0], table.replace(".", "_")
    triggers = bind.execute(
        text("SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = CAST(:t AS regclass) AND NOT tgisinternal"),
        {"t": table},
    ).all()
    grants = bind.execute(
        text(
            "SELECT grantee::regrole::text, string_agg(privilege_type, ', ') FROM pg_class, aclexplode(relacl)"
            " WHERE oid = CAST(:t AS regclass) AND grantee <> relowner GROUP BY 1"
        ),
        {"t": table},
    ).all()
    op.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    next_month = bind.execute(text("SELECT date_trunc('month', now(), 'UTC') + interval '1 month'")).scalar_one().isoformat()
    for name, _ in triggers:
        op.execute(f"DROP TRIGGER {name} ON {table}")
    op.execute(f"ALTER TABLE {table} RENAME TO {part}_earlier")
    op.execute(f"ALTER TABLE {schema}.{part}_earlier SET SCHEMA partitions")
    for role, _ in grants:
        op.execute(f"REVOKE ALL ON partitions.{part}_earlier FROM {role}")
    op.execute(f"CREATE TABLE {table} (LIKE partitions.{part}_earlier INCLUDING ALL) PARTITION BY RANGE ({clock})")
    op.execute(f"CREATE TABLE partitions.{part}_later PARTITION OF {table} FOR VALUES FROM ('{next_month}') TO (MAXVALUE)")
    op.execute(
        f"WITH moved AS (DELETE FROM partitions.{part}_earlier WHERE {clock} >= '{next_month}' RETURNING *)"
        f" INSERT INTO {table} SELECT * FROM moved"
    )
    op.execute(f"ALTER TABLE {table} ATTACH PARTITION partitions.{part}_earlier FOR VALUES FROM (MINVALUE) TO ('{next_month}')")
    for role, privileges in grants:
        op.execute(f"GRANT {privileges} ON {table} TO {role}")
    for _, definition in triggers:
        op.execute(definition)
    _register(table, clock, next_month)


def _register(table: str, clock: str, next_month: str) -> None:
    """Make the months of a new table from this one on; the months of a table that holds rows begin after them."""
    part = table.replace(".", "_")
    is_empty = op.get_bind().execute(text(f"SELECT NOT EXISTS (SELECT FROM partitions.{part}_earlier)")).scalar_one()
    op.execute(f"INSERT INTO omc.partitioned VALUES ('{table}', '{clock}', '{next_month}', '{next_month}')")
    since = "now()" if is_empty else f"'{next_month}'"
    op.execute(f"SELECT omc.make_months('{table}', {since}, now() + interval '1 month')")
