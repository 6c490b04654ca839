"""Each kind of fault that the checks of the whole are for: planted alone in days of sound data, red by name, with what fails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.benches.quality_days import Days, fill_days, prepare, store_body
from omc_pipeline.benches.quality_sound import SOUND
from omc_pipeline.benches.quality_trial import trial
from omc_pipeline.benches.quality_work import faults, judged_faults, judged_sound
from omc_pipeline.ledgers.table import LEDGERS
from omc_pipeline.quality import CheckOutcome, QualityReport, run_source_checks, run_suites

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def days(database: Database) -> Days:
    """Return the span of sound days that the module's database holds."""
    return fill_days(database)


@dataclass(frozen=True)
class Case:
    """A fault: the source it is in, what plants it, the check it turns red, and words of the thing that the check names."""

    source: str
    check: str
    words: str
    statements: tuple[str, ...]


PRICES, ACCOUNT, MAPS, CANDLES = "exchange_coinspot_prices", "exchange_coinspot_account", "glass_defillama", "glass_market_candles"
GONE_HOUR = "BETWEEN %(now)s - interval '{} min' AND %(now)s - interval '{} min'"
CASES = {
    "a symbol is missing": Case(PRICES, "quote_coverage", "DOGE AUD missing from", (
        "DELETE FROM exchange.quote WHERE symbol = 'DOGE' AND observed_at > %(now)s - interval '30 h'",)),
    "a symbol was missing": Case(PRICES, "quote_gaps", "DOGE AUD from", (
        f"DELETE FROM exchange.quote WHERE symbol = 'DOGE' AND observed_at {GONE_HOUR.format(230, 180)}",)),
    "a symbol was missing until yesterday": Case(PRICES, "quote_gaps", "DOGE AUD from", (
        f"DELETE FROM exchange.quote WHERE symbol = 'DOGE' AND observed_at {GONE_HOUR.format(4000, 1440)}",)),
    "a gap closed two minutes ago": Case(PRICES, "quote_gaps", "all from", (
        f"DELETE FROM exchange.quote WHERE observed_at {GONE_HOUR.format(16, 2)}",)),
    "a gap closed yesterday": Case(PRICES, "quote_gaps", "all from", (
        f"DELETE FROM exchange.quote WHERE observed_at {GONE_HOUR.format(1500, 1440)}",)),
    "a gap of hourly rows": Case(MAPS, "coin_price_gaps", "from", (
        f"DELETE FROM glass.coin_price WHERE observed_at {GONE_HOUR.format(480, 180)}",)),
    "a protocol has no rows since hours": Case(MAPS, "protocol_tvl_gaps", "jito from", (
        "DELETE FROM glass.protocol_tvl WHERE protocol = 'jito' AND observed_at > %(now)s - interval '6 h'",)),
    "rows are few": Case(PRICES, "quote_volume", "rows from", (
        "DELETE FROM exchange.quote WHERE observed_at > %(now)s - interval '2 h' AND abs(hashtext(symbol || observed_at)) %% 10 < 6",)),
    "a field of one thing vanished": Case(MAPS, "protocol_tvl_optional_fields", "lido lacks mcap_usd", (
        "UPDATE glass.protocol_tvl SET mcap_usd = NULL WHERE protocol = 'lido' AND observed_at > %(now)s - interval '5 h'",)),
    "a price of one symbol vanished hours ago": Case(PRICES, "quote_symbol_fields", "ADA AUD lacks last", (
        "UPDATE exchange.quote SET last = NULL WHERE symbol = 'ADA' AND observed_at > %(now)s - interval '3 h'",)),
    "rows come late": Case(PRICES, "quote_steady_lag", "rows from", (
        "UPDATE exchange.quote SET recorded_at = observed_at + interval '20 min' WHERE observed_at > %(now)s - interval '1 h'",
        "DELETE FROM exchange.quote WHERE recorded_at > %(now)s")),
    "answers can't be read": Case(PRICES, "answers_read", "latest", (
        "UPDATE raw.fetch SET parsed_at = NULL WHERE source = 'exchange_coinspot_prices' AND fetched_at > %(now)s - interval '7 min'",)),
    "answers that can't be read are no look": Case(PRICES, "looked", "", (
        "UPDATE raw.fetch SET parsed_at = NULL WHERE source = 'exchange_coinspot_prices' AND fetched_at > %(now)s - interval '7 min'",)),
    "a share of the rows is refused": Case(PRICES, "rows_accepted", "price is no number", (
        ("INSERT INTO raw.quarantine (source, reason, row, row_sha256, recorded_at) SELECT 'exchange_coinspot_prices', 'price is no "
        "number',"
        " '{}', n::text, %(now)s - interval '1 min' FROM generate_series(1, 12) AS n"),)),
    "all prices leap": Case(PRICES, "quote_leaps", "all symbols times", (
        "UPDATE exchange.quote SET bid = bid * 10, ask = ask * 10, last = last * 10 WHERE observed_at > %(now)s - interval '9 min'",)),
    "all prices are in dollars": Case(PRICES, "quote_fx_band", "", (
        ("UPDATE exchange.quote SET bid = bid * 0.6579, ask = ask * 0.6579, last = last * 0.6579 WHERE observed_at > %(now)s - interval "
        "'2 h'"),)),
    "a symbol is frozen": Case(PRICES, "quote_symbol_moves", "XRP AUD unchanged from", (
        "UPDATE exchange.quote SET bid = 3.5, ask = 3.6, last = 3.55 WHERE symbol = 'XRP' AND observed_at > %(now)s - interval '26 min'",)),
    "a symbol is frozen for hours": Case(PRICES, "quote_symbol_moves", "XRP AUD unchanged from", (
        "UPDATE exchange.quote SET bid = 3.5, ask = 3.6, last = 3.55 WHERE symbol = 'XRP' AND observed_at > %(now)s - interval '5 h'",)),
    "a symbol is off since half an hour": Case(PRICES, "quote_symbol_spikes", "ADA AUD times", (
        ("UPDATE exchange.quote SET bid = bid * 1.2, ask = ask * 1.2, last = last * 1.2 WHERE symbol = 'ADA'"
        " AND observed_at > %(now)s - interval '35 min'"),)),
    "a dollar price leaps": Case(MAPS, "coin_price_symbol_leaps", "SOL times", (
        "UPDATE glass.coin_price SET price_usd = price_usd * 100 WHERE symbol = 'SOL' AND observed_at > %(now)s - interval '100 min'",)),
    "an announcement is held twice": Case("catalyst_coinspot_announcements", "event_distinct", "New Coin Listing", (
        ("INSERT INTO catalyst.event (event_id, event_type, symbol, issuer, title, url, published_at, source, version, recorded_at, "
        "row_sha256)"
        " SELECT event_id || '9', event_type, symbol, issuer, 'Update: ' || title, url || '-2', published_at + interval '5 min', source, 1,"
        " recorded_at, 'x' FROM catalyst.event WHERE source = 'catalyst_coinspot_announcements' ORDER BY published_at DESC LIMIT 1"),)),
    "an item of news is held twice": Case("human_news", "news_distinct", "", (
        ("INSERT INTO human.news (feed, guid, published_at, title, link, source, version, recorded_at, row_sha256) SELECT feed, guid "
        "|| '-2',"
        " published_at + interval '4 min', title || '!', link || '-2', source, 1, recorded_at, 'x' FROM human.news ORDER BY "
        "published_at DESC"
        " LIMIT 1"),)),
    "an impact is off its scale": Case("catalyst_sec_edgar", "event_impact_on_scale", "0001050446-26", (
        "ALTER TABLE catalyst.event DROP CONSTRAINT event_impact",
        ("UPDATE catalyst.event SET impact = 11 WHERE source = 'catalyst_sec_edgar' AND published_at = (SELECT max(published_at) FROM"
        " catalyst.event WHERE source = 'catalyst_sec_edgar')"))),
    "an index is stuck": Case("human_fear_greed", "sentiment_varies", "MARKET fear_greed unchanged from", (
        "UPDATE human.sentiment SET score = 50 WHERE metric = 'fear_greed' AND observed_at > %(now)s - interval '7 d'",)),
    "a balance changes without a fill": Case(ACCOUNT, "balance_follows_fills", "bench ETH held", (
        "UPDATE exchange.balance SET qty = qty / 2 WHERE symbol = 'ETH' AND observed_at > %(now)s - interval '12 min'",)),
    "a fill is far from its market": Case(ACCOUNT, "fill_near_market", "bench", (
        ("UPDATE exchange.fill SET price = price * 2, quote_amount = quote_amount * 2 WHERE symbol = 'SOL' AND executed_at = (SELECT"
        " max(executed_at) FROM exchange.fill)"),)),
    "a part is no longer its share of the whole": Case(MAPS, "protocol_fees_parts_agree", "aave at", (
        ("UPDATE glass.protocol_fees SET fees_24h_usd = fees_24h_usd / 2 WHERE protocol = 'aave-v3' AND observed_at > %(now)s - "
        "interval '2 h'"),)),
    "an hour is not what its minutes are": Case(CANDLES, "market_candle_parts_agree", "kraken ETH AUD 1h", (
        ("UPDATE glass.market_candle SET volume = volume * 2 WHERE symbol = 'ETH' AND interval = '1h' AND opened_at = (SELECT "
        "max(opened_at)"
        " FROM glass.market_candle WHERE interval = '1h' AND is_final)"),)),
}  # fmt: skip


