"""One execution that comes through two doors, by an API and by a file under another id, is counted once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_pipeline.collection.accounts import add_account
from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.pairs import decide_pair, pair_fills, pairs
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.write import append
from omc_pipeline.positions import compute_positions, summary
from omc_pipeline.positions.basis import Batching
from omc_pipeline.positions.record import read_record

API, FILE = "exchange_venue_account", "file_export"
T0 = datetime(2026, 3, 1, 9, 0, 12, 345_000, tzinfo=UTC)
EVER = datetime(2000, 1, 1, tzinfo=UTC)
D = Decimal


@pytest.fixture
def user(database: Database, request: pytest.FixtureRequest) -> str:
    """Return a user of the test's own, with an account that the API collects."""
    name = f"u{abs(hash(request.node.name)) % 10**9}"
    with database.connect("writer") as connection:
        add_account(connection, name, "venue", API)
    return name


def fill(user: str, fill_id: str, qty: str = "2", price: str = "100", at: datetime = T0, side: str = "buy") -> Fill:
    amount = D(qty) * D(price)
    return Fill(fill_id, user, f"{user}-venue", "BTC", "AUD", side, D(qty), D(price), amount, D(0), "AUD", at)


def tell(database: Database, source: str, *fills: Fill) -> tuple[int, int]:
    with database.connect("writer") as connection, connection.transaction():
        append(connection, source, fills, None)
        return pair_fills(connection, fills[0].user_id, fills[0].account_id, EVER)


def bought(database: Database, user: str, **options: Any) -> Decimal:
    compute_positions(database, user, **options)
    found = summary(database, user)
    assert found.cost is not None
    return found.cost


def left_out(database: Database, user: str) -> list[str]:
    with database.connect("reader") as connection:
        return sorted(pair.duplicate_fill_id for pair in pairs(connection, user, every=True) if pair.state == "duplicate")


def test_a_fill_that_comes_by_the_api_and_again_from_a_file_under_another_id_is_counted_once(database: Database, user: str) -> None:
    tell(database, API, fill(user, "api-1"), fill(user, "api-2", "1", "50", T0 + timedelta(hours=1)))
    before = bought(database, user)

    paired = tell(database, FILE, fill(user, "row 7", at=T0.replace(microsecond=0)))

    assert paired == (1, 0)
    assert (before, bought(database, user)) == (250, 250)
    assert left_out(database, user) == ["row 7"]
    assert len(LedgerReader(database.engine("reader"), user_id=user).fills(user)) == 3
    assert len(read_record(database, user).fills) == 2


def test_a_file_that_was_read_first_gives_way_to_the_accounts_own_api(database: Database, user: str) -> None:
    tell(database, FILE, fill(user, "row 1", at=T0.replace(microsecond=0)))
    assert bought(database, user) == 200

    tell(database, API, fill(user, "api-1"))

    assert bought(database, user) == 200
    assert left_out(database, user) == ["row 1"]


def test_a_file_that_rounds_to_cents_and_minutes_is_recognised(database: Database, user: str) -> None:
    exact = replace(fill(user, "api-1", "0.12345678", "95000.5"), quote_amount=D("11728.45580989"))
    rounded = replace(
        exact, fill_id="row 1", quote_amount=D("11728.46"), price=D("95000.50"), executed_at=T0.replace(second=0, microsecond=0)
    )

    tell(database, API, exact)

    assert tell(database, FILE, rounded) == (1, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"qty": D("2.0001")},
        {"side": "sell"},
        {"symbol": "ETH"},
        {"currency": "USD"},
        {"quote_amount": D("200.05")},
        {"executed_at": T0 + timedelta(seconds=3)},
        {"kind": "staking"},
    ],
)
def test_fills_that_differ_are_two(database: Database, user: str, other: dict[str, Any]) -> None:
    tell(database, API, fill(user, "api-1"))

    assert tell(database, FILE, replace(fill(user, "row 1"), **other)) == (0, 0)


def test_a_fill_with_two_candidates_is_proposed_to_a_person_and_counted_until_then(database: Database, user: str) -> None:
    first, second = fill(user, "api-1"), fill(user, "api-2", at=T0 + timedelta(seconds=1))
    tell(database, API, first, second)
    before = bought(database, user)

    paired = tell(database, FILE, fill(user, "row 1", at=T0.replace(microsecond=0)))

    assert paired == (0, 2)
    assert (before, bought(database, user)) == (400, 600)
    with database.connect("writer") as connection:
        proposed = pairs(connection, user)
        assert [(pair.fill_id, pair.duplicate_fill_id) for pair in proposed] == [("api-1", "row 1"), ("api-2", "row 1")]
        account = f"{user}-venue"
        decide_pair(connection, user, (account, "api-1", account, "row 1"), "ann", is_duplicate=True)
        with pytest.raises(BadInputError, match="already"):
            decide_pair(connection, user, (account, "api-2", account, "row 1"), "ann", is_duplicate=True)
        decide_pair(connection, user, (account, "api-2", account, "row 1"), "ann", is_duplicate=False)
    assert bought(database, user) == 400


