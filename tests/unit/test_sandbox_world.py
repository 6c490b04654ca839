"""What the sandbox invents: the same for ever from one seed, and as consistent as a market is."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from omc_infra.clock import Clock
from omc_pipeline.sandbox.account import fills, holdings
from omc_pipeline.sandbox.filings import ISSUERS, announce, filings_of
from omc_pipeline.sandbox.market import COINS, aud_per_usd, price_aud, price_usd
from omc_pipeline.sandbox.noise import unit, wave
from omc_pipeline.sandbox.state import State
from omc_pipeline.sandbox.world import World

NOW = datetime(2026, 9, 17, 15, 30, tzinfo=UTC)


def world(seed: int = 1, clock: Clock = lambda: NOW, state_file: Path | None = None) -> World:
    return World(seed, clock, State(state_file))


def test_chance_repeats_itself_and_differs_by_seed_and_name() -> None:
    assert unit(1, "a", 2) == unit(1, "a", 2)
    assert len({unit(1, "a", 2), unit(2, "a", 2), unit(1, "b", 2), unit(1, "a", 3)}) == 4
    assert all(0 <= unit(1, n) < 1 for n in range(1000))


def test_a_wave_is_smooth() -> None:
    steps = [wave(1, "BTC", at_s, 60) for at_s in range(600)]

    assert max(abs(b - a) for a, b in pairwise(steps)) < 0.06
    assert all(-1 <= step <= 1 for step in steps)


@pytest.mark.parametrize("symbol", COINS)
def test_prices_stay_near_their_level_and_move_in_every_hour(symbol: str) -> None:
    hours = [price_usd(1, symbol, NOW.timestamp() - n * 3600) for n in range(720)]

    assert all(0.7 < price / COINS[symbol].level_usd < 1.4 for price in hours)
    assert len(set(hours)) == 720
    assert price_aud(1, symbol, 1e9) == price_usd(1, symbol, 1e9) * aud_per_usd(1, 1e9)
    assert 1.4 < aud_per_usd(1, 1e9) < 1.65


def test_the_past_stays_as_it_was_when_time_moves_on() -> None:
    later = NOW + timedelta(days=3)
    moving = world()
    moving.state.opened(datetime(2026, 8, 18, tzinfo=UTC))

    before, after = fills(moving, NOW), fills(moving, later)
    filed_before = [filing for cik in ISSUERS for filing in filings_of(moving, cik, NOW)]
    filed_after = [filing for cik in ISSUERS for filing in filings_of(moving, cik, later)]

    assert after[: len(before)] == before
    assert len(after) > len(before)
    assert {f.accession_number for f in filed_before if f.accepted_at > later - timedelta(days=29)} < {
        f.accession_number for f in filed_after
    }


def test_another_seed_invents_another_world() -> None:
    assert fills(world(1), NOW) != fills(world(2), NOW)


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_account_never_sells_what_it_did_not_buy_in_the_window(seed: int) -> None:
    held = dict.fromkeys(COINS, 0.0)
    traded = fills(world(seed), NOW)

    for fill in traded:
        held[fill.coin] += fill.amount if fill.side == "buy" else -fill.amount
        assert held[fill.coin] >= 0
        assert fill.amount > 0
        assert fill.rate_aud > 0

    assert 90 <= len(traded) <= 160
    assert {fill.side for fill in traded} == {"buy", "sell"}
    assert traded[0].executed_at.date() == (NOW - timedelta(days=30)).date()
    assert traded[-1].executed_at <= NOW


def test_a_window_of_any_whole_days_never_oversells() -> None:
    traded = fills(world(), NOW)

    for start in range(0, 30, 3):
        first = (NOW - timedelta(days=start)).date()
        held = dict.fromkeys(COINS, 0.0)
        for fill in (fill for fill in traded if fill.executed_at.date() >= first):
            held[fill.coin] += fill.amount if fill.side == "buy" else -fill.amount
            assert held[fill.coin] >= 0


def test_holdings_are_what_the_fills_leave() -> None:
    account = world()
    left = holdings(account, NOW)

    bought = sum(fill.amount if fill.side == "buy" else -fill.amount for fill in fills(account, NOW) if fill.coin == "BTC")

    assert left["BTC"] == pytest.approx(bought)
    assert 0 < left["AUD"] < 1_000_000


@pytest.mark.parametrize("seed", range(1, 6))
def test_history_has_a_filing_each_day_or_two_and_none_that_is_fresh(seed: int) -> None:
    filed = [filing for cik in ISSUERS for filing in filings_of(world(seed), cik, NOW)]

    assert 12 <= len(filed) <= 25
    assert all(filings_of(world(seed), cik, NOW) for cik in ISSUERS)
    assert max(filing.accepted_at for filing in filed) <= NOW - timedelta(hours=24)
    assert min(filing.accepted_at for filing in filed) >= NOW - timedelta(days=31)
    assert len({filing.accession_number for filing in filed}) == len(filed)


def test_an_announced_filing_is_first_has_a_number_of_its_own_and_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"

    numbers = [announce(world(state_file=file), None, "8-K", "8.01").accession_number for _ in range(7)]

    again = world(state_file=file)
    first = [filings_of(again, cik, NOW)[0].accession_number for cik in ISSUERS]
    assert len(set(numbers)) == 7
    assert all(re.fullmatch(r"00\d{8}-26-\d{6}", number) for number in numbers)
    assert set(first) <= set(numbers)


def test_a_torn_last_line_loses_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    state = State(file)
    state.append(lambda _known: {"kind": "filing", "serial": 1})
    with file.open("a") as torn:
        torn.write('{"kind": "fil')

    State(file).append(lambda known: {"kind": "filing", "serial": 1 + len(known)})

    assert [record["serial"] for record in State(file).records("filing")] == [1, 2]
    assert json.loads(file.read_text().splitlines()[-1]) == {"kind": "filing", "serial": 2}


def test_the_account_keeps_the_opening_day_it_was_first_given(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"

    first = State(file).opened(NOW)

    assert State(file).opened(NOW + timedelta(days=9)) == first == NOW
