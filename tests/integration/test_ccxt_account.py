"""Accounts at Kraken and Binance through ccxt, which asks only through the polite client and only to read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from pydantic import SecretStr
from sandboxed import one, spoil

from omc_infra.clock import utc_now
from omc_infra.errors import AccessDeniedError, BadInputError, RateLimitedError, UpstreamRefusedError
from omc_infra.http import InProcessLimits, open_http
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings, load_settings
from omc_pipeline.collection.accounts import AccountRow, add_account
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.equipment import source_keys
from omc_pipeline.collection.readiness import not_configured_reason
from omc_pipeline.collection.replay import replay
from omc_pipeline.collection.state import states
from omc_pipeline.sandbox import serving
from omc_pipeline.sandbox.account import fills
from omc_pipeline.sandbox.running import state_file
from omc_pipeline.sandbox.state import State
from omc_pipeline.sandbox.world import World
from omc_pipeline.sources._ccxt_talk import Conversation
from omc_pipeline.sources._ccxt_venue import policy_of
from omc_pipeline.sources.exchange_ccxt_account import SOURCE as PATIENT
from omc_pipeline.sources.exchange_ccxt_account import CcxtAccountConfig

SOURCE = replace(
    PATIENT,
    venues=replace(PATIENT.venues, policy=lambda venue: replace(policy_of(venue), requests_per_s=1_000.0, burst=100)),  # type: ignore[type-var]
)
CONFIG = CcxtAccountConfig(first_day=(utc_now() - timedelta(days=100)).date())
VENUES = ("kraken", "binance")
WRONG = SecretStr("bm8gc3VjaCBrZXk=")


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    """Run a sandbox for the module."""
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def account_at(database: Database, venue: str, user: str, account_id: str | None = None) -> AccountRow:
    with database.connect("writer") as connection, connection.transaction():
        return add_account(connection, user, venue, SOURCE.name, account_id)


def rows(database: Database, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with database.connect("reader") as connection:
        return connection.execute(statement, values).fetchall()


def told_by_venue(settings: Settings, account: str) -> list[tuple[str, str, Decimal]]:
    world = World(settings.sandbox_seed, utc_now, State(state_file(settings)))
    found = fills(world, utc_now() - timedelta(minutes=1), account)
    return sorted((fill.side, fill.coin, Decimal(f"{fill.amount:.8f}")) for fill in found)


@pytest.mark.parametrize("venue", VENUES)
def test_an_account_is_read_whole_and_a_second_time_adds_nothing(database: Database, sandboxed: Settings, venue: str) -> None:
    account = account_at(database, venue, "ada")

    collect(SOURCE, database, sandboxed, config=CONFIG, account=account)
    again = collect(SOURCE, database, sandboxed, config=CONFIG, account=account)

    trades = "SELECT side, symbol, qty FROM exchange.fill WHERE account_id = %s AND kind = 'trade' AND executed_at < %s"
    assert sorted(rows(database, trades, account.account_id, utc_now() - timedelta(minutes=1))) == told_by_venue(sandboxed, f"ada-{venue}")
    assert again.tables["exchange.fill"].inserted == again.tables["exchange.fill"].changed == 0
    assert again.quarantined == 0
    kinds = dict(rows(database, "SELECT kind, count(*) FROM exchange.fill WHERE account_id = %s GROUP BY 1", account.account_id))
    assert kinds["deposit"] == 2
    assert kinds["withdrawal"] >= 4
    assert ("staking" in kinds) == (venue == "kraken")


@pytest.mark.parametrize("venue", VENUES)
def test_what_the_fills_say_is_what_the_venue_says_is_held(database: Database, sandboxed: Settings, venue: str) -> None:
    account = account_at(database, venue, "bob")
    cash = "AUD" if venue == "kraken" else "USDT"

    collect(SOURCE, database, sandboxed, config=CONFIG, account=account)

    summed = rows(
        database,
        """SELECT symbol, sum(qty) FROM (
            SELECT symbol, CASE side WHEN 'buy' THEN qty ELSE -qty END AS qty FROM exchange.fill WHERE account_id = %(a)s
            UNION ALL SELECT fee_currency, -fee FROM exchange.fill WHERE account_id = %(a)s
            UNION ALL SELECT currency, CASE side WHEN 'buy' THEN -quote_amount ELSE quote_amount END
                FROM exchange.fill WHERE account_id = %(a)s AND kind = 'trade') AS flows GROUP BY 1 HAVING sum(qty) <> 0""".replace(
            "%(a)s", "%s"
        ),
        *[account.account_id] * 3,
    )
    newest = "SELECT symbol, qty FROM exchange.balance WHERE account_id = %s AND qty <> 0 ORDER BY observed_at DESC"
    held = dict(reversed(rows(database, newest, account.account_id)))
    assert dict(summed) == held
    assert {"BTC", "SOL", cash} <= held.keys()


def test_a_stored_answer_is_read_again_without_a_network_and_gives_the_same(database: Database, sandboxed: Settings) -> None:
    began = utc_now()
    account = account_at(database, "kraken", "carl")
    collect(SOURCE, database, sandboxed, config=CONFIG, account=account)

    again = replay(SOURCE, database, began, utc_now())

    assert again.payloads > 5
    assert again.tables["exchange.fill"].unchanged > 100
    assert [(did.inserted, did.changed) for did in again.tables.values()] == [(0, 0), (0, 0)]


def test_a_key_that_may_trade_is_refused_before_anything_is_read(database: Database, sandboxed: Settings) -> None:
    for venue, right in (("kraken", "modify-trades"), ("binance", "enableSpotAndMarginTrading")):
        account = account_at(database, venue, "dora", f"dora-{venue}-trading")

        with pytest.raises(AccessDeniedError, match=f"can do more than read.*{right}"):
            collect(SOURCE, database, sandboxed, config=CONFIG, account=account)

        assert one(database, "SELECT count(*) FROM exchange.fill WHERE account_id = %s", account.account_id) == 0


def test_no_key_and_no_signature_is_kept_anywhere(database: Database, sandboxed: Settings) -> None:
    account = account_at(database, "binance", "eve")
    collect(SOURCE, database, sandboxed, config=CONFIG, account=account)

    kept = rows(database, "SELECT url, context::text FROM raw.fetch WHERE context->>'account_id' = %s", account.account_id)

    assert {url.split("?")[0].rpartition("/")[2] for url, _ in kept} >= {"account", "myTrades", "hisrec", "history", "apiRestrictions"}
    assert not [url for url, _ in kept if "signature" in url or "timestamp" in url]
    assert not [text for row in kept for text in row if "sandbox-binance-secret" in text or "sandbox-binance-eve" in text]


def test_the_list_of_markets_is_asked_for_once_a_day(database: Database, sandboxed: Settings) -> None:
    before = one(database, "SELECT count(*) FROM raw.fetch WHERE url LIKE '%%/kraken/0/public/AssetPairs%%'")
    for user in ("fay", "gil"):
        collect(SOURCE, database, sandboxed, config=CONFIG, account=account_at(database, "kraken", user))

    assert one(database, "SELECT count(*) FROM raw.fetch WHERE url LIKE '%%/kraken/0/public/AssetPairs%%'") - before <= 1
    assert one(database, "SELECT count(*) FROM raw.fetch WHERE url LIKE '%%/kraken/0/public/AssetPairs%%'") == 1


def test_only_methods_that_read_may_ask(database: Database, sandboxed: Settings) -> None:
    account = account_at(database, "kraken", "hal")
    keys = source_keys(SOURCE, account, sandboxed)

    with open_http(SOURCE.name, policy_of("kraken"), sandboxed, keys=keys, limits=InProcessLimits()) as http:
        talk = Conversation(http, account, 3_600.0)

        with localcontext(), pytest.raises(UpstreamRefusedError, match="AddOrder of kraken, which"):  # ccxt changes its rounding
            talk.exchange.create_order("BTC/AUD", "limit", "buy", "1", "1")
        with pytest.raises(UpstreamRefusedError, match="not a read-only method"):
            talk.call("create_order", "BTC/AUD", "limit", "buy", "1", "1")
        with pytest.raises(UpstreamRefusedError, match="directly"):
            talk.exchange.fetch("https://api.kraken.com/0/public/Time")


def test_failures_of_a_venue_have_their_names(database: Database, sandboxed: Settings) -> None:
    account = account_at(database, "binance", "ivy")
    stranger = AccountRow(**{**{name: getattr(account, name) for name in account.__dataclass_fields__}, "venue": "kraken"})
    spoil(sandboxed, "binance", "429", 8)

    with pytest.raises(RateLimitedError, match="binance"):
        collect(SOURCE, database, sandboxed, config=CONFIG, account=account, endpoints=[SOURCE.endpoint("balances")])
    with pytest.raises(BadInputError, match="no account for exchange_ccxt_account"):
        collect(SOURCE, database, sandboxed.model_copy(update={"user": "nobody"}))
    with open_http(SOURCE.name, policy_of("kraken"), sandboxed, keys=dict.fromkeys(("kraken", "kraken_secret"), WRONG)) as http:
        talk = Conversation(http, stranger, 3_600.0)
        with pytest.raises(AccessDeniedError, match="EAPI:Invalid key"):
            talk.require_read_only()


def test_accounts_are_added_by_venue_and_each_has_keys_of_its_own(database: Database, sandboxed: Settings) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")} | sandboxed.environ()
    command = [
        sys.executable,
        "-c",
        "from omc_infra.cli import main; main()",
        "accounts",
        "add",
        "--venue",
        "binance",
        "--user",
        "jon",
        "--json",
    ]

    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 0, ran.stderr
    assert '"source": "exchange_ccxt_account"' in ran.stdout
    live = load_settings({"OMC_HOME": str(sandboxed.home), "OMC_PROFILE": "live"})
    account = account_at(database, "kraken", "jon", "jon-k")
    with pytest.raises(Exception, match="OMC_KEY_KRAKEN__JON_K and OMC_KEY_KRAKEN_SECRET__JON_K"):
        source_keys(SOURCE, account, live)


def test_without_an_account_the_source_is_not_configured(settings: Settings, database: Database) -> None:
    with database.connect("reader") as connection:
        nothing = states(connection, "no_such_source")

    assert "omc accounts add VENUE" in str(not_configured_reason(SOURCE, settings, nothing))


def test_without_the_extra_the_source_says_how_to_install_it(sandboxed: Settings) -> None:
    hidden = "import sys; sys.modules['ccxt'] = None; import importlib.util as u; f = u.find_spec; "
    hidden += "u.find_spec = lambda name, *rest: None if name == 'ccxt' else f(name, *rest); "
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")} | sandboxed.environ()
    code = hidden + "from omc_infra.cli import main; main()"

    ran = subprocess.run(
        [sys.executable, "-c", code, "collect", SOURCE.name], env=environ, capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 2, ran.stderr
    assert "is not configured" in ran.stderr
    assert "uv sync --inexact --extra ccxt" in ran.stderr