def test_a_decision_that_is_taken_back_counts_the_fill_again(database: Database, user: str) -> None:
    tell(database, API, fill(user, "api-1"))
    tell(database, FILE, fill(user, "row 1"))
    assert bought(database, user) == 200

    with database.connect("writer") as connection:
        account = f"{user}-venue"
        decide_pair(connection, user, (account, "api-1", account, "row 1"), "ann", is_duplicate=False)

    assert bought(database, user) == 400


def test_twins_that_both_doors_tell_are_two_fills_and_not_one_or_four(database: Database, user: str) -> None:
    tell(database, API, fill(user, "api-1"), fill(user, "api-2"))

    assert tell(database, FILE, fill(user, "row 1"), fill(user, "row 2")) == (2, 0)
    assert bought(database, user) == 400


def test_the_same_fill_in_another_account_of_the_venue_is_only_proposed(database: Database, user: str) -> None:
    with database.connect("writer") as connection:
        add_account(connection, user, "venue", API, f"{user}-second")
    tell(database, API, fill(user, "api-1"))

    assert tell(database, API, replace(fill(user, "api-1"), account_id=f"{user}-second")) == (0, 1)


def test_a_third_door_is_paired_with_the_fill_that_counts(database: Database, user: str) -> None:
    for source, name in ((API, "api-1"), (FILE, "row 1"), ("another_tool", "x9")):
        tell(database, source, fill(user, name))

    assert left_out(database, user) == ["row 1", "x9"]
    assert bought(database, user) == 200


def test_pairing_again_changes_nothing(database: Database, user: str) -> None:
    tell(database, API, fill(user, "api-1"))
    tell(database, FILE, fill(user, "row 1"))

    assert tell(database, FILE, fill(user, "row 1")) == (0, 0)
    assert left_out(database, user) == ["row 1"]


def test_the_same_id_from_a_file_is_the_same_fill_and_never_takes_back_what_the_api_knows(database: Database, user: str) -> None:
    exact = fill(user, "t-1", "2", "100.126")
    tell(database, FILE, fill(user, "t-1", "2", "100.13"))
    tell(database, API, exact)
    tell(database, FILE, fill(user, "t-1", "2", "100.13"))

    found = LedgerReader(database.engine("reader"), user_id=user).fills(user)
    assert [(row["source"], row["version"], row["price"]) for row in found] == [(API, 2, D("100.126"))]
    assert bought(database, user) == D("200.252")


def test_a_fill_of_an_account_that_is_another_users_is_refused(database: Database, user: str) -> None:
    with pytest.raises(BadInputError, match=f"the account belongs to user '{user}'"):
        tell(database, FILE, replace(fill(user, "x"), user_id="somebody"))


@pytest.fixture
def many(database: Database, user: str) -> list[Fill]:
    """Tell many fills by both doors, with a coin that only the file has in part."""
    fills = [fill(user, f"a{n}", "1", str(10 + n), T0 + timedelta(hours=n)) for n in range(40)]
    fills += [fill(user, f"s{n}", "1", "99", T0 + timedelta(days=10, hours=n), "sell") for n in range(20)]
    tell(database, API, *fills)
    tell(database, FILE, *(replace(one, fill_id=f"row {one.fill_id}", executed_at=one.executed_at.replace(microsecond=0)) for one in fills))
    return fills


@pytest.mark.slow
def test_the_kernel_leaves_duplicates_out_as_the_engine_does(database: Database, user: str, many: list[Fill]) -> None:
    by_kernel = compute_positions(database, user, batching=Batching(backfill_fills=1, chunk_fills=7))
    cost = summary(database, user).cost
    by_engine = compute_positions(database, user, "lifo", batching=Batching(backfill_fills=None))

    with database.connect("reader") as connection:
        digests = connection.execute("SELECT DISTINCT input_sha256 FROM pnl.run WHERE user_id = %s", [user]).fetchall()
    assert (by_kernel.fills, by_engine.fills) == (2 * len(many), 2 * len(many))
    assert cost == summary(database, user, "lifo").cost == sum(one.quote_amount or 0 for one in many if one.side == "buy")
    assert len(digests) == 1
