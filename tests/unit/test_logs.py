"""What is written to the logs: secrets are not, wherever they stand; numbers that only sound like them are."""

from __future__ import annotations

import logging
import re

import pytest
import structlog

from omc_infra.logs import REDACTED, VisibleFormatter, configure_logs, redact_value
from omc_infra.settings import load_settings


@pytest.mark.parametrize(
    "name", ["password", "api_key", "apikey", "key", "access_token", "token", "client_secret", "Authorization", "sign"]
)
def test_a_field_that_names_a_secret_is_redacted_whatever_it_holds(name: str) -> None:
    assert redact_value(name, "x") == REDACTED
    assert redact_value(name, ["x"]) == REDACTED


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "key_count", "keys_missing", "signal", "monkey", "token_count"])
def test_a_field_that_only_sounds_like_a_secret_is_logged(name: str) -> None:
    assert redact_value(name, 12) == 12


def test_secrets_deep_inside_a_value_are_redacted() -> None:
    logged = redact_value(
        "request", {"headers": [{"api_key": "k", "accept": "*/*"}], "url": "https://a.example/?token=abc", "usage": (1, 2)}
    )

    assert logged == {"headers": [{"api_key": REDACTED, "accept": "*/*"}], "url": f"https://a.example/?token={REDACTED}", "usage": [1, 2]}


def test_a_value_without_end_is_cut() -> None:
    endless: dict[str, object] = {}
    endless["again"] = endless

    assert "…" in str(redact_value("value", endless))


def test_a_log_line_for_a_person_shows_what_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(load_settings({"OMC_LOG_FORMAT": "console"}))
    try:
        structlog.get_logger().warning("said \x1b[2J", body="\u202e[/red]", error=ValueError("\x1b]0;t\x07"))
    finally:
        structlog.reset_defaults()

    line = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)  # the colours are ours
    assert "said \\x1b[2J" in line
    assert "\x1b" not in line
    assert "\u202e" not in line


def test_lines_of_other_libraries_show_it_too() -> None:
    record = logging.LogRecord("urllib3", logging.WARNING, __file__, 1, "refused: %s", ("\x1b[2J\u202e",), None)

    assert VisibleFormatter(logging.BASIC_FORMAT).format(record) == "WARNING:urllib3:refused: \\x1b[2J\\u202e"
