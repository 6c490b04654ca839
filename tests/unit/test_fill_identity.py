"""Fill ids say what happened, where, and in which place; keys belong to one account."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from omc_infra.errors import NotConfiguredError
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import Account
from omc_pipeline.collection.keys import SandboxKeys, keys_of
from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.identity import digest_fill_id, fact_digest, venue_fill_id, with_digest_ids
from omc_pipeline.sandbox.keys import account_of_key, secret_of_account

AT = datetime(2026, 5, 21, 13, 22, 45, 120_000, tzinfo=UTC)
FILL = Fill("", "ada", "coinspot", "BTC", "AUD", "buy", Decimal("0.01"), Decimal("95000.5"), Decimal("950.005"), Decimal(9), "AUD", AT)
NAMES = ("coinspot", "coinspot_secret")


def account(account_id: str = "ada-coinspot") -> Account:
    return Account("ada", account_id, "coinspot")


@given(zeros=st.integers(0, 10), hours=st.integers(-12, 14))
def test_an_id_does_not_depend_on_how_numbers_and_times_are_written(zeros: int, hours: int) -> None:
    written = replace(
        FILL,
        qty=Decimal(f"{FILL.qty}{'0' * zeros}"),
        price=Decimal(f"{FILL.price}{'0' * zeros}"),
        executed_at=AT.astimezone(timezone(timedelta(hours=hours))),
    )

    assert digest_fill_id(written) == digest_fill_id(FILL)


@pytest.mark.parametrize(
    "other",
    [
        {"account_id": "ada-coinspot"},
        {"symbol": "ETH"},
        {"currency": "USD"},
        {"side": "sell"},
        {"qty": Decimal("0.010000000000000001")},
        {"executed_at": AT + timedelta(microseconds=1)},
        {"kind": "deposit"},
    ],
)
def test_what_moved_where_and_when_has_a_part_in_an_id(other: dict[str, object]) -> None:
    assert digest_fill_id(replace(FILL, **other)) != digest_fill_id(FILL)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["price", "quote_amount", "fee"])
@pytest.mark.parametrize("value", [None, Decimal("1.5")])
def test_an_id_stays_when_a_price_an_amount_or_a_fee_is_told_later_or_otherwise(name: str, value: Decimal | None) -> None:
    other = replace(FILL, **{name: value})  # type: ignore[arg-type]

    assert digest_fill_id(other) == digest_fill_id(FILL)
    assert fact_digest(other) != fact_digest(FILL)


@given(
    st.permutations([FILL, replace(FILL, price=Decimal(1)), replace(FILL, fee=None), replace(FILL, price=Decimal(1), fee=Decimal(1)), FILL])
)
def test_fills_that_moved_the_same_at_one_instant_have_the_same_ids_in_whatever_order_an_answer_lists_them(fills: list[Fill]) -> None:
    named = with_digest_ids(fills)

    assert [replace(one, fill_id="") for one in named] == fills
    assert sorted((one.fill_id, str(one.price), str(one.fee)) for one in named) == [
        (digest_fill_id(FILL, place), price, fee)
        for place, price, fee in sorted(
            ((0, "1", "1"), (1, "1", "9"), (2, "95000.5", "9"), (3, "95000.5", "9"), (4, "95000.5", "None")),
            key=lambda each: digest_fill_id(FILL, each[0]),
        )
    ]


def test_an_id_stays_when_an_owner_or_an_algorithm_is_named_otherwise() -> None:
    assert digest_fill_id(replace(FILL, user_id="ada2", algorithm_id="dip", order_id="7")) == digest_fill_id(FILL)


def test_equal_fills_of_one_answer_have_ids_of_their_own_and_the_first_is_the_one_that_stands_alone() -> None:
    first, second, other = with_digest_ids([FILL, FILL, replace(FILL, side="sell")])

    assert len({first.fill_id, second.fill_id, other.fill_id}) == 3
    assert first.fill_id == with_digest_ids([FILL])[0].fill_id


def test_a_venues_trade_id_that_is_unique_in_its_market_only_names_the_market() -> None:
    assert venue_fill_id(" 77 ") == "77"
    assert venue_fill_id("77", "BTC", "AUD") == "BTC/AUD:77"
    with pytest.raises(ValueError, match="empty"):
        venue_fill_id(" ")


def test_an_account_has_the_keys_of_its_own_variables_and_the_default_one_those_without_a_suffix() -> None:
    keys = {name: SecretStr(f"{name}!") for name in (*NAMES, "coinspot__ada_coinspot", "coinspot_secret__ada_coinspot", "other")}
    settings = Settings(profile="live", keys=keys)

    own, default = keys_of(NAMES, account(), settings), keys_of(NAMES, account("coinspot"), settings)

    assert {name: key.get_secret_value() for name, key in own.items()} == {name: f"{name}__ada_coinspot!" for name in NAMES}
    assert {name: key.get_secret_value() for name, key in default.items()} == {name: f"{name}!" for name in NAMES}


def test_keys_that_are_missing_are_named_by_their_variable_and_never_replaced_by_another_accounts() -> None:
    settings = Settings(profile="live", keys={name: SecretStr("real") for name in NAMES})

    with pytest.raises(NotConfiguredError, match="set OMC_KEY_COINSPOT__ADA_COINSPOT and OMC_KEY_COINSPOT_SECRET__ADA_COINSPOT"):
        keys_of(NAMES, account(), settings)


def test_the_sandbox_takes_the_keys_that_are_made_up_for_it_and_no_others() -> None:
    settings = Settings(keys={name: SecretStr("real") for name in NAMES})
    made_up = keys_of(NAMES, account(), settings)

    assert account_of_key(made_up["coinspot"].get_secret_value()) == "ada-coinspot"
    assert made_up["coinspot_secret"].get_secret_value() == secret_of_account("ada-coinspot")
    assert SandboxKeys().key("etherscan", None).get_secret_value() == "sandbox-etherscan"
    assert account_of_key("real") is account_of_key("sandbox-coinspot-") is account_of_key(secret_of_account("x")) is None
