"""What is written to the logs: secrets are not, wherever they stand; numbers that only sound like them are."""

from __future__ import annotations

import pytest

from omc_infra.logs import STRUCK, redact_value


@pytest.mark.parametrize(
    "name", ["password", "api_key", "apikey", "key", "access_token", "token", "client_secret", "Authorization", "sign"]
)
def test_a_field_that_names_a_secret_is_redacted_whatever_it_holds(name: str) -> None:
    assert redact_value(name, "x") == STRUCK
    assert redact_value(name, ["x"]) == STRUCK


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "key_count", "keys_missing", "signal", "monkey", "token_count"])
def test_a_field_that_only_sounds_like_a_secret_is_logged(name: str) -> None:
    assert redact_value(name, 12) == 12


def test_secrets_deep_inside_a_value_are_redacted() -> None:
    logged = redact_value(
        "request", {"headers": [{"api_key": "k", "accept": "*/*"}], "url": "https://a.example/?token=abc", "usage": (1, 2)}
    )

    assert logged == {"headers": [{"api_key": STRUCK, "accept": "*/*"}], "url": f"https://a.example/?token={STRUCK}", "usage": [1, 2]}


def test_a_value_without_end_is_cut() -> None:
    endless: dict[str, object] = {}
    endless["again"] = endless

    assert "…" in str(redact_value("value", endless))
