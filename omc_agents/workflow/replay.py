"""Write the brief of a finished session again from its recorded rows and answers; no model is asked, nothing is stored."""

from __future__ import annotations

from datetime import datetime

from omc_agents.claims.render import Brief, Circumstances, render, render_answer
from omc_agents.claims.verify import repaired, verify
from omc_agents.sessions.proof import Recording
from omc_agents.workflow.event_steps import corrected
from omc_agents.workflow.model_answers import read_answer
from omc_agents.workflow.model_requests import Analysis
from omc_infra.errors import BadInputError


def replayed(recording: Recording) -> Brief:
    """Return the brief that the recorded answer gives.

    Raises:
        BadInputError: Retention has let go of the answer.
        PayloadChangedError: The answer is no longer of the schema.
    """
    proof = recording.proof
    if recording.analysis is None:
        raise BadInputError(f"session {proof.session.session_id!r}: the model's answers are no longer kept; `omc agent export` still works")
    drafts = read_answer(recording.analysis.text, Analysis).drafts()
    verification = verify(drafts, recording.evidence, proof.event_ref)
    if recording.repair is not None:
        verification = repaired(verification, corrected(recording.repair), recording.evidence, proof.event_ref)
    as_of = datetime.fromisoformat(proof.session.as_of)
    circumstances = Circumstances(proof.brief.profile, as_of, proof.brief.alert_threshold, proof.brief.remarks)
    if proof.session.plan is not None:
        return render_answer(verification, recording.evidence, proof.session.plan.model_dump(), circumstances)
    return render(verification, recording.evidence, proof.event_ref, circumstances)
