"""Asks a model through the call ledger: a question that was answered in this session is never paid for again."""

from __future__ import annotations

from dataclasses import dataclass

from omc_agents.models.protocol import Model, Request, Response
from omc_agents.sessions.store import SessionStore


@dataclass(frozen=True)
class CallLedger:
    """The model of one session, with its memory."""

    store: SessionStore
    session_id: str
    model: Model

    def complete(self, request: Request) -> Response:
        """Return from the ledger, else ask the model and write the answer down before it is used."""
        sha256 = request.sha256(self.model.name)
        known = self.store.remembered(self.session_id, sha256)
        if known is not None:
            return known
        answer = self.model.complete(request)
        self.store.remember(self.session_id, sha256, self.model.name, request, answer)
        return answer
