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
    qty {MONEY} NOT NULL, price {MONEY}, quote_amount {MONEY}, fee {MONEY} NOT NULL,
    fee_currency text NOT NULL, executed_at timestamptz NOT NULL,
    kind text NOT NULL DEFAULT 'trade' CHECK (kind IN ('trade', 'deposit', 'withdrawal', 'transfer', 'fee', 'staking', 'airdrop',
        'interest', 'hardfork', 'wages')),
    trade_id text, order_id text, algorithm_id text, {BOOKKEEPING},
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

READ_BY_PNL = """
CREATE INDEX ON exchange.fill (user_id, recorded_at);
COMMENT ON INDEX exchange.fill_user_id_recorded_at_idx IS 'What is new since a run.';
CREATE INDEX fill_of_several_coins ON exchange.fill (user_id, executed_at)
    WHERE currency <> 'AUD' OR fee_currency NOT IN (symbol, currency);
CREATE INDEX fill_corrected ON exchange.fill (user_id) WHERE version > 1;
CREATE INDEX fill_transfer ON exchange.fill (user_id, trade_id) WHERE kind = 'transfer';
CREATE INDEX ON exchange.quote (symbol, currency, observed_at);
CREATE INDEX ON glass.coin_price (symbol, observed_at);
"""

SUMS = ("bought_qty", "bought", "sold_qty", "matched_qty", "unmatched_qty", "proceeds", "cost", "fees", "income")
_SUMS = ", ".join(f"{name} {MONEY} NOT NULL" for name in SUMS)

