"""What a status, a ``Retry-After`` and a key in a text become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from omc_infra.errors import (
    AccessDeniedError,
    ConfigurationError,
    NotConfiguredError,
    QuotaExhaustedError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.http import Host, HostPolicy
from omc_infra.http.failures import excerpt, failure, retry_after_s
from omc_infra.http.redaction import Redactor
from omc_infra.settings import load_settings

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
POLICY = HostPolicy(("https://api.example",), "/example", requests_per_s=5)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, AccessDeniedError) for status in (401, 403)),
        (402, QuotaExhaustedError),
        *((status, UpstreamRefusedError) for status in (302, 304, 400, 404, 405, 410, 422, 451)),
        *((status, UpstreamUnavailableError) for status in (408, 425, 500, 502, 503, 504, 599)),
        (429, RateLimitedError),
    ],
)
def test_each_status_has_one_name(status: int, expected: type[Exception]) -> None:
    assert type(failure(status, "said no")) is expected


@pytest.mark.parametrize("status", [200, 201, 204, 206])
def test_a_success_is_no_failure(status: int) -> None:
    assert failure(status, "said yes") is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_failure_that_passes_keeps_the_wait_it_asked_for(status: int) -> None:
    named = failure(status, "later", 7.0)

    assert isinstance(named, RateLimitedError | UpstreamUnavailableError)
    assert named.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("Mon, 04 May 2026 12:00:00", None),
    ],
)
def test_a_retry_after_is_seconds_or_an_http_date_or_nothing(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds


def test_an_excerpt_is_one_short_line_without_markup() -> None:
    said = excerpt(b"<html><head><title>Slow\ndown</title></head><body>\x00" + b"please " * 100 + b"</body></html>")

    assert said.startswith("Slow down please")
    assert "\n" not in said
    assert len(said) < 170


@pytest.mark.parametrize(
    "text",
    [
        "https://api.example/s3cr3t/+key/prices",
        "https://api.example/s3cr3t%2F%2Bkey/prices",
        "https://api.example/prices?a=1&session=whatever",
        "https://api.example/prices?session=whatever&a=1",
        "https://api.example/prices?auth_token=whatever",
        "the key s3cr3t/+key was refused",
    ],
)
def test_a_key_is_struck_wherever_it_stands(text: str) -> None:
    shown = Redactor(["s3cr3t/+key"], ["session"]).text(text)

    assert "[redacted]" in shown
    assert "s3cr3t" not in shown
    assert "whatever" not in shown


def test_words_without_a_key_are_left_alone() -> None:
    text = "https://api.example/prices?a=1&obsession=fine"

    assert Redactor(["s3cr3t-key", ""], ["session"]).text(text) == text


def test_the_user_agent_names_the_version_and_whom_to_write_to() -> None:
    settings = load_settings({"OMC_CONTACT": "data@fund.example"})

    assert POLICY.user_agent(settings, "1.2.3") == "omc/1.2.3 (+data@fund.example)"


def test_the_sandbox_needs_no_contact() -> None:
    assert "@" in POLICY.user_agent(load_settings({}), "1.2.3")


def test_an_upstream_that_demands_a_contact_is_not_asked_without_one() -> None:
    demanding = HostPolicy(("https://api.example",), "/example", requests_per_s=5, needs_contact=True)

    with pytest.raises(NotConfiguredError, match="OMC_CONTACT"):
        demanding.user_agent(load_settings({"OMC_PROFILE": "live"}), "1.2.3")


def test_each_profile_has_its_hosts() -> None:
    assert POLICY.hosts(load_settings({"OMC_PROFILE": "live"})) == (Host("https://api.example", "https://api.example"),)
    sandbox = load_settings({"OMC_SANDBOX_URL": "http://127.0.0.1:9/"})
    assert POLICY.hosts(sandbox, ("https://mirror.example",)) == (Host("http://127.0.0.1:9/example", "sandbox:/example"),)
    with pytest.raises(ConfigurationError, match="omc sandbox serve"):
        POLICY.hosts(load_settings({}))
