"""Holds each drafted claim against the rows of its session; what no row bears is dropped, with a reason that is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from omc_agents.claims.evidence import Evidence, json_value
from omc_agents.claims.fields import NUMBER, Value, has_printable_reference, read_claimed, read_field, visible
from omc_agents.claims.kinds import KINDS, Kind, change_pct
from omc_agents.claims.safety import unsafe_reason

MOST_CLAIMS = 20
REPAIRABLE = frozenset(
    {
        "no such kind of claim",
        "row not of this session",
        "rows can't be compared",
        "not the session's event",
        "not before the session's event",
        "value is not the row's",
    }
)
"""Reasons that are given back to a model, once, with the draft; a draft that could not be printed is not given back."""
NOT_REPAIRED = "not repaired"
"""Reason of a draft that fell and for which the model had nothing better."""


@dataclass(frozen=True)
class Draft:
    """A claim as a model wrote it; nothing in it is trusted."""

    kind: str
    ref: str
    field: str
    value: str
    base_ref: str | None = None


@dataclass(frozen=True)
class Claim:
    """A claim that a row bears; ``text`` is code's own words, ``value`` the row's exact value (percent for a comparison)."""

    kind: str
    ref: str
    field: str
    value: str
    text: str
    base_ref: str | None = None


@dataclass(frozen=True)
class Verification:
    """What is left of the drafts.

    Attributes:
        claims: Those that hold, in the order of the drafts.
        dropped: How many fell, by reason.
        repairable: Drafts that fell for a reason that another look at the rows can mend, each with the reason.
    """

    claims: Sequence[Claim]
    dropped: Mapping[str, int]
    repairable: Sequence[tuple[Draft, str]] = field(default=(), compare=False)


class Refusal(Exception):  # noqa: N818 it is an answer about one draft, not a failure
    """Why one draft is dropped."""


def verify(drafts: Sequence[Draft], evidence: Mapping[str, Evidence], event_ref: str) -> Verification:
    """Keep the drafts that the evidence bears.

    Args:
        drafts: As the model wrote them; those past ``MOST_CLAIMS`` fall.
        evidence: Rows of the session by their reference.
        event_ref: Reference of the session's own event.
    """
    claims: list[Claim] = []
    dropped: Counter[str] = Counter()
    repairable: list[tuple[Draft, str]] = []
    for draft in drafts:
        try:
            claims.append(_new(verified(draft, evidence, event_ref), claims))
        except Refusal as refusal:
            reason = str(refusal)
            dropped[reason] += 1
            if reason in REPAIRABLE and not any(unsafe_reason(part) for part in (draft.kind, draft.ref, draft.field, draft.value)):
                repairable.append((draft, reason))
    return Verification(tuple(claims), dict(dropped), tuple(repairable))


def repaired(first: Verification, drafts: Sequence[Draft], evidence: Mapping[str, Evidence], event_ref: str) -> Verification:
    """Return a verification with the drafts that a model wrote in place of those that fell; they are verified in the same way, once.

    Args:
        first: Of the first drafts.
        drafts: What replaces its repairable ones; more than these are ignored.
        evidence: As in ``verify``.
        event_ref: As in ``verify``.
    """
    claims = list(first.claims)
    dropped = Counter(first.dropped)
    dropped.subtract(Counter(reason for _, reason in first.repairable))
    replaced = 0
    for draft in drafts[: len(first.repairable)]:
        replaced += 1
        try:
            claims.append(_new(verified(draft, evidence, event_ref), claims))
        except Refusal as refusal:
            dropped[str(refusal)] += 1
    dropped[NOT_REPAIRED] += len(first.repairable) - replaced
    return Verification(tuple(claims), {reason: count for reason, count in dropped.items() if count})


def verified(draft: Draft, evidence: Mapping[str, Evidence], event_ref: str) -> Claim:
    """Return the claim a draft amounts to.

    Raises:
        Refusal: Unknown kind, a row that is not of the session or of another table, a column the kind may not assert, a value
            that is not the row's, or text that may not be printed.
    """
    kind = KINDS.get(draft.kind)
    if kind is None or draft.field not in kind.fields:
        raise Refusal("no such kind of claim")
    row, base = _rows(draft, kind, evidence)
    if not all(has_printable_reference(kind.table, cited.row) for cited in (row, base) if cited):
        raise Refusal("row has an unprintable column")
    _require_order(kind, row, evidence.get(event_ref))
    value = _row_value(draft, kind, row, base)
    shown, shown_base = visible(kind.table, row.row), visible(kind.table, base.row) if base else {}
    try:
        text = kind.words(value, draft.field, shown, shown_base)
    except KeyError as missing:
        raise Refusal("row has an unprintable column") from missing
    if unsafe_reason(text):
        raise Refusal("unsafe text")
    return Claim(draft.kind, row.ref, draft.field, str(json_value(value)), text, base.ref if base else None)


def _new(claim: Claim, claims: Sequence[Claim]) -> Claim:
    if len(claims) >= MOST_CLAIMS:
        raise Refusal("too many claims")
    if any((claim.kind, claim.ref, claim.field, claim.base_ref) == (said.kind, said.ref, said.field, said.base_ref) for said in claims):
        raise Refusal("said twice")
    return claim


def _rows(draft: Draft, kind: Kind, evidence: Mapping[str, Evidence]) -> tuple[Evidence, Evidence | None]:
    row = evidence.get(draft.ref)
    if row is None or row.table != kind.table:
        raise Refusal("row not of this session")
    if not kind.compares:
        return row, None
    base = evidence.get(draft.base_ref or "")
    if base is None or base.table != kind.table:
        raise Refusal("row not of this session")
    if any(row.row.get(name) != base.row.get(name) for name in kind.series) or base.row[kind.clock] >= row.row[kind.clock]:
        raise Refusal("rows can't be compared")
    return row, base


def _require_order(kind: Kind, row: Evidence, event: Evidence | None) -> None:
    if kind.event == "itself" and row != event:
        raise Refusal("not the session's event")
    if kind.event == "before" and (event is None or row.row["published_at"] >= event.row["published_at"]):
        raise Refusal("not before the session's event")


def _row_value(draft: Draft, kind: Kind, row: Evidence, base: Evidence | None) -> Value:
    if unsafe_reason(draft.value):
        raise Refusal("unsafe text")
    if base is None:
        row_value, claimed = read_field(kind.table, draft.field, row.row), read_claimed(kind.table, draft.field, draft.value)
    else:
        row_value, claimed = change_pct(kind.table, draft.field, row.row, base.row), NUMBER.read(draft.value)
    if row_value is None or claimed is None or type(row_value) is not type(claimed) or row_value != claimed:
        raise Refusal("value is not the row's")
    return row_value
