"""One wrong symbol among sound ones is seen, named and alerted; what only looks like a fault is not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest
from sqlalchemy import text

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.ledgers.exchange import QUOTE
from omc_pipeline.ledgers.glass import COIN_PRICE
from omc_pipeline.quality import run_source_checks
from tests.integration.test_quality_run import COINS, GLASS, MINUTE, NOW, PRICES, Platform, price, quote

STEPS = 30
Fault = Callable[[str, int, Decimal], Decimal]
"""From symbol, number of the quote (0 is the oldest) and right price to the planted price."""


@pytest.fixture
def platform(database: Database, settings: Settings) -> Platform:
    with database.engine("owner").begin() as connection:
        connection.execute(text(f"TRUNCATE {QUOTE.qualified}, {COIN_PRICE.qualified} CASCADE"))
    return Platform(database, settings)


def wave(symbol: str, at: datetime) -> Decimal:
    """Return a factor that moves each coin by two per cent within hours, each in its own phase."""
    return Decimal(1 + 0.02 * math.sin((at - NOW).total_seconds() / 2400 + COINS[symbol])).quantize(Decimal("1e-6"))


def fill_an_hour(platform: Platform, fault: Fault, dollars: Fault = lambda _s, _n, right: right) -> None:
    """Write quotes of an hour with a fault, and sound dollar prices of its middle and of an hour before."""
    for number in range(STEPS):
        at = NOW - (STEPS - 1 - number) * 2 * MINUTE
        for symbol in COINS:
            right = quote(symbol, at)
            bid, ask, last = (fault(symbol, number, value * wave(symbol, at)) for value in (right.bid, right.ask, right.last) if value)
            platform.add(PRICES, dataclasses.replace(right, bid=bid, ask=ask, last=last), recorded_at=at)
    for at in (NOW - 90 * MINUTE, NOW - 20 * MINUTE):
        for symbol in COINS:
            sound = price(symbol, at)
            told = dollars(symbol, STEPS - 11, sound.price_usd * wave(symbol, at))
            platform.add(GLASS, dataclasses.replace(sound, price_usd=told), recorded_at=at)


def red(platform: Platform) -> dict[str, tuple[str, ...]]:
    return {o.name: o.examples for o in run_source_checks(platform.database, PRICES, NOW) if "_symbol_" in o.name and not o.passed}


def of(symbol: str, first: int, last: int, factor: str) -> Fault:
    return lambda s, n, right: right * Decimal(factor) if s == symbol and first <= n <= last else right


def crash(_symbol: str, number: int, right: Decimal) -> Decimal:
    return right * Decimal(max(0.6, 1 - 0.02 * number)).quantize(Decimal("1e-6"))


def pump(symbol: str, number: int, right: Decimal) -> Decimal:
    return right * Decimal("1.4") if symbol == "SOL" and number >= STEPS - 13 else right


def test_sound_quotes_fail_no_check(platform: Platform) -> None:
    fill_an_hour(platform, lambda _s, _n, right: right)

    assert red(platform) == {}


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (of("SOL", 27, 29, "10"), "quote_symbol_spikes"),
        (of("SOL", 5, 9, "100"), "quote_symbol_spikes"),
        (of("SOL", 3, 3, "0.001"), "quote_symbol_spikes"),
        (of("SOL", 14, 14, "1.3"), "quote_symbol_spikes"),
        (of("SOL", 29, 29, "1.3"), "quote_symbol_spikes"),
        (of("SOL", 0, 29, "0.8"), "quote_symbol_agrees"),
        (of("SOL", 0, 29, "1000"), "quote_symbol_agrees"),
        (lambda s, _n, right: Decimal(300) if s == "SOL" else right, "quote_symbol_moves"),
    ],
    ids=["x10-open", "x100-closed", "per-mille-one", "spike-closed", "spike-open", "off-venue", "x1000-all-hour", "frozen"],
)
def test_a_fault_of_one_symbol_turns_its_check_red_and_is_named(platform: Platform, fault: Fault, check: str) -> None:
    fill_an_hour(platform, fault)

    failed = red(platform)

    assert set(failed) == {check}
    assert all(example.startswith("SOL AUD ") for example in failed[check])


def test_two_symbols_that_are_swapped_are_both_named(platform: Platform) -> None:
    swap = {"ETH": Decimal(COINS["SOL"]) / COINS["ETH"], "SOL": Decimal(COINS["ETH"]) / COINS["SOL"]}
    fill_an_hour(platform, lambda s, n, right: right * swap.get(s, Decimal(1)) if n >= 24 else right)

    assert {example.split()[0] for example in red(platform)["quote_symbol_spikes"]} == {"ETH", "SOL"}


@pytest.mark.parametrize("move", [crash, pump], ids=["crash of all", "pump that dollar prices confirm"])
def test_a_real_move_is_no_fault(platform: Platform, move: Fault) -> None:
    fill_an_hour(platform, move, move)

    assert red(platform) == {}


def test_a_quiet_coin_whose_dollar_price_is_quiet_too_is_not_stuck(platform: Platform) -> None:
    fill_an_hour(
        platform, lambda s, _n, right: Decimal("1.52") if s == "ADA" else right, lambda s, _n, right: Decimal(1) if s == "ADA" else right
    )

    assert red(platform) == {}


def test_one_wrong_symbol_opens_an_alert_of_accuracy(platform: Platform) -> None:
    fill_an_hour(platform, of("SOL", 14, 14, "1.3"))

    alerts = platform.report().alerts

    assert ("exchange", "accuracy") in {(alert.ledger, alert.dimension) for alert in alerts}
