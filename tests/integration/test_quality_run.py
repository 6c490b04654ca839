"""Suites over a real PostgreSQL and real Great Expectations: a sound platform, and every way we know to break one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from omc_infra.errors import UpstreamUnavailableError
from omc_infra.http import HostPolicy
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.discovery import BrokenSource, discover_sources
from omc_pipeline.collection.source import Endpoint, Source
from omc_pipeline.collection.state import CollectorKey, record_failure, record_success
from omc_pipeline.ledgers.catalyst import EVENT, CatalystEvent
from omc_pipeline.ledgers.exchange import BALANCE, FILL, QUOTE, Balance, Fill, Quote
from omc_pipeline.ledgers.glass import COIN_PRICE, PROTOCOL_FEES, PROTOCOL_TVL, CoinPrice, ProtocolFees, ProtocolTvl
from omc_pipeline.ledgers.human import SENTIMENT, Sentiment
from omc_pipeline.ledgers.table import LEDGERS, LedgerTable, Row, key_of, row_digest
from omc_pipeline.quality import CheckOutcome, QualityReport, check_specs, run_source_checks, run_suites
from omc_pipeline.quality.check import DIMENSIONS
from omc_pipeline.quality.score import LedgerScore
from omc_pipeline.quality.store import open_alerts, update_alerts

NOW = datetime.now(UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
COINS = {"BTC": 100_000, "ETH": 4_000, "SOL": 200, "XRP": 2, "ADA": 1}
AUD = Decimal("1.52")


def _never(*_: Any) -> Any:
    raise AssertionError("the suites need neither fetch nor parse")


def source(name: str, every_s: int, *tables: LedgerTable) -> Source:
    host = HostPolicy(live_urls=("https://example.invalid",), sandbox_path="/x", requests_per_s=1)
    endpoints = (Endpoint("all", "* * * * *", every_s, _never),)
    return Source(name, name, tables, endpoints, _never, "https://example.invalid", host)


GLASS = source("glass_maps", 3600, PROTOCOL_TVL, PROTOCOL_FEES, COIN_PRICE)
HUMAN = source("human_mood", 86400, SENTIMENT)
CATALYST = source("catalyst_papers", 600, EVENT)
PRICES = source("exchange_prices", 300, QUOTE)
ACCOUNT = source("exchange_account", 900, FILL, BALANCE)
SOURCES = (GLASS, HUMAN, CATALYST, PRICES, ACCOUNT)


def quote(symbol: str, at: datetime, **changed: Decimal | None) -> Quote:
    price = COINS[symbol] * AUD
    return dataclasses.replace(Quote(symbol, "AUD", at, price * Decimal("0.995"), price * Decimal("1.005"), price), **changed)


def price(symbol: str, at: datetime) -> CoinPrice:
    return CoinPrice(symbol, at, Decimal(COINS[symbol]), Decimal("0.99"))


def fill(number: int, at: datetime, **changed: Any) -> Fill:
    whole = Fill(
        f"f{number}", "demo", "venue", "ETH", "AUD", "buy", Decimal(number), Decimal(6000), Decimal(6000 * number), Decimal(6), "AUD", at
    )
    return dataclasses.replace(whole, **changed)


def filing(number: int, at: datetime, **changed: Any) -> CatalystEvent:
    accession = f"0001050446-26-{number:06d}"
    whole = CatalystEvent(
        accession,
        "filing",
        "BTC",
        "MSTR",
        "Strategy",
        f"8-K {number}",
        "8-K",
        "8.01",
        f"https://www.sec.gov/{accession}.htm",
        at.date(),
        at,
    )
    return dataclasses.replace(whole, **changed)


def mood(day: datetime, score: int) -> Sentiment:
    return Sentiment("MARKET", "fear_greed", day.replace(hour=0, minute=0, second=0, microsecond=0), Decimal(score), "Fear")


@dataclass(frozen=True)
class Platform:
    """The database under test, and short words to fill it."""

    database: Database
    settings: Settings

    def add(self, title_source: Source, *rows: Row, recorded_at: datetime = NOW, payload: str = "body") -> None:
        """Insert rows as new versions."""
        with self.database.engine("writer").begin() as connection:
            for row in rows:
                table = row.table
                key = " AND ".join(f"{name} = :{name}" for name in ("source", *table.key))
                values = {name: getattr(row, name) for name in table.fields}
                book = {"source": title_source.name, "recorded_at": recorded_at, "payload_sha256": payload, "row_sha256": row_digest(row)}
                connection.execute(
                    text(
                        f"INSERT INTO {table.qualified} ({', '.join([*values, *book])}, version) VALUES "
                        f"({', '.join(f':{name}' for name in [*values, *book])}, (SELECT count(*) + 1 FROM {table.qualified} WHERE {key}))"
                    ),
                    {**values, **book, **dict(zip(table.key, key_of(row), strict=True))},
                )

    def look(self, asked: Source, at: datetime = NOW, status: int = 200, url: str = "https://example.invalid/a") -> None:
        """Note that a source was asked."""
        with self.database.engine("writer").begin() as connection:
            connection.execute(text("INSERT INTO raw.payload VALUES ('body', ''::bytea, 0, '', :at) ON CONFLICT DO NOTHING"), {"at": at})
            connection.execute(
                text(
                    "INSERT INTO raw.fetch (source, url, request_sha256, status, payload_sha256, fetched_at)"
                    " VALUES (:source, :url, :url, :status, 'body', :at)"
                ),
                {"source": asked.name, "url": url, "status": status, "at": at},
            )
        self.state(asked, at, failed=status >= 400)

    def state(self, asked: Source, at: datetime, endpoint: str = "all", *, failed: bool = False) -> None:
        """Note how an endpoint was collected."""
        key = CollectorKey(asked.name, endpoint)
        with self.database.connect("writer") as connection:
            if failed:
                record_failure(connection, key, UpstreamUnavailableError("503"), now=at, pause_after=0)
            else:
                record_success(connection, key, rows=1, seconds=0.1, now=at)
            connection.commit()

    def collect_all(self, *but: Source, at: datetime = NOW) -> None:
        """Fill every ledger as one first collection would, but leave out some sources."""
        collect = {
            GLASS.name: lambda: self._collect_glass(at),
            HUMAN.name: lambda: self.add(HUMAN, *(mood(at - n * DAY, 20 + n % 40) for n in range(60)), recorded_at=at),
            CATALYST.name: lambda: self.add(CATALYST, *(filing(n, at - 26 * HOUR - n * 1.5 * DAY) for n in range(40)), recorded_at=at),
            PRICES.name: lambda: self.add(PRICES, *(quote(symbol, at) for symbol in COINS), recorded_at=at),
            ACCOUNT.name: lambda: self._collect_account(at),
        }
        for one in SOURCES:
            if one not in but:
                collect[one.name]()
                self.look(one, at)

    def _collect_glass(self, at: datetime) -> None:
        for number, protocol in enumerate(("lido", "aave", "uniswap", "jito")):
            tvl = Decimal(10**9 * (number + 1))
            midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
            moments = {at - MINUTE, *(midnight - n * DAY for n in range(1, 30))}
            self.add(GLASS, *(ProtocolTvl(protocol, moment, None, protocol, "DeFi", tvl, None) for moment in moments), recorded_at=at)
            fees = ProtocolFees(protocol, at.replace(minute=0, second=0, microsecond=0), protocol, tvl / 1000, tvl / 150, tvl / 40)
            self.add(GLASS, fees, recorded_at=at)
        self.add(GLASS, *(price(symbol, at - 3 * MINUTE) for symbol in COINS), recorded_at=at)

    def _collect_account(self, at: datetime) -> None:
        self.add(ACCOUNT, *(fill(n, at - 5 * DAY - n * HOUR) for n in range(1, 31)), recorded_at=at)
        self.add(ACCOUNT, Balance("demo", "venue", "ETH", at, Decimal(465), None), recorded_at=at)

    def report(self, now: datetime = NOW, threshold: float = 0.7) -> QualityReport:
        settings = self.settings.model_copy(update={"alert_threshold": threshold})
        return run_suites(self.database, SOURCES, settings, now, LEDGERS)

    def outcome(self, asked: Source, name: str, now: datetime = NOW) -> CheckOutcome:
        return next(outcome for outcome in run_source_checks(self.database, asked, now) if outcome.name == name)


@pytest.fixture
def platform(database: Database, settings: Settings) -> Platform:
    """Return an empty platform."""
    tables = (PROTOCOL_TVL, PROTOCOL_FEES, COIN_PRICE, SENTIMENT, EVENT, QUOTE, FILL, BALANCE)
    others = (
        "raw.payload",
        "raw.fetch",
        "raw.quarantine",
        "catalyst.outbox",
        "quality.score",
        "quality.check_result",
        "quality.alert",
        "collection.state",
    )
    with database.engine("owner").begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join([*(table.qualified for table in tables), *others])} CASCADE"))
    return Platform(database, settings)


def scores(report: QualityReport) -> dict[str, float]:
    return {f"{ledger} {dimension}": quality.scores.of(dimension) for ledger, quality in report.ledgers.items() for dimension in DIMENSIONS}


def failing(report: QualityReport) -> set[str]:
    return {check.name for quality in report.ledgers.values() for check in quality.checks if not check.passed}


@pytest.mark.slow
def test_one_first_collection_of_good_data_scores_well_everywhere(platform: Platform) -> None:
    platform.collect_all()

    report = platform.report(NOW + MINUTE)

    assert failing(report) == set()
    assert {name: score for name, score in scores(report).items() if score <= 0.9} == {}
    assert list(report.alerts) == []


def test_an_empty_database_scores_zero_in_every_dimension_and_alerts(platform: Platform) -> None:
    report = platform.report()

    assert set(scores(report).values()) == {0.0}
    assert report.platform_score == 0.0
    assert len(report.alerts) == len(LEDGERS) * (len(DIMENSIONS) + 1)


def test_feeds_that_are_all_a_month_stale_score_zero_and_alert(platform: Platform) -> None:
    platform.collect_all()

    report = platform.report(NOW + 31 * DAY)

    assert {ledger: quality.scores.overall_score for ledger, quality in report.ledgers.items()} == dict.fromkeys(LEDGERS, 0.0)
    assert {alert.ledger for alert in report.alerts} == set(LEDGERS)


@pytest.mark.slow
def test_a_price_feed_dead_for_days_is_not_hidden_by_the_ledgers_other_source(platform: Platform) -> None:
    platform.collect_all(PRICES)
    platform.add(PRICES, *(quote(symbol, NOW - 3 * DAY) for symbol in COINS), recorded_at=NOW - 3 * DAY)
    platform.look(PRICES, NOW - 3 * DAY)

    report = platform.report()

    assert report.ledgers["exchange"].scores.timeliness_score == 0.0
    assert report.ledgers["exchange"].scores.completeness_score == 0.0
    assert {alert.ledger for alert in report.alerts} == {"exchange"}
    assert min(score for name, score in scores(report).items() if not name.startswith("exchange")) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("age", [365 * DAY, MINUTE], ids=["old", "fresh"])
def test_one_row_ever_is_no_complete_price_feed(platform: Platform, age: timedelta) -> None:
    platform.collect_all(PRICES)
    platform.add(PRICES, quote("BTC", NOW - age))
    platform.look(PRICES)

    report = platform.report()

    assert report.ledgers["exchange"].scores.completeness_score < 0.5
    assert ("exchange", "completeness") in {(alert.ledger, alert.dimension) for alert in report.alerts}


def test_an_age_over_a_day_counts_its_days(platform: Platform) -> None:
    platform.add(PRICES, quote("BTC", NOW - 5 * DAY - HOUR))

    outcome = platform.outcome(PRICES, "quote_fresh")

    assert outcome.value == pytest.approx(5 * 86400 + 3600, abs=1)
    assert outcome.observed == "435600 s (5 d 1 h 0 min)"
    assert (outcome.passed, outcome.score) == (False, 0.0)


def test_the_null_check_fires_when_bids_are_missing(platform: Platform) -> None:
    platform.add(PRICES, *(quote(symbol, NOW) for symbol in COINS))
    assert platform.outcome(PRICES, "quote_wanted_fields").passed
    platform.add(PRICES, *(quote(symbol, NOW, bid=None, last=None) for symbol in ("BTC", "ETH", "SOL")))

    outcome = platform.outcome(PRICES, "quote_wanted_fields")

    assert not outcome.passed
    assert outcome.value == pytest.approx(1 - 6 / 15)
    assert len(outcome.examples) == 3


def test_a_blank_required_text_is_not_a_filled_one(platform: Platform) -> None:
    platform.look(CATALYST)
    platform.add(CATALYST, filing(1, NOW - DAY), filing(2, NOW - DAY, title="  "))

    outcome = platform.outcome(CATALYST, "event_required_fields")

    assert (outcome.passed, outcome.value, outcome.examples) == (False, 0.5, ("0001050446-26-000002",))


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ("quote_uncrossed", {"bid": Decimal(200_000)}),
        ("quote_positive", {"bid": Decimal(-1)}),
        ("quote_positive", {"ask": Decimal(0), "bid": None}),
    ],
)
def test_one_wrong_quote_blocks_and_alerts_and_is_named(platform: Platform, check: str, wrong: dict[str, Decimal | None]) -> None:
    platform.collect_all()
    platform.add(PRICES, *(quote(symbol, NOW - n * MINUTE) for symbol in COINS for n in range(1, 50)))
    platform.add(PRICES, quote("BTC", NOW - 30 * MINUTE, **wrong))

    report = platform.report()

    outcome = next(c for c in report.ledgers["exchange"].checks if c.name == check)
    assert (outcome.passed, outcome.blocking, outcome.severity) == (False, True, "critical")
    assert outcome.examples == (f"BTC AUD {(NOW - 30 * MINUTE).isoformat()}",)
    assert ("exchange", "accuracy") in {(alert.ledger, alert.dimension) for alert in report.alerts}


@pytest.mark.slow
@pytest.mark.parametrize("factor", [Decimal("0.001"), Decimal(100)])
@pytest.mark.parametrize(("check", "minutes"), [("quote_symbol_spikes", 1), ("quote_symbol_agrees", 50)])
def test_one_symbol_in_another_unit_alerts_when_it_begins_and_as_long_as_it_lasts(
    platform: Platform, check: str, minutes: int, factor: Decimal
) -> None:
    platform.collect_all()
    platform.add(PRICES, *(quote(symbol, NOW - n * MINUTE) for symbol in COINS for n in range(1, 50)))
    symbol = next(iter(COINS))
    right = quote(symbol, NOW)
    wrong = {name: getattr(right, name) * factor for name in ("bid", "ask", "last")}
    before = {c.name: c.passed for c in platform.report().ledgers["exchange"].checks}
    platform.add(PRICES, *(quote(symbol, NOW - n * MINUTE, **wrong) for n in range(minutes)))

    report = platform.report()

    after = next(c for c in report.ledgers["exchange"].checks if c.name == check)
    assert (before[check], after.passed, after.value) == (True, False, 1)
    assert ("exchange", "accuracy") in {(alert.ledger, alert.dimension) for alert in report.alerts}


def test_a_wrong_quote_that_was_corrected_is_judged_by_its_correction(platform: Platform) -> None:
    platform.add(PRICES, quote("BTC", NOW, bid=Decimal(200_000)))
    assert not platform.outcome(PRICES, "quote_uncrossed").passed
    platform.add(PRICES, quote("BTC", NOW))

    assert platform.outcome(PRICES, "quote_uncrossed").passed


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ("fill_positive", {"qty": Decimal(0), "quote_amount": Decimal(0)}),
        ("fill_arithmetic", {"quote_amount": Decimal(6200)}),
        ("fill_fee_sign", {"fee": Decimal("-0.01")}),
    ],
)
def test_one_wrong_fill_blocks_however_old_it_is(platform: Platform, check: str, wrong: dict[str, Decimal]) -> None:
    platform.collect_all()
    platform.add(ACCOUNT, fill(1, NOW - 900 * DAY, fill_id="bad", **wrong))

    report = platform.report()

    outcome = next(c for c in report.ledgers["exchange"].checks if c.name == check)
    assert (outcome.passed, outcome.blocking, outcome.examples) == (False, True, ("venue bad",))
    assert report.ledgers["exchange"].scores.accuracy_score <= 0.5


def test_a_trade_told_twice_under_two_ids_is_a_duplicate_and_twins_of_one_answer_are_not(platform: Platform) -> None:
    twin = fill(3, NOW - DAY)
    platform.add(ACCOUNT, twin, dataclasses.replace(twin, fill_id="twin"), payload="first")
    assert platform.outcome(ACCOUNT, "fill_told_once").passed
    assert not platform.outcome(ACCOUNT, "fill_no_twins").passed
    platform.add(ACCOUNT, dataclasses.replace(twin, fill_id="again"), payload="second")

    outcome = platform.outcome(ACCOUNT, "fill_told_once")

    assert (outcome.passed, outcome.blocking) == (False, True)


def test_balances_that_fills_do_not_explain_are_reported_and_cost_no_score(platform: Platform) -> None:
    platform.collect_all()
    before = platform.report().ledgers["exchange"].scores
    platform.add(ACCOUNT, Balance("demo", "venue", "ETH", NOW + MINUTE, Decimal(9), None), recorded_at=NOW + MINUTE)

    report = platform.report(NOW + MINUTE)

    assert failing(report) == {"balance_matches_fills"}
    assert report.ledgers["exchange"].scores.accuracy_score == before.accuracy_score


def test_an_account_that_does_not_trade_is_no_fault_but_one_nobody_looks_at_is(platform: Platform) -> None:
    platform.collect_all(ACCOUNT)
    platform.look(ACCOUNT)
    platform.add(ACCOUNT, Balance("demo", "venue", "AUD", NOW, Decimal(100), None))
    quiet = platform.report()
    assert quiet.ledgers["exchange"].scores.overall_score > 0.9

    unseen = run_source_checks(platform.database, ACCOUNT, NOW + 2 * HOUR)

    assert {o.name: o.score for o in unseen if o.name in ("looked", "fill_present")} == {"looked": 0.0, "fill_present": 0.0}


def test_answers_that_are_errors_are_no_look(platform: Platform) -> None:
    platform.collect_all(CATALYST)
    platform.look(CATALYST, status=403)
    platform.add(CATALYST, filing(1, NOW - DAY))

    report = platform.report()

    assert report.ledgers["catalyst"].scores.timeliness_score == 0.0
    assert {"looked", "endpoints_answer", "event_present"} <= failing(report)


def test_an_endpoint_that_stopped_answering_shows_although_the_others_answer(platform: Platform) -> None:
    hosts = dataclasses.replace(GLASS, endpoints=(Endpoint("maps", "* * * * *", 3600, _never), Endpoint("coins", "* * * * *", 300, _never)))
    platform.collect_all()
    platform.state(hosts, NOW - 2 * MINUTE, "maps")
    platform.state(hosts, NOW - 6 * MINUTE, "coins")
    platform.state(hosts, NOW, "coins", failed=True)

    at_once, later = (run_source_checks(platform.database, hosts, NOW + age) for age in (timedelta(), 5 * MINUTE))

    seen, then = ({o.name: o for o in outcomes} for outcomes in (at_once, later))
    assert (seen["endpoints_answer"].value, seen["endpoints_answer"].passed) == (0.5, False)
    assert seen["endpoints_on_time"].passed
    assert not then["endpoints_on_time"].passed
    assert then["endpoints_on_time"].score < 0.7
    settings = platform.settings.model_copy(update={"alert_threshold": 0.7})
    report = run_suites(platform.database, [hosts], settings, NOW + 5 * MINUTE, ["glass"])
    assert "timeliness" in {alert.dimension for alert in report.alerts}


def test_an_endpoint_that_was_not_asked_has_not_answered_whatever_the_source_was_answered(platform: Platform) -> None:
    hosts = dataclasses.replace(
        GLASS, endpoints=(Endpoint("maps", "* * * * *", 3600, _never), Endpoint("co'in:s", "* * * * *", 300, _never))
    )
    platform.collect_all()
    platform.state(hosts, NOW, "maps")

    outcomes = {o.name: o for o in run_source_checks(platform.database, hosts, NOW)}

    assert outcomes["endpoints_answer"].value == 0.5
    assert (outcomes["endpoints_on_time"].passed, outcomes["endpoints_on_time"].score) == (False, 0.0)


def test_a_ledger_without_a_source_and_one_whose_source_does_not_load_score_zero(platform: Platform) -> None:
    platform.collect_all()
    broken = BrokenSource("human_odd", "human", "source human_odd.py can't be imported: SyntaxError")

    report = run_suites(platform.database, [HUMAN], platform.settings, NOW, ["human", "glass"], [broken])

    assert {name: ledger.scores.completeness_score for name, ledger in report.ledgers.items()} == {"human": 0.0, "glass": 0.0}
    assert [check.observed for check in report.ledgers["human"].checks if check.name == "source_loads"] == [broken.reason]


def test_rows_from_the_future_cap_timeliness_and_do_not_make_a_dead_feed_look_alive(platform: Platform) -> None:
    platform.collect_all(PRICES)
    platform.add(PRICES, *(quote(symbol, NOW + DAY) for symbol in COINS), recorded_at=NOW - DAY)

    outcomes = {outcome.name: outcome for outcome in run_source_checks(platform.database, PRICES, NOW)}

    assert (outcomes["quote_not_from_the_future"].passed, outcomes["quote_not_from_the_future"].score) == (False, 0.0)
    assert (outcomes["quote_fresh"].passed, outcomes["quote_fresh"].score) == (False, 0.0)


def test_ingest_lag_counts_what_came_true_while_we_watched_and_not_the_history_read_at_first(platform: Platform) -> None:
    platform.look(CATALYST, NOW - 10 * DAY)
    platform.add(CATALYST, *(filing(n, NOW - 40 * DAY) for n in range(5)), recorded_at=NOW - 10 * DAY)
    history = platform.outcome(CATALYST, "event_lag")
    platform.add(CATALYST, filing(9, NOW - 9 * DAY), recorded_at=NOW - 5 * DAY)

    late = platform.outcome(CATALYST, "event_lag")

    assert (history.passed, history.judged) == (True, False)
    assert (late.passed, late.judged, late.value) == (False, True, pytest.approx(4 * 86400))


def test_a_symbol_that_vanishes_from_the_feed_is_missed(platform: Platform) -> None:
    platform.add(PRICES, *(quote(symbol, NOW - HOUR) for symbol in COINS), *(quote(symbol, NOW) for symbol in ("BTC", "ETH", "SOL")))

    outcome = platform.outcome(PRICES, "quote_coverage")

    assert (outcome.passed, outcome.value) == (False, pytest.approx(0.6))


def test_a_hole_in_the_feed_is_seen_after_it_closed(platform: Platform) -> None:
    platform.add(PRICES, *(quote("BTC", NOW - n * MINUTE) for n in (0, 5, 10, 50, 55)))

    outcome = platform.outcome(PRICES, "quote_gapless")

    assert (outcome.passed, outcome.value) == (False, pytest.approx((5 + 5 + 7.5 + 5) / 55))


def test_refused_rows_are_set_against_accepted_ones(platform: Platform) -> None:
    platform.add(PRICES, *(quote(symbol, NOW) for symbol in COINS))
    with platform.database.engine("writer").begin() as connection:
        for number in range(5):
            connection.execute(
                text("INSERT INTO raw.quarantine (source, reason, row, row_sha256, recorded_at) VALUES (:source, 'odd', '{}', :sha, :at)"),
                {"source": PRICES.name, "sha": str(number), "at": NOW},
            )

    outcome = platform.outcome(PRICES, "rows_accepted")

    assert (outcome.passed, outcome.value) == (False, 0.5)


def test_quotes_in_the_wrong_currency_disagree_with_dollar_prices(platform: Platform) -> None:
    platform.collect_all(PRICES)
    platform.add(PRICES, *(quote(symbol, NOW) for symbol in COINS))
    sound = {o.name: o for o in run_source_checks(platform.database, PRICES, NOW)}
    for symbol in ("BTC", "ETH"):
        platform.add(PRICES, quote(symbol, NOW, **dict.fromkeys(("bid", "ask", "last"), Decimal(COINS[symbol]))))

    outcome = platform.outcome(PRICES, "quote_agrees_with_usd")

    assert sound["quote_fx_band"].value == pytest.approx(1.52)
    assert (sound["quote_agrees_with_usd"].passed, sound["quote_agrees_with_usd"].value) == (True, 1.0)
    assert (outcome.passed, outcome.value, outcome.severity) == (False, 0.6, "warning")


def test_a_scorer_stuck_on_one_value_is_broken(platform: Platform) -> None:
    platform.add(HUMAN, *(mood(NOW - n * DAY, 50) for n in range(10)))

    outcome = platform.outcome(HUMAN, "sentiment_varies")

    assert (outcome.passed, outcome.score) == (False, 0.0)


def test_a_score_off_its_scale_is_wrong(platform: Platform) -> None:
    platform.add(HUMAN, *(mood(NOW - n * DAY, score) for n, score in enumerate((50, 40, -3, 170))))

    assert platform.outcome(HUMAN, "sentiment_on_scale").value == 0.5


def test_glass_values_that_can_not_be_are_wrong(platform: Platform) -> None:
    tvl = ProtocolTvl("lido", NOW, None, "Lido", None, Decimal(10), None)
    platform.add(GLASS, dataclasses.replace(tvl, tvl_usd=Decimal(-1)), dataclasses.replace(price("BTC", NOW), price_usd=Decimal(0)))
    platform.add(GLASS, ProtocolFees("lido", NOW, "Lido", Decimal(90), Decimal(50), Decimal(60)))

    outcomes = {outcome.name: outcome for outcome in run_source_checks(platform.database, GLASS, NOW)}

    assert not any(outcomes[name].passed for name in ("protocol_tvl_sane", "coin_price_positive", "protocol_fees_windows_nest"))


def test_a_tvl_that_multiplies_overnight_is_questioned(platform: Platform) -> None:
    tvl = ProtocolTvl("lido", NOW - DAY, None, "Lido", None, Decimal(10), None)
    platform.add(GLASS, tvl, dataclasses.replace(tvl, observed_at=NOW, tvl_usd=Decimal(1000)))

    assert platform.outcome(GLASS, "protocol_tvl_day_change").value == 0.0


def test_a_filing_without_accession_number_or_safe_link_is_wrong(platform: Platform) -> None:
    platform.add(CATALYST, filing(1, NOW - DAY, event_id="8-K of Tuesday"), filing(2, NOW - DAY, url="http://example.invalid/x"))

    outcomes = {outcome.name: outcome for outcome in run_source_checks(platform.database, CATALYST, NOW)}

    assert [outcomes[name].value for name in ("event_accession", "event_https")] == [0.5, 0.5]


def test_outcomes_come_in_the_order_in_which_they_were_announced_and_are_kept(platform: Platform) -> None:
    for one in SOURCES:
        outcomes = run_source_checks(platform.database, one, NOW)

        assert [(o.name, o.dimension, o.severity, o.blocking) for o in outcomes] == [
            (spec.name, spec.dimension, spec.severity, spec.blocking) for spec in check_specs(one)
        ]
    with platform.database.engine("reader").connect() as connection:
        kept = connection.execute(text("SELECT count(*) FROM quality.check_result")).scalar_one()
    assert kept == sum(len(check_specs(one)) for one in SOURCES)


def test_scores_and_outcomes_of_a_run_are_kept_in_one_transaction(platform: Platform) -> None:
    report = platform.report()

    with platform.database.engine("reader").connect() as connection:
        kept = connection.execute(
            text("""SELECT count(DISTINCT xid), sum(n) FROM (
                SELECT xmin::text AS xid, count(*) AS n FROM quality.score WHERE run_id = :run GROUP BY 1
                UNION ALL SELECT xmin::text, count(*) FROM quality.check_result WHERE run_id = :run GROUP BY 1
                UNION ALL SELECT xmin::text, 0 FROM quality.alert GROUP BY 1) AS written"""),
            {"run": report.run_id},
        ).one()
    assert tuple(kept) == (1, len(LEDGERS) + sum(len(quality.checks) for quality in report.ledgers.values()))


def test_a_ledger_without_a_source_scores_zero_when_it_is_asked_for(platform: Platform) -> None:
    platform.collect_all()

    report = run_suites(platform.database, [HUMAN], platform.settings, NOW, ["human", "glass"])

    assert [report.ledgers[name].scores.overall_score > 0.9 for name in ("glass", "human")] == [False, True]
    assert {alert.ledger for alert in report.alerts} == {"glass"}


def test_judging_one_ledger_leaves_the_alerts_of_the_others_alone(platform: Platform) -> None:
    platform.report()
    platform.collect_all()

    report = run_suites(platform.database, SOURCES, platform.settings, NOW, ["human"])

    assert list(report.alerts) == []
    with platform.database.engine("reader").connect() as connection:
        assert {alert.ledger for alert in open_alerts(connection, LEDGERS)} == set(LEDGERS) - {"human"}


def test_an_alert_opens_once_and_closes_with_hysteresis(platform: Platform) -> None:
    ids = []
    for score in (0.69, 0.6, 0.74, 0.76, 0.72, 0.5):
        with platform.database.engine("writer").begin() as connection:
            alerts = update_alerts(connection, {"glass": LedgerScore(1.0, score, 1.0)}, {"glass": 0.7}, NOW)
        ids.append({(alert.dimension, round(alert.score, 2), alert.alert_id) for alert in alerts})

    opened = min(alert_id for _, _, alert_id in ids[0])
    again = min(alert_id for _, _, alert_id in ids[5])
    assert [{(dimension, score) for dimension, score, _ in step} for step in ids] == [
        {("timeliness", 0.69), ("overall", 0.69)},
        {("timeliness", 0.6), ("overall", 0.6)},
        {("timeliness", 0.74), ("overall", 0.74)},
        set(),
        set(),
        {("timeliness", 0.5), ("overall", 0.5)},
    ]
    assert all(min(alert_id for _, _, alert_id in step) == opened for step in ids[:3])
    assert again > opened


def test_the_document_has_the_shape_that_is_promised(platform: Platform) -> None:
    document = platform.report().as_document()

    assert set(document) == {"ledgers", "alerts"}
    assert set(document["ledgers"]) == set(LEDGERS)
    for ledger in document["ledgers"].values():
        assert set(ledger) == {
            "completeness_score",
            "timeliness_score",
            "accuracy_score",
            "overall_score",
            "mean_score",
            "threshold",
            "configured",
            "issues",
            "warnings",
            "info",
            "checks",
        }
        for check in ledger["checks"]:
            assert {"name", "dimension", "source", "passed", "severity", "observed", "expected", "rows"} < set(check)
            assert {"score", "window_from", "window_to", "description", "examples", "advice"} < set(check)


@pytest.mark.parametrize("real", list(discover_sources().values()), ids=lambda real: real.name)
def test_the_suite_of_every_real_source_runs(platform: Platform, real: Source) -> None:
    outcomes = run_source_checks(platform.database, real, NOW)

    assert [outcome.name for outcome in outcomes] == [spec.name for spec in check_specs(real)]