PNL = f"""
CREATE SCHEMA pnl;
CREATE TABLE pnl.run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text NOT NULL, method text NOT NULL,
    fee_policy text NOT NULL, oversell_policy text NOT NULL, lot_policy text NOT NULL, currency text NOT NULL, rules integer NOT NULL,
    input_sha256 text NOT NULL, fills bigint NOT NULL, known_at timestamptz, positions bigint NOT NULL, matches bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON pnl.run (user_id, method, run_id);
COMMENT ON TABLE pnl.run IS 'One computation: what it knew and by which policies; it wrote only what had changed since the run before.';
COMMENT ON COLUMN pnl.run.input_sha256 IS 'Sum modulo 2^256 of the digests of all fills it knew, in their latest versions, in no order.';
COMMENT ON COLUMN pnl.run.known_at IS 'recorded_at of the newest fill it knew.';
CREATE TABLE pnl.position (
    position_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text NOT NULL, method text NOT NULL,
    symbol text NOT NULL, currency text NOT NULL, run_id bigint NOT NULL, trades bigint NOT NULL, last_at timestamptz, {_SUMS},
    qty {MONEY} GENERATED ALWAYS AS (bought_qty - matched_qty) STORED,
    open_cost {MONEY} GENERATED ALWAYS AS (bought - cost) STORED,
    realized {MONEY} GENERATED ALWAYS AS (proceeds - cost - fees) STORED,
    UNIQUE (user_id, method, currency, symbol)
);
COMMENT ON TABLE pnl.position IS 'What holds now; updated in place. How it came about is in pnl.daily and pnl.lot_match.';
COMMENT ON COLUMN pnl.position.bought IS 'Cost of everything ever acquired, sold or held.';
COMMENT ON COLUMN pnl.position.cost IS 'Cost of what was matched.';
COMMENT ON COLUMN pnl.position.realized IS 'Gains of all matches, less expensed fees.';
CREATE TABLE pnl.lot (
    position_id bigint NOT NULL, acquired_at timestamptz NOT NULL, lot_fill text COLLATE "C" NOT NULL, user_id text NOT NULL,
    account_id text NOT NULL, algorithm_id text, queue text NOT NULL, rank numeric NOT NULL, arrived_at timestamptz NOT NULL,
    qty {MONEY} NOT NULL, cost {MONEY} NOT NULL, open_qty {MONEY} NOT NULL CHECK (open_qty >= 0), open_cost {MONEY} NOT NULL,
    run_id bigint NOT NULL, PRIMARY KEY (position_id, acquired_at, lot_fill, queue)
);
CREATE INDEX open_lot_in_order ON pnl.lot (position_id, queue, rank, acquired_at, lot_fill) WHERE open_qty > 0;
COMMENT ON TABLE pnl.lot IS 'Every acquisition with what is left of it. Averaging methods have one lot "pool", which bears no date.';
COMMENT ON COLUMN pnl.lot.queue IS 'The account whose sells may take it; empty: any.';
COMMENT ON COLUMN pnl.lot.rank IS 'What the method goes by before time: the price, negative for hifo; 0 for other methods.';
CREATE TABLE pnl.lot_match (
    position_id bigint NOT NULL, run_id bigint NOT NULL, match_no bigint NOT NULL, user_id text NOT NULL, account_id text NOT NULL,
    sell_fill text NOT NULL, lot_fill text, qty {MONEY} NOT NULL, cost {MONEY} NOT NULL, proceeds {MONEY} NOT NULL,
    acquired_at timestamptz, disposed_at timestamptz NOT NULL, rule text, sell_algorithm text, lot_algorithm text,
    PRIMARY KEY (position_id, disposed_at, run_id, match_no)
);
COMMENT ON TABLE pnl.lot_match IS 'The audit trail, append-only; what holds of it now is pnl.live_match.';
COMMENT ON COLUMN pnl.lot_match.lot_fill IS 'NULL: sold at no cost for want of a lot. Averaging methods name their one lot "pool".';
COMMENT ON COLUMN pnl.lot_match.acquired_at IS 'NULL: a unit of a pool bears no date.';
CREATE TABLE pnl.restatement (
    position_id bigint NOT NULL, run_id bigint NOT NULL, user_id text NOT NULL, from_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (position_id, run_id)
);
COMMENT ON TABLE pnl.restatement IS 'From this instant on, the matches that earlier runs made of a position no longer hold.';
CREATE VIEW pnl.live_match WITH (security_invoker) AS
    SELECT m.position_id, m.run_id, m.match_no, m.user_id, p.method, p.symbol, p.currency, m.account_id, m.sell_fill, m.lot_fill,
        m.qty, m.cost, m.proceeds, m.proceeds - m.cost AS gain, m.acquired_at, m.disposed_at, m.rule, m.sell_algorithm, m.lot_algorithm
    FROM pnl.lot_match m JOIN pnl.position p USING (position_id)
    WHERE NOT EXISTS (
        SELECT FROM pnl.restatement r WHERE r.position_id = m.position_id AND r.run_id > m.run_id AND r.from_at <= m.disposed_at
    );
CREATE VIEW pnl.open_lot WITH (security_invoker) AS
    SELECT l.position_id, l.user_id, p.method, p.symbol, p.currency, l.account_id, l.lot_fill, l.open_qty AS qty, l.open_cost AS cost,
        CASE WHEN l.lot_fill <> 'pool' THEN l.acquired_at END AS acquired_at, l.algorithm_id
    FROM pnl.lot l JOIN pnl.position p USING (position_id) WHERE l.open_qty > 0;
CREATE TABLE pnl.checkpoint (
    position_id bigint NOT NULL, at timestamptz NOT NULL, user_id text NOT NULL, run_id bigint NOT NULL, trades bigint NOT NULL,
    last_at timestamptz, {_SUMS}, pools jsonb, PRIMARY KEY (position_id, at)
);
COMMENT ON TABLE pnl.checkpoint IS 'A position before everything from that midnight on: where a late fill makes a replay start.';
COMMENT ON COLUMN pnl.checkpoint.pools IS 'Of averaging methods; the lots of others are found by giving back what later matches took.';
CREATE TABLE pnl.daily (
    position_id bigint NOT NULL, day date NOT NULL, run_id bigint NOT NULL, user_id text NOT NULL, trades bigint NOT NULL, {_SUMS},
    PRIMARY KEY (position_id, day, run_id)
);
COMMENT ON TABLE pnl.daily IS 'What each run added to a UTC day; a day is the sum of its rows, and a later run never edits an earlier row.';
CREATE TABLE pnl.rate_use (
    source text NOT NULL, fill_id text NOT NULL, version integer NOT NULL, coin text NOT NULL, currency text NOT NULL,
    user_id text NOT NULL, rate {MONEY} NOT NULL, rate_id text NOT NULL, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, fill_id, version, coin, currency)
);
COMMENT ON TABLE pnl.rate_use IS 'The rate a fill was settled by, once and for all, and the ledger rows it comes from.';
CREATE TABLE pnl.valuation (
    valuation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    position_id bigint NOT NULL, run_id bigint NOT NULL, user_id text NOT NULL,
    price {MONEY} NOT NULL, price_source text NOT NULL, price_observed_at timestamptz NOT NULL,
    qty {MONEY} NOT NULL, value {MONEY} NOT NULL, unrealized {MONEY} NOT NULL, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (position_id, price_observed_at, run_id, price_source, price)
);
CREATE TABLE pnl.snapshot (
    position_id bigint NOT NULL, day date NOT NULL, version integer NOT NULL, run_id bigint NOT NULL, user_id text NOT NULL,
    qty {MONEY} NOT NULL, open_cost {MONEY} NOT NULL, realized {MONEY} NOT NULL, income {MONEY} NOT NULL, price {MONEY}, price_source text,
    price_observed_at timestamptz, value {MONEY}, unrealized {MONEY}, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (position_id, day, version)
);
COMMENT ON TABLE pnl.snapshot IS 'A position at the end of a UTC day; a restated day is a new version.';
CREATE TABLE pnl.exception (
    exception_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id text NOT NULL, method text NOT NULL, run_id bigint NOT NULL,
    kind text NOT NULL, symbol text NOT NULL, fill_id text, qty {MONEY}, message text NOT NULL, occurred_at timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleared_run bigint, cleared_at timestamptz, resolved_by text, resolved_at timestamptz, reason text,
    CHECK ((resolved_by IS NULL) = (resolved_at IS NULL) AND (resolved_by IS NULL) = (reason IS NULL))
);
CREATE UNIQUE INDEX ON pnl.exception (user_id, method, kind, symbol, fill_id, qty) NULLS NOT DISTINCT WHERE cleared_at IS NULL;
COMMENT ON TABLE pnl.exception IS 'What needs a person: open until a later run finds it gone, or a person says why it may stay.';
"""

