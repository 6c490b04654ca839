"""Rates, quotas and bans over all processes of a database."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from omc_infra.errors import AccessDeniedError, RateLimitedError, RetryableError, UpstreamUnavailableError
from omc_infra.http import HostPolicy, InProcessLimits, Limits, PostgresLimits, Quota, open_http
from omc_infra.http.limits import RateLimit, await_turn
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))

from http_upstream import Reply, Upstream
from http_upstream import upstream as serving_upstream

FORKING = multiprocessing.get_context("fork")
GAP_S = 0.25


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with database.connect("writer") as connection:
        yield connection


@pytest.fixture(params=["postgres", "in process"])
def limits(request: pytest.FixtureRequest, connection: psycopg.Connection[Any]) -> Limits:
    return PostgresLimits(connection) if request.param == "postgres" else InProcessLimits()


@pytest.fixture
def group(request: pytest.FixtureRequest) -> str:
    """A group of the test's own."""
    return str(request.node.name)


def asked_of(upstream: Upstream, group: str, **fields: Any) -> tuple[HostPolicy, Settings]:
    fast = {"requests_per_s": 1000, "burst": 100, "backoff_s": 0.01}
    return HostPolicy(("https://api.example",), "/api", group=group, **{**fast, **fields}), Settings(sandbox_url=upstream.url)


def ask(asked: tuple[HostPolicy, Settings], limits: Limits, *paths: str, deadline_s: float = 60) -> None:
    """Ask for each path with one client."""
    policy, settings = asked
    with open_http("test", policy, settings, limits=limits) as http:
        for path in paths:
            http.get(path, deadline_s=deadline_s)


def in_another_process(work: Callable[[], None]) -> None:
    process = FORKING.Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def test_four_processes_share_one_rate(database: Database, upstream: Upstream, group: str) -> None:
    asked = asked_of(upstream, group, requests_per_s=1 / GAP_S, burst=1)

    def ask_twice() -> None:
        with database.connect("writer") as connection:
            ask(asked, PostgresLimits(connection), "/", "/")

    start = time.monotonic()
    processes = [FORKING.Process(target=ask_twice) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0] * 4
    assert len(upstream.asked) == 8
    assert upstream.asked[-1].at - start >= 7 * GAP_S - 0.01


def test_turns_come_at_once_while_a_burst_is_left_and_then_a_gap_apart(limits: Limits, group: str) -> None:
    rate_limit = RateLimit(group, requests_per_s=0.01, burst=3)

    waits = [limits.reserve(rate_limit, 1000) for _ in range(5)]

    assert waits[:3] == [0, 0, 0]
    assert [round(wait_s, -1) for wait_s in waits[3:]] == [100, 200]


def test_a_turn_beyond_the_patience_is_refused_and_not_taken(limits: Limits, group: str) -> None:
    rate_limit = RateLimit(group, requests_per_s=0.01)
    limits.reserve(rate_limit, 1)

    for _ in range(2):
        with pytest.raises(RateLimitedError, match=r"our own limit of 0\.01 requests a second") as raised:
            limits.reserve(rate_limit, 10)

        assert raised.value.retry_after_s == pytest.approx(100, abs=20)


def test_a_quota_holds_over_its_window_and_is_renewed_after_it(limits: Limits, group: str) -> None:
    daily = RateLimit(group, requests_per_s=1000, burst=100, quota=Quota(2, window_s=86_400))

    waits = [limits.reserve(daily, 1) for _ in range(2)]
    with pytest.raises(RateLimitedError, match="quota of 2 requests in 86400 s") as raised:
        limits.reserve(daily, 1)

    assert waits == [0, 0]
    assert raised.value.retry_after_s == pytest.approx(86_400, abs=60)
    short = RateLimit(group, requests_per_s=1000, burst=100, quota=Quota(1, window_s=0.001))
    time.sleep(0.01)
    assert limits.reserve(short, 1) == 0


def test_a_ban_refuses_everybody_until_it_is_over(limits: Limits, group: str) -> None:
    rate_limit = RateLimit(group, requests_per_s=1000)
    limits.ban(group, 600, "too many requests")
    limits.ban(group, 5, "a shorter one changes nothing")

    with pytest.raises(RateLimitedError, match="too many requests") as raised:
        limits.reserve(rate_limit, 60)

    assert raised.value.retry_after_s == pytest.approx(600, abs=20)
    assert limits.banned_s(group) == pytest.approx(600, abs=20)
    assert limits.reserve(RateLimit("another", 1), 60) == 0