def judged(database: Database, days: Days, source: str, *statements: str) -> dict[str, CheckOutcome]:
    with trial(database) as (changed, connection):
        for statement in statements:
            connection.execute(statement, {"now": days.until})
        return {outcome.name: outcome for outcome in run_source_checks(changed, days.sources[source], days.until)}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_fault_turns_its_check_red_and_the_check_names_what_fails(database: Database, days: Days, case: Case) -> None:
    outcome = judged(database, days, case.source, *case.statements)[case.check]

    assert not outcome.passed
    assert any(case.words in example for example in outcome.examples) or not case.words
    assert outcome.advice


def test_sound_days_fail_no_check(database: Database, days: Days, settings: Settings) -> None:
    with trial(database) as (changed, _):
        report = run_suites(changed, list(days.sources.values()), settings, days.until, LEDGERS)

    assert failing(report) == set()


def test_a_gap_is_red_until_it_is_filled(database: Database, days: Days) -> None:
    gone = f"DELETE FROM exchange.quote WHERE observed_at {GONE_HOUR.format(400, 300)} RETURNING *"
    fill = f"""WITH gone AS ({gone}) SELECT 1 FROM gone"""
    kept = f"CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT * FROM exchange.quote WHERE observed_at {GONE_HOUR.format(400, 300)}"

    open_gap = judged(database, days, PRICES, fill)["quote_gaps"]
    filled = judged(database, days, PRICES, kept, fill, "INSERT INTO exchange.quote SELECT * FROM kept")["quote_gaps"]

    assert (open_gap.passed, filled.passed) == (False, True)


