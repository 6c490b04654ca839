"""Raw store, four ledgers, quality, pnl."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "p0001"
down_revision = "i0001"
branch_labels = None
depends_on = None

MONEY = "numeric(38,18)"

BOOKKEEPING = """
    version integer NOT NULL CHECK (version >= 1),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload_sha256 text,
    row_sha256 text NOT NULL
"""

RAW = """
CREATE SCHEMA raw;
COMMENT ON SCHEMA raw IS 'Every response body, content-addressed, and every fetch that brought it.';
CREATE TABLE raw.payload (
    sha256 text PRIMARY KEY,
    body bytea NOT NULL,
    size_bytes bigint NOT NULL,
    media_type text NOT NULL,
    first_seen_at timestamptz NOT NULL
);
COMMENT ON COLUMN raw.payload.body IS 'zstd';
CREATE TABLE raw.fetch (
    fetch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    url text NOT NULL,
    status integer NOT NULL,
    payload_sha256 text NOT NULL REFERENCES raw.payload,
    context jsonb NOT NULL DEFAULT '{}',
    etag text,
    last_modified text,
    fetched_at timestamptz NOT NULL,
    UNIQUE (source, url, fetched_at, payload_sha256)
);
CREATE INDEX ON raw.fetch (source, fetched_at);
CREATE INDEX ON raw.fetch (payload_sha256);
CREATE TABLE raw.quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    reason text NOT NULL,
    row jsonb NOT NULL,
    row_sha256 text NOT NULL,
    payload_sha256 text,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz,
    UNIQUE (source, reason, row_sha256)
);
COMMENT ON TABLE raw.quarantine IS 'Rows that failed their checks, with the reason and the body they came from.';
"""

LEDGERS = f"""
CREATE SCHEMA glass;
CREATE TABLE glass.protocol_tvl (
    source text NOT NULL, protocol text NOT NULL, observed_at timestamptz NOT NULL,
    symbol text, name text NOT NULL, category text, tvl_usd {MONEY} NOT NULL, mcap_usd {MONEY}, {BOOKKEEPING},
    PRIMARY KEY (source, protocol, observed_at, version)
);
CREATE INDEX ON glass.protocol_tvl (observed_at);
CREATE TABLE glass.protocol_fees (
    source text NOT NULL, protocol text NOT NULL, observed_at timestamptz NOT NULL,
    name text NOT NULL, fees_24h_usd {MONEY}, fees_7d_usd {MONEY}, fees_30d_usd {MONEY}, {BOOKKEEPING},
    PRIMARY KEY (source, protocol, observed_at, version)
);
CREATE INDEX ON glass.protocol_fees (observed_at);
CREATE TABLE glass.coin_price (
    source text NOT NULL, symbol text NOT NULL, observed_at timestamptz NOT NULL,
    price_usd {MONEY} NOT NULL, confidence {MONEY}, {BOOKKEEPING},
    PRIMARY KEY (source, symbol, observed_at, version)
);
CREATE INDEX ON glass.coin_price (observed_at);

CREATE SCHEMA human;
CREATE TABLE human.sentiment (
    source text NOT NULL, symbol text NOT NULL, metric text NOT NULL, observed_at timestamptz NOT NULL,
    score {MONEY} NOT NULL, label text, {BOOKKEEPING},
    PRIMARY KEY (source, symbol, metric, observed_at, version)
);
CREATE INDEX ON human.sentiment (observed_at);

CREATE SCHEMA catalyst;
CREATE TABLE catalyst.event (
    source text NOT NULL, event_id text NOT NULL, event_type text NOT NULL, symbol text, ticker text,
    issuer text NOT NULL, title text NOT NULL, form text, items text, url text NOT NULL, filed_on date,
    published_at timestamptz NOT NULL, {BOOKKEEPING},
    PRIMARY KEY (source, event_id, version)
);
CREATE INDEX ON catalyst.event (published_at);
CREATE INDEX ON catalyst.event (symbol, published_at);
CREATE TABLE catalyst.outbox (
    source text NOT NULL,
    event_id text NOT NULL,
    published_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (source, event_id)
);
CREATE INDEX ON catalyst.outbox (recorded_at);
COMMENT ON TABLE catalyst.outbox IS 'One row a new event, written by the trigger in the transaction of the event.';
CREATE FUNCTION catalyst.announce() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE announced bigint;
BEGIN
    INSERT INTO catalyst.outbox (source, event_id, published_at, recorded_at)
    SELECT source, event_id, published_at, recorded_at FROM added WHERE version = 1
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS announced = ROW_COUNT;
    IF announced > 0 THEN
        PERFORM pg_notify('catalyst', announced::text);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER announce AFTER INSERT ON catalyst.event
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION catalyst.announce();

