"""A brief with all that supports it, in one document, and the check of such a document without a database.

The check doesn't trust the document: each row must have its digest, the characters that carry a fact of a filing must stand in the
passage that the row quotes, each claim is verified against the rows again, and the brief is written again and must be the same to the
letter. The digest over all shows any other change; compare it with the one that ``omc agent export`` printed, for whoever changes a
document can compute a new one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omc_agents.claims.evidence import Evidence, canonical_sha256
from omc_agents.claims.render import REMARK, Brief, Circumstances, render, render_answer
from omc_agents.claims.verify import Claim, Draft, Verification, verify
from omc_infra.errors import BadInputError
from omc_pipeline.documents.places import stands_in

FORMAT: Final = "omc-proof/1"
MOST_BYTES = 16 * 2**20
Json = Mapping[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class ProofPlan(_Part):
    """What a question was understood to ask, or what a schedule or an alert asks.

    Attributes:
        occasion: Of a brief that nobody asked for; then ``ledger``, ``checked_source`` and ``checked`` say what an alert is about.
    """

    coins: list[Annotated[str, Field(pattern=r"^([A-Z0-9_]{1,30}:)?[A-Z0-9]{1,12}$")]]
    topics: list[Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]]
    span: Annotated[str, Field(pattern=r"^\d{1,3}[hd]$")]
    occasion: Literal["daily", "alert"] | None = None
    ledger: _Code | None = None
    checked_source: _Code | None = None
    checked: list[_Code] | None = None


class ProofSession(_Part):
    """Which session wrote the brief."""

    session_id: str
    user_id: str
    source: str | None
    event_id: str | None
    model: str
    as_of: str
    """Knowledge time of its rows, ISO 8601."""
    plan: ProofPlan | None = None
    """What a question was understood to ask; none for an event."""


class ProofBrief(_Part):
    """The brief as published, and what it was written with."""

    title: str
    body: str
    profile: str
    alert_threshold: float
    remarks: list[str]
    dropped: int = Field(ge=0)


class ProofClaim(_Part):
    """One claim of the brief, in its order."""

    kind: str
    ref: str
    base_ref: str | None
    field: str
    value: str
    text: str


class ProofRow(_Part):
    """One row that the brief was written from."""

    ref: str
    tool: str
    row: dict[str, bool | int | str | None]
    sha256: str


class Proof(_Part):
    """A brief, its claims, their rows, and digests."""

    format: Literal["omc-proof/1"]
    session: ProofSession
    event_ref: str
    brief: ProofBrief
    claims: list[ProofClaim]
    rows: list[ProofRow]
    sha256: str

    def digest(self) -> str:
        """Return the digest of all but the digest."""
        return canonical_sha256({name: value for name, value in self.as_document().items() if name != "sha256"})

    def as_document(self) -> dict[str, Any]:
        """Return the document; what was never given is left out, so that an older document keeps its digest."""
        return self.model_dump(exclude_unset=True)


def read_proof(body: bytes) -> Proof:
    """Read a document of the format; nothing in it is checked yet.

    Raises:
        BadInputError: It is too large, is not JSON, names a field twice, or lacks or adds one.
    """
    if len(body) > MOST_BYTES:
        raise BadInputError(f"proof: larger than {MOST_BYTES} bytes")
    try:
        document = json.loads(body, object_pairs_hook=_without_twins)
        return Proof.model_validate(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])[:80]
        raise BadInputError(f"proof: not of the format {FORMAT}: {where or 'document'}") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError("proof: not a JSON document, or a field occurs twice") from error


def seal(proof: Proof) -> Proof:
    """Return a proof with the digest of what it holds."""
    return proof.model_copy(update={"sha256": proof.digest()})


def faults_of(proof: Proof) -> list[str]:
    """Return what is wrong with a proof, the most general first; empty where all of it holds."""
    faults = [] if proof.sha256 == proof.digest() else ["the digest is not that of the document"]
    evidence = {row.ref: Evidence(row.ref, row.tool, row.row) for row in proof.rows}
    if len(evidence) != len(proof.rows):
        faults.append("a row occurs twice")
    faults += [f"row {row.ref}: the digest is not that of the row" for row in proof.rows if evidence[row.ref].sha256 != row.sha256]
    faults += [f"row {row.ref}: its literal does not stand in its passage" for row in proof.rows if not _stands(evidence[row.ref])]
    if proof.session.plan is None:
        event = evidence.get(proof.event_ref)
        if event is None:
            return [*faults, "the row of the event is missing"]
        if (event.row.get("source"), event.row.get("event_id")) != (proof.session.source, proof.session.event_id):
            faults.append("the row of the event belongs to another event")
    return faults + _claim_faults(proof, evidence) + _brief_faults(proof, evidence)


def _stands(evidence: Evidence) -> bool:
    """Whether a fact's literal stands in the passage that it was read from; rows of other kinds quote none."""
    row = evidence.row
    if evidence.table != "catalyst.document" or "fact" not in row:
        return True
    return stands_in(str(row.get("literal", "")), str(row.get("passage_text", "")))


def _claim_faults(proof: Proof, evidence: Mapping[str, Evidence]) -> list[str]:
    if not proof.claims:
        return ["no claim"]
    drafts = [Draft(claim.kind, claim.ref, claim.field, claim.value, claim.base_ref) for claim in proof.claims]
    verification = verify(drafts, evidence, proof.event_ref)
    if verification.dropped:
        return [f"claim: {reason}" for reason in verification.dropped]
    said = zip(proof.claims, verification.claims, strict=True)
    return [f"claim {n}: its words or its value are not the row's" for n, (ours, again) in enumerate(said, 1) if _claim(ours) != again]


def _brief_faults(proof: Proof, evidence: Mapping[str, Evidence]) -> list[str]:
    if not all(REMARK.fullmatch(remark) for remark in proof.brief.remarks):
        return ["a remark is none that a brief can make"]
    try:
        again = write_again(proof, [_claim(claim) for claim in proof.claims], evidence)
    except (KeyError, ValueError, TypeError):
        return ["the brief can't be written from these rows"]
    return [f"the {name} is not what the claims give" for name in ("title", "body") if getattr(again, name) != getattr(proof.brief, name)]


def write_again(proof: Proof, claims: Sequence[Claim], evidence: Mapping[str, Evidence]) -> Brief:
    """Write the brief of a proof from its claims."""
    as_of = datetime.fromisoformat(proof.session.as_of)
    circumstances = Circumstances(proof.brief.profile, as_of, proof.brief.alert_threshold, proof.brief.remarks)
    verification = Verification(claims, {"": proof.brief.dropped})
    if proof.session.plan is not None:
        return render_answer(verification, evidence, proof.session.plan.model_dump(), circumstances)
    return render(verification, evidence, proof.event_ref, circumstances)


def _claim(claim: ProofClaim) -> Claim:
    return Claim(**claim.model_dump())


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field occurs twice")
    return document
