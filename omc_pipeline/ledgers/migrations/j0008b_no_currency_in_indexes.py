"""The index of fills that change several coins knows money from coins, and prefers no currency."""

from __future__ import annotations

from alembic import op

revision = "j0008b"
down_revision = "j0008"
branch_labels = None
depends_on = None

IS_MONEY = """
CREATE FUNCTION exchange.is_money(symbol text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN symbol IN (
    'AUD', 'USD', 'EUR', 'GBP', 'CAD', 'AED', 'BRL', 'CHF', 'CNY', 'CZK', 'DKK', 'HKD', 'HUF', 'IDR', 'ILS', 'INR', 'JPY',
    'KRW', 'MXN', 'MYR', 'NOK', 'NZD', 'PHP', 'PLN', 'SEK', 'SGD', 'THB', 'TRY', 'TWD', 'VND', 'ZAR'
);
COMMENT ON FUNCTION exchange.is_money(text) IS 'Whether a symbol is money rather than a coin. Another list needs its indexes made anew.';
"""
INDEX = """
DROP INDEX IF EXISTS exchange.fill_of_several_coins;
CREATE INDEX fill_of_several_coins ON exchange.fill (user_id, executed_at)
    WHERE NOT exchange.is_money(currency) OR fee_currency NOT IN (symbol, currency);
"""


def upgrade() -> None:
    """Make the index anew, without a currency of its own."""
    op.execute(IS_MONEY)
    op.execute(INDEX)