CREATE SCHEMA exchange;
CREATE TABLE exchange.quote (
    source text NOT NULL, symbol text NOT NULL, currency text NOT NULL, observed_at timestamptz NOT NULL,
    bid {MONEY}, ask {MONEY}, last {MONEY}, {BOOKKEEPING},
    PRIMARY KEY (source, symbol, currency, observed_at, version)
);
CREATE INDEX ON exchange.quote (observed_at);
CREATE TABLE exchange.fill (
    source text NOT NULL, fill_id text NOT NULL, user_id text NOT NULL, account_id text NOT NULL,
    symbol text NOT NULL, currency text NOT NULL, side text NOT NULL CHECK (side IN ('buy', 'sell')),
    qty {MONEY} NOT NULL, price {MONEY} NOT NULL, quote_amount {MONEY} NOT NULL, fee {MONEY} NOT NULL,
    fee_currency text NOT NULL, executed_at timestamptz NOT NULL, {BOOKKEEPING},
    PRIMARY KEY (source, fill_id, version)
);
CREATE INDEX ON exchange.fill (user_id, symbol, executed_at);
CREATE INDEX ON exchange.fill (executed_at);
CREATE TABLE exchange.balance (
    source text NOT NULL, user_id text NOT NULL, account_id text NOT NULL, symbol text NOT NULL,
    observed_at timestamptz NOT NULL, qty {MONEY} NOT NULL, value_aud {MONEY}, {BOOKKEEPING},
    PRIMARY KEY (source, user_id, account_id, symbol, observed_at, version)
);
CREATE INDEX ON exchange.balance (observed_at);
"""

QUALITY = """
CREATE SCHEMA quality;
CREATE TABLE quality.score (
    run_id uuid NOT NULL, ledger text NOT NULL,
    completeness_score double precision NOT NULL, timeliness_score double precision NOT NULL,
    accuracy_score double precision NOT NULL, overall_score double precision NOT NULL, mean_score double precision NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, ledger)
);
CREATE INDEX ON quality.score (ledger, recorded_at);
CREATE TABLE quality.check_result (
    run_id uuid NOT NULL, ledger text NOT NULL, source text NOT NULL, name text NOT NULL, dimension text NOT NULL,
    severity text NOT NULL, passed boolean NOT NULL, score double precision NOT NULL, observed text, expected text NOT NULL,
    rows bigint NOT NULL, window_from timestamptz NOT NULL, window_to timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, source, name)
);
CREATE INDEX ON quality.check_result (ledger, recorded_at);
CREATE TABLE quality.alert (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ledger text NOT NULL, dimension text NOT NULL,
    score double precision NOT NULL, threshold double precision NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(), closed_at timestamptz
);
CREATE UNIQUE INDEX one_open_alert ON quality.alert (ledger, dimension) WHERE closed_at IS NULL;
"""

PNL = f"""
CREATE SCHEMA pnl;
CREATE TABLE pnl.run (
    run_id uuid PRIMARY KEY, user_id text NOT NULL, method text NOT NULL, fee_policy text NOT NULL, oversell_policy text NOT NULL,
    input_sha256 text NOT NULL, fills bigint NOT NULL, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON pnl.run (user_id, method, recorded_at);
COMMENT ON TABLE pnl.run IS 'One computation; the latest of a user and method is the one that holds.';
CREATE TABLE pnl.lot_match (
    run_id uuid NOT NULL REFERENCES pnl.run, match_no bigint NOT NULL, user_id text NOT NULL, symbol text NOT NULL, currency text NOT NULL,
    sell_fill text NOT NULL, lot_fill text, qty {MONEY} NOT NULL, cost {MONEY} NOT NULL, proceeds {MONEY} NOT NULL,
    gain {MONEY} NOT NULL CHECK (gain = proceeds - cost), acquired_at timestamptz, disposed_at timestamptz NOT NULL, rule text,
    PRIMARY KEY (run_id, match_no)
);
COMMENT ON COLUMN pnl.lot_match.lot_fill IS 'NULL: sold at no cost for want of a lot. Averaging methods name their one lot "pool".';
COMMENT ON COLUMN pnl.lot_match.acquired_at IS 'NULL: a unit of a pool bears no date.';
CREATE TABLE pnl.open_lot (
    run_id uuid NOT NULL REFERENCES pnl.run, user_id text NOT NULL, symbol text NOT NULL, currency text NOT NULL,
    lot_fill text NOT NULL, qty {MONEY} NOT NULL, cost {MONEY} NOT NULL, acquired_at timestamptz,
    PRIMARY KEY (run_id, symbol, currency, lot_fill)
);
CREATE TABLE pnl.position (
    run_id uuid NOT NULL REFERENCES pnl.run, user_id text NOT NULL, symbol text NOT NULL, currency text NOT NULL,
    qty {MONEY} NOT NULL, cost {MONEY} NOT NULL, bought_qty {MONEY} NOT NULL, bought {MONEY} NOT NULL, sold_qty {MONEY} NOT NULL,
    unmatched_qty {MONEY} NOT NULL, proceeds {MONEY} NOT NULL, realized {MONEY} NOT NULL, expensed_fees {MONEY} NOT NULL,
    PRIMARY KEY (run_id, symbol, currency)
);
COMMENT ON COLUMN pnl.position.bought IS 'Cost of everything ever acquired, sold or held.';
COMMENT ON COLUMN pnl.position.realized IS 'Sum of the gains of all matches, less expensed fees.';
CREATE TABLE pnl.valuation (
    valuation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES pnl.run, user_id text NOT NULL, symbol text NOT NULL, currency text NOT NULL,
    price {MONEY} NOT NULL, price_source text NOT NULL, price_observed_at timestamptz NOT NULL,
    value {MONEY} NOT NULL, unrealized {MONEY} NOT NULL, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (run_id, symbol, currency, price_observed_at, price_source, price)
);
CREATE TABLE pnl.exception (
    run_id uuid NOT NULL REFERENCES pnl.run, exception_no bigint NOT NULL, user_id text NOT NULL, kind text NOT NULL,
    symbol text NOT NULL, fill_id text, qty {MONEY}, message text NOT NULL, PRIMARY KEY (run_id, exception_no)
);
"""

PER_USER = (
    "exchange.fill",
    "exchange.balance",
    "pnl.run",
    "pnl.lot_match",
    "pnl.open_lot",
    "pnl.position",
    "pnl.valuation",
    "pnl.exception",
)
AGENT_READS = (
    "glass.protocol_tvl", "glass.protocol_fees", "glass.coin_price", "human.sentiment", "catalyst.event", "catalyst.outbox",
    "exchange.quote", "quality.score", *PER_USER,
)  # fmt: skip


def upgrade() -> None:
    """Make the schemas, then grant each role the least it needs."""
    roles = role_names(op.get_bind())
    for statements in (RAW, LEDGERS, QUALITY, PNL):
        op.execute(statements)
    for schema in ("raw", "glass", "human", "catalyst", "exchange", "quality", "pnl"):
        op.execute(f"GRANT USAGE ON SCHEMA {schema} TO {roles.writer}, {roles.reader}")
        op.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema} TO {roles.writer}")
        op.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {roles.reader}")
        op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {roles.writer}")
    op.execute(f"GRANT UPDATE (resolved_at) ON raw.quarantine TO {roles.writer}")
    op.execute(f"GRANT UPDATE (score, closed_at) ON quality.alert TO {roles.writer}")
    for schema in ("glass", "human", "catalyst", "exchange", "quality", "pnl"):
        op.execute(f"GRANT USAGE ON SCHEMA {schema} TO {roles.agent}")
    op.execute(f"GRANT SELECT ON {', '.join(AGENT_READS)} TO {roles.agent}")
    for table in PER_USER:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY all_users ON {table} TO {roles.owner}, {roles.writer}, {roles.reader} USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY own_rows ON {table} FOR SELECT TO {roles.agent} USING (user_id = current_setting('omc.user_id', true))")
