"""One short question, to see whether a model answers in the form it is asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from omc_agents.models.panel import Candidate
from omc_agents.models.protocol import Request, Text, Turn
from omc_infra.errors import PayloadChangedError, QuotaExhaustedError

_ENVELOPE = {"marker": "check", "envelopes": [{"text": "Notice of annual meeting"}]}
_SCHEMA = {
    "title": "extraction",
    "type": "object",
    "properties": {"event_kind": {"type": "string", "enum": ["acquisition", "financing", "results", "holdings", "governance", "other"]}},
}


def probe(candidate: Candidate, deadline_s: float, most_usd: Decimal) -> Decimal:
    """Ask a model to classify a title and return what that cost, in US dollars.

    Args:
        candidate: The model with its prices.
        deadline_s: Longest time.
        most_usd: The cap of one call; where it could cost more, it is not asked.

    Raises:
        OmcError: It doesn't answer, or not in the form it was asked for.
    """
    turns = (Turn("user", (Text(json.dumps(_ENVELOPE)),)),)
    request = Request("Classify the text. Answer JSON of the schema only.", turns, _SCHEMA, max_output_tokens=1_000, deadline_s=deadline_s)
    today = datetime.now(UTC).date()
    if (worst_usd := candidate.worst_cost_usd(request, today)) > most_usd:
        raise QuotaExhaustedError(f"{candidate.model.name}: not asked, at most {worst_usd:.6f} USD would pass max_call_usd")
    answer = candidate.model.complete(request)
    try:
        is_asked_form = "event_kind" in json.loads(answer.text)
    except ValueError:
        is_asked_form = False
    if not is_asked_form:
        raise PayloadChangedError(f"{candidate.model.name}: the answer is not of the asked form (it stopped with {answer.stop!r})")
    return candidate.cost_usd(answer.usage, today)
