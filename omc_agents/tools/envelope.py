"""Outside text on its way to a model: typed, cleaned, capped, and marked as data."""

from __future__ import annotations

from dataclasses import dataclass

from omc_agents.claims.evidence import Evidence
from omc_agents.claims.safety import visible_text

LONGEST_TEXT = 600
OUTSIDE_TEXT = {"catalyst.event": ("title", "issuer")}
"""The columns of each table that hold words from outside."""
_TRUST_TIERS = {"catalyst_sec_edgar": "filer"}


@dataclass(frozen=True)
class Envelope:
    """One text from outside; ``trust_tier`` says who could have written it: ``filer``, or ``anyone``."""

    row_ref: str
    source: str
    trust_tier: str
    text: str


def envelopes_of(row: Evidence) -> list[Envelope]:
    """Wrap the outside text of a row: NFKC, one line, without control, bidi and zero-width characters, capped."""
    source = str(row.row["source"])
    texts = [row.row.get(name) for name in OUTSIDE_TEXT.get(row.table, ())]
    return [Envelope(row.ref, source, _TRUST_TIERS.get(source, "anyone"), visible_text(text, limit=LONGEST_TEXT)) for text in texts if text]