@pytest.mark.parametrize("scene", SOUND)
def test_what_only_looks_like_a_fault_raises_no_alert(database: Database, days: Days, settings: Settings, scene: str) -> None:
    with trial(database) as (changed, connection):
        prepare(connection)
        for statement in SOUND[scene]:
            connection.execute(statement, {"now": days.until, "since": days.since})
        report = run_suites(changed, list(days.sources.values()), settings, days.until, LEDGERS)

    assert [(alert.ledger, alert.dimension) for alert in report.alerts] == []


@pytest.mark.parametrize(
    ("body", "check", "words"),
    [
        ('{"prices": {"btc": {"ask": "2", "last": "1"}, "eth": {"ask": "2", "last": "1"}}}', "payload_keys", "prices.*.bid vanished"),
        ('{"prices": {"btc": {"bid": 1, "ask": "2"}, "eth": {"bid": 1, "ask": "2"}}}', "payload_keys", "prices.*.bid was text, is number"),
        ('{"prices": {"btc": {"bid": "1", "vol": 2}, "eth": {"bid": "1", "vol": 2}}}', "payload_new_keys", "prices.*.vol"),
    ],
    ids=["vanished", "retyped", "new"],
)
def test_a_changed_key_of_an_answer_is_named(database: Database, days: Days, body: str, check: str, words: str) -> None:
    with trial(database) as (changed, connection):
        store_body(connection, body, f"changed {check} {words}", days.until)
        connection.execute(
            "UPDATE raw.fetch SET payload_sha256 = %s WHERE source = %s AND fetched_at > %s",
            [f"changed {check} {words}", PRICES, days.until - timedelta(minutes=3)],
        )
        outcomes = {outcome.name: outcome for outcome in run_source_checks(changed, days.sources[PRICES], days.until)}

    assert not outcomes[check].passed
    assert any(words in example for example in outcomes[check].examples)


@pytest.mark.slow
def test_of_sixty_random_faults_nearly_all_are_red_and_alerted_and_sound_days_are_quiet(database: Database, days: Days) -> None:
    seen = list(judged_faults(database, days, faults(60, 20260318, days.until)))
    sound = [moment for moment in judged_sound(database, days) if moment.is_moment]

    needing = [each for each in seen if each.fault.needs_action]
    assert sum(bool(each.red) for each in seen) / len(seen) >= 0.97, [each.fault for each in seen if not each.red]
    assert sum(each.alerted for each in needing) / len(needing) >= 0.95, [each.fault for each in needing if not each.alerted]
    assert sum(len(moment.alerts) for moment in sound) <= 1, sound


def failing(report: QualityReport) -> set[str]:
    return {check.name for quality in report.ledgers.values() for check in quality.checks if not check.passed}