PER_USER = (
    "exchange.fill",
    "exchange.balance",
    "pnl.run",
    "pnl.position",
    "pnl.lot",
    "pnl.lot_match",
    "pnl.restatement",
    "pnl.checkpoint",
    "pnl.daily",
    "pnl.rate_use",
    "pnl.valuation",
    "pnl.snapshot",
    "pnl.exception",
)
AGENT_READS = (
    "glass.protocol_tvl", "glass.protocol_fees", "glass.coin_price", "human.sentiment", "catalyst.event", "catalyst.outbox",
    "exchange.quote", "quality.score", *PER_USER, "pnl.live_match", "pnl.open_lot",
)  # fmt: skip


def upgrade() -> None:
    """Make the schemas, then grant each role the least it needs."""
    roles = role_names(op.get_bind())
    for statements in (RAW, LEDGERS, QUALITY, READ_BY_PNL, PNL):
        op.execute(statements)
    for schema in ("raw", "glass", "human", "catalyst", "exchange", "quality", "pnl"):
        op.execute(f"GRANT USAGE ON SCHEMA {schema} TO {roles.writer}, {roles.reader}")
        op.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema} TO {roles.writer}")
        op.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {roles.reader}")
        op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {roles.writer}")
    op.execute(f"GRANT UPDATE (resolved_at) ON raw.quarantine TO {roles.writer}")
    op.execute(f"GRANT UPDATE (score, closed_at) ON quality.alert TO {roles.writer}")
    op.execute(f"GRANT UPDATE ON pnl.position TO {roles.writer}")
    op.execute(f"GRANT UPDATE, DELETE ON pnl.lot, pnl.checkpoint TO {roles.writer}")
    op.execute(f"GRANT UPDATE (cleared_run, cleared_at, resolved_by, resolved_at, reason) ON pnl.exception TO {roles.writer}")
    for schema in ("glass", "human", "catalyst", "exchange", "quality", "pnl"):
        op.execute(f"GRANT USAGE ON SCHEMA {schema} TO {roles.agent}")
    op.execute(f"GRANT SELECT ON {', '.join(AGENT_READS)} TO {roles.agent}")
    for table in PER_USER:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY all_users ON {table} TO {roles.owner}, {roles.writer}, {roles.reader} USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY own_rows ON {table} FOR SELECT TO {roles.agent} USING (user_id = current_setting('omc.user_id', true))")
