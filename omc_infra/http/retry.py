"""Retries of failed requests."""

from __future__ import annotations

import random
from typing import NoReturn

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, retry_never, stop_after_attempt, stop_before_delay

from omc_infra.errors import RetryableError
from omc_infra.http.policy import HostPolicy

_log = structlog.get_logger()


def retrying(policy: HostPolicy, deadline_s: float, *, repeatable: bool) -> Retrying:
    """Return the retry rules of one request.

    Waits double from ``policy.backoff_s`` with full jitter. If the upstream asked for a wait, we wait at least that long; or,
    if that would exceed the deadline, the error is raised at once with that wait.

    Args:
        policy: Number of attempts and scale of the waits.
        deadline_s: Budget of all attempts and waits together.
        repeatable: Whether asking twice does no harm; if not, there is one attempt.
    """
    return Retrying(
        retry=retry_if_exception_type(RetryableError) if repeatable else retry_never,
        stop=stop_after_attempt(policy.attempts) | stop_before_delay(deadline_s),
        wait=lambda state: _wait_s(state, policy),
        before_sleep=_tell,
        retry_error_callback=_give_up,
    )


def _wait_s(state: RetryCallState, policy: HostPolicy) -> float:
    asked_s = _failure(state).retry_after_s
    if asked_s is not None:
        return asked_s + random.uniform(0, policy.backoff_s)  # noqa: S311 jitter, no secret
    highest_s = min(policy.backoff_max_s, policy.backoff_s * 2 ** (state.attempt_number - 1))
    return random.uniform(highest_s / 2, highest_s)  # noqa: S311 jitter, no secret


def _tell(state: RetryCallState) -> None:
    _log.warning("http.retry", failure=str(_failure(state)), attempt=state.attempt_number, wait_s=round(state.upcoming_sleep, 2))


def _give_up(state: RetryCallState) -> NoReturn:
    last = _failure(state)
    tries = f"{state.attempt_number} attempt{'s' if state.attempt_number > 1 else ''}"
    raise type(last)(f"{last} (after {tries} in {state.seconds_since_start or 0:.1f} s)", retry_after_s=last.retry_after_s) from last


def _failure(state: RetryCallState) -> RetryableError:
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, RetryableError):
        raise TypeError(f"retried after {failure!r}")
    return failure
