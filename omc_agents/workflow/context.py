"""What the steps of a session are worked with, and the one way in which they ask a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from omc_agents.claims.evidence import Evidence
from omc_agents.models.panel import Panel, as_panel
from omc_agents.models.protocol import Model, Request, Response
from omc_agents.sessions.calls import CallLedger
from omc_agents.sessions.states import SYSTEM_USER, WaitingFor
from omc_agents.sessions.store import Session, SessionStore
from omc_agents.tools.toolbox import Toolbox
from omc_infra.errors import PermanentError

Work = dict[str, Any]
"""The state: ids, digests, counts and a status; a dict in one channel, so that the saver stores it apart and encrypts it whole."""
Step = Callable[[Work], Work]


class SessionEndedError(PermanentError):
    """Somebody ended the session while a step was at work."""

    advice = "Nothing: the session was cancelled and stays so. Ask again in a new one."


@dataclass(frozen=True)
class SessionContext:
    """What a session is worked with."""

    store: SessionStore
    session: Session
    model: Model | Panel
    profile: str
    alert_threshold: float

    @property
    def toolbox(self) -> Toolbox:
        """The session's tools: its knowledge time, and its user where that is a person."""
        user_id = None if self.session.user_id == SYSTEM_USER else self.session.user_id
        return Toolbox(self.store.engine, self.session.as_of, user_id, self.store.token)

    @property
    def panel(self) -> Panel:
        """The session's models."""
        return as_panel(self.model)

    @property
    def evidence(self) -> dict[str, Evidence]:
        """The session's rows by reference."""
        return self.store.evidence(self.session.session_id)

    def ask(self, request: Request, step: str) -> Response:
        """Ask the session's models, or return what they said before.

        A call that could bring the session above what may be spent without a person waits for an approval first.

        Raises:
            SessionEndedError: Somebody cancelled the session.
            OmcError: As ``CallLedger.complete``.
        """
        if self.store.remembered(self.session.session_id, request.sha256(self.panel.name)) is None:
            self._require_approval(request)
        return CallLedger(self.store, self.session.session_id, self.panel).complete(request, step)

    def pause(self, waiting_for: WaitingFor, prompt: str) -> None:
        """Leave the session to a person; returns where it was resumed since, and what the person did stands in the session."""
        from langgraph.types import interrupt

        self.store.wait(self.session.session_id, waiting_for, prompt)
        interrupt({"waiting_for": waiting_for})

    def now(self) -> Session:
        """Return the session as it stands now.

        Raises:
            SessionEndedError: It is finished.
        """
        session = self.store.session(self.session.session_id)
        if session.is_finished:
            raise SessionEndedError(f"session {session.session_id} was ended: {session.status}")
        return session

    def needs_approval(self, request: Request) -> bool:
        """Tell whether a person would have to approve the cost of a question that was not asked yet."""
        possible_usd, approved_usd = self._possible_usd(request)
        return possible_usd > approved_usd

    def _possible_usd(self, request: Request) -> tuple[Decimal, Decimal]:
        """Return what the session may have cost after a question, and what it may cost without another approval."""
        worst_usd = max(each.worst_cost_usd(request, datetime.now(UTC).date()) for each in self.panel.candidates)
        approved_usd = max(self.now().approved_usd, self.panel.approve_above_usd)
        return self.store.counted_usd(self.session.session_id) + worst_usd if worst_usd else Decimal(0), approved_usd

    def _require_approval(self, request: Request) -> None:
        while True:
            possible_usd, approved_usd = self._possible_usd(request)
            if possible_usd <= approved_usd:
                return
            self.pause(
                "approval", f"The next call could bring this session to {possible_usd:.2f} USD; {approved_usd:.2f} USD are approved."
            )


def spent(work: Work, answer: Response) -> Work:
    """Return the state with the tokens of an answer counted."""
    spend, usage = work["spend"], answer.usage
    return {**work, "spend": {"input": spend["input"] + usage.input, "output": spend["output"] + usage.output, "calls": spend["calls"] + 1}}


def ended(work: Work, status: str, reason: str) -> Work:
    """Return the state of a session that ends without a brief."""
    return {**work, "status": status, "reason": reason[:500]}


def bound(steps: Mapping[str, Callable[[SessionContext, Work], Work]], context: SessionContext) -> dict[str, Step]:
    """Return steps by name, each bound to a session."""
    return {name: _bound(step, context) for name, step in steps.items()}


def _bound(step: Callable[[SessionContext, Work], Work], context: SessionContext) -> Step:
    return lambda work: step(context, work)