def test_a_ban_within_the_patience_is_waited_for(limits: Limits, group: str) -> None:
    limits.ban(group, 30, "busy")

    assert limits.reserve(RateLimit(group, requests_per_s=1000), 60) == pytest.approx(30, abs=10)


def test_a_ban_that_comes_while_one_waits_is_heeded(limits: Limits, group: str) -> None:
    rate_limit = RateLimit(group, requests_per_s=0.1)
    limits.reserve(rate_limit, 1)

    with pytest.raises(RateLimitedError, match="no requests allowed"):
        await_turn(limits, rate_limit, time.monotonic() + 60, sleep=lambda _: limits.ban(group, 600, "others were too fast"))


def test_a_wait_and_a_ban_are_logged_with_the_name_of_the_group(limits: Limits, upstream: Upstream, group: str) -> None:
    upstream.replies = [Reply(429, headers={"Retry-After": "900"})]
    slow = RateLimit(f"slow {group}", requests_per_s=0.1)

    with capture_logs() as logs:
        limits.reserve(slow, 1)
        await_turn(limits, slow, time.monotonic() + 60, sleep=lambda _: None)
        with pytest.raises(RateLimitedError):
            ask(asked_of(upstream, group), limits, "/")

    assert [(line["event"], line["group"]) for line in logs] == [("http.wait", slow.group), ("http.ban", group)]


def test_a_ban_can_be_lifted(connection: psycopg.Connection[Any], group: str) -> None:
    limits = PostgresLimits(connection)
    limits.ban(group, 600, "by mistake")

    assert (limits.lift(group), limits.lift(group)) == (True, False)
    assert limits.reserve(RateLimit(group, 1), 1) == 0


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (Reply(429, headers={"Retry-After": "900"}), 900),
        (Reply(503, headers={"Retry-After": "900"}), 900),
        (Reply(403, b"<html>Request Rate Threshold Exceeded</html>"), 600),
    ],
    ids=["too many requests", "down for a while", "a page of its own"],
)
def test_a_ban_survives_the_process_and_the_next_one_sends_nothing(
    database: Database, upstream: Upstream, group: str, reply: Reply, seconds: float
) -> None:
    upstream.replies = [reply]
    asked = asked_of(upstream, group, ban_of=lambda status, body: 600 if b"Rate Threshold" in body else None)

    def ask_and_die() -> None:
        with database.connect("writer") as connection, pytest.raises(RetryableError):
            ask(asked, PostgresLimits(connection), "/")

    in_another_process(ask_and_die)
    with database.connect("writer") as connection, pytest.raises(RateLimitedError) as raised:
        ask(asked, PostgresLimits(connection), "/elsewhere")

    assert len(upstream.asked) == 1
    assert seconds - 60 < (raised.value.retry_after_s or 0) <= seconds


def test_a_ban_that_a_parser_finds_is_kept(limits: Limits, upstream: Upstream, group: str) -> None:
    policy, settings = asked_of(upstream, group)

    def parse() -> None:
        with open_http("test", policy, settings, limits=limits) as http:
            http.get("/")
            raise RateLimitedError("the page says: too fast", retry_after_s=600)

    with pytest.raises(RateLimitedError, match="too fast"):
        parse()
    assert limits.banned_s(group) == pytest.approx(600, abs=20)


def test_our_own_limit_bans_nobody(limits: Limits, upstream: Upstream, group: str) -> None:
    with pytest.raises(RateLimitedError, match="our own limit"):
        ask(asked_of(upstream, group, requests_per_s=0.01, burst=1), limits, "/", "/", deadline_s=5)

    assert limits.banned_s(group) == 0


def test_a_refusal_that_is_no_ban_bans_nobody(limits: Limits, upstream: Upstream, group: str) -> None:
    policy, settings = asked_of(upstream, group, ban_of=lambda status, body: None)
    upstream.replies = [Reply(403), Reply(503)]

    with open_http("test", policy, settings, limits=limits) as http:
        with pytest.raises(AccessDeniedError):
            http.get("/")
        with pytest.raises(UpstreamUnavailableError):
            http.get("/")

    assert limits.banned_s(group) == 0


def test_a_turn_leaves_no_transaction_open_and_can_not_be_taken_in_one(connection: psycopg.Connection[Any], group: str) -> None:
    limits, rate_limit = PostgresLimits(connection), RateLimit(group, requests_per_s=1000)

    limits.reserve(rate_limit, 1)

    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    with pytest.raises(psycopg.ProgrammingError), connection.transaction():
        limits.reserve(rate_limit, 1)
