"""Play back answers that were given before, by the hash of the request: a replay asks nobody."""

from __future__ import annotations

from collections.abc import Callable

from omc_agents.models.protocol import Request, Response
from omc_infra.errors import BadInputError


class RecordedModel:
    """Plays answers back.

    Args:
        name: Name of the model that gave the answers: part of the hash.
        answer_of: Returns the answer to a request by its hash, or None.
    """

    def __init__(self, name: str, answer_of: Callable[[str], Response | None]) -> None:
        self.name, self._answer_of = name, answer_of

    def complete(self, request: Request) -> Response:
        """Return the recorded answer.

        Raises:
            BadInputError: This was never asked.
        """
        sha256 = request.sha256(self.name)
        answer = self._answer_of(sha256)
        if answer is None:
            raise BadInputError(f"{self.name}: no answer is recorded to {request.question or 'request'} {sha256[:16]}")
        return answer
