"""Ask models through the call ledger: reserved before, settled after, and never asked again what was answered in this session.

This is the only place that asks a second time: the providers' SDKs retry nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from omc_agents.models.failures import RefusalError, UnansweredError
from omc_agents.models.panel import Candidate, Panel
from omc_agents.models.protocol import Model, Request, Response
from omc_agents.sessions.responses import storable
from omc_agents.sessions.spend import Reservation, SpendCapError
from omc_agents.sessions.store import SessionStore
from omc_agents.tracing import (
    FINISH_REASONS,
    INPUT_TOKENS,
    OPERATION,
    OUTPUT_TOKENS,
    PROVIDER,
    PROVIDERS,
    REQUEST_MODEL,
    RESPONSE_ID,
    RESPONSE_MODEL,
    STEP,
    span,
)
from omc_infra.errors import (
    AccessDeniedError,
    OmcError,
    PayloadChangedError,
    QuotaExhaustedError,
    RateLimitedError,
    RetryableError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)

_log = structlog.get_logger(__name__)
_UNKNOWN = (UnansweredError, PayloadChangedError)
"""Failures after which nobody knows what the call cost."""
_OF_PROVIDER = (AccessDeniedError, QuotaExhaustedError, RateLimitedError, UpstreamUnavailableError, UpstreamRefusedError)
"""Failures that another provider may not have; an answer that can't be read or a prompt that is too long are no such."""


@dataclass(frozen=True)
class CallLedger:
    """The models of one session, with its memory and its money."""

    store: SessionStore
    session_id: str
    panel: Panel
    sleep: Callable[[float], None] = time.sleep

    def complete(self, request: Request, step: str) -> Response:
        """Return from the ledger, else ask the models in their order; the answer is written down before it is used.

        Raises:
            SpendCapError: A cap would be passed.
            RefusalError: The model declined.
            OmcError: What the last model failed with.
        """
        sha256 = request.sha256(self.panel.name)
        known = self.store.remembered(self.session_id, sha256)
        return _accepted(known or self._asked(request, sha256, step))

    def _asked(self, request: Request, sha256: str, step: str) -> Response:
        deadline = time.monotonic() + (self.panel.deadline_s or request.deadline_s)
        failure: OmcError | None = None
        for candidate in self.panel.candidates:
            try:
                return self._attempts(candidate, request, sha256, step, deadline)
            except SpendCapError:
                raise
            except _OF_PROVIDER as error:
                _log.warning("model.failed", model=candidate.model.name, failure=str(error), session=self.session_id)
                failure = failure or error
        if failure is None:
            raise TypeError("a panel has a model at least")
        raise failure

    def _attempts(self, candidate: Candidate, request: Request, sha256: str, step: str, deadline: float) -> Response:
        """Ask one model, again after a wait where that may help, while the wait ends before the deadline."""
        attempt = 1
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise UpstreamUnavailableError(f"{candidate.model.name}: no time is left before the deadline")
            try:
                return self._attempt(candidate, replace(request, deadline_s=left_s), sha256, step)
            except RetryableError as error:
                wait_s = self._wait_s(attempt, error)
                if attempt >= self.panel.retries.attempts or time.monotonic() + wait_s >= deadline:
                    raise
                _log.warning("model.retry", model=candidate.model.name, failure=str(error), attempt=attempt, wait_s=round(wait_s, 2))
            self.sleep(wait_s)
            attempt += 1

    def _attempt(self, candidate: Candidate, request: Request, sha256: str, step: str) -> Response:
        today, name = datetime.now(UTC).date(), candidate.model.name
        wanted = Reservation(self.session_id, step, sha256, name, candidate.worst_cost_usd(request, today), candidate.prices_of)
        call_id = self.store.reserve(wanted, self.panel.caps)
        try:
            answer = storable(_answered(candidate.model, request))
        except OmcError as error:
            self.store.close_call(call_id, "unknown" if isinstance(error, _UNKNOWN) else "failed", f"{type(error).__name__}: {error}")
            raise
        cost_usd = candidate.cost_usd(answer.usage, today)
        self.store.remember(self.session_id, sha256, name, request, answer, call_id, cost_usd)
        return answer

    def _wait_s(self, attempt: int, error: RetryableError) -> float:
        retries = self.panel.retries
        if error.retry_after_s is not None:
            return error.retry_after_s + random.uniform(0, retries.backoff_s)  # noqa: S311 jitter, no secret
        highest_s = min(retries.backoff_max_s, retries.backoff_s * 2 ** (attempt - 1))
        return random.uniform(highest_s / 2, highest_s)  # noqa: S311 jitter, no secret


def _answered(model: Model, request: Request) -> Response:
    provider, _, name = model.name.partition("/")
    asked = {OPERATION: "chat", PROVIDER: PROVIDERS.get(provider, provider), REQUEST_MODEL: name or provider, STEP: request.question or ""}
    with span(f"chat {asked[REQUEST_MODEL]}", asked, kind="client") as note:
        answer = model.complete(request)
        note({RESPONSE_MODEL: answer.model_reported, RESPONSE_ID: answer.request_id or "", FINISH_REASONS: (answer.stop,)})
        note({INPUT_TOKENS: answer.usage.input, OUTPUT_TOKENS: answer.usage.output})
        return answer


def _accepted(answer: Response) -> Response:
    if answer.stop == "refusal":
        raise RefusalError(f"{answer.model_reported}: declined to answer (request {answer.request_id or 'without id'})")
    return answer
