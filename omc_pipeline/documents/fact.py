"""A fact that a document states: what, of whom, how much, when, in which mood, and the characters that carry it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Modality = Literal[
    "proposed", "intended", "expected", "priced", "actual", "conditional", "believed", "anticipated", "agreed", "will", "hoped"
]
MODALITIES: tuple[Modality, ...] = get_args(Modality)


@dataclass(frozen=True)
class DocumentFact:
    """One fact.

    Attributes:
        kind: Such as ``coins_purchased``, ``holdings_after``, ``proceeds``, ``notes_principal``.
        subject: The coin, security, programme or party it is about.
        value: Normalised: a decimal number in full units (980.3 in millions is ``980300000``), losses negative; dates as ISO 8601.
        unit: ``USD``, ``BTC``, ``USD per BTC``, ``shares``, ``%``, ``date`` ...
        period: A day, ``from/to``, a quarter ``2025-Q3``, a month, or ``as of`` a day; empty where the document says none.
        passage: Number of the passage that carries it.
        literal: The characters of the passage that carry it.
        modality: How it is said where it isn't simply so.
        negated: The document says that it did not happen; the value is zero.
    """

    kind: str
    subject: str
    value: str
    unit: str
    passage: int
    literal: str
    period: str = ""
    modality: str | None = None
    negated: bool = False

    def as_document(self) -> dict[str, Any]:
        """Return its JSON; ``modality`` and ``negated`` only where they are said."""
        shown: dict[str, Any] = {name: getattr(self, name) for name in ("kind", "subject", "value", "unit", "period")}
        if self.modality is not None:
            shown["modality"] = self.modality
        if self.negated:
            shown["negated"] = True
        return {**shown, "passage": self.passage, "literal": self.literal}

    def within(self, period: str) -> DocumentFact:
        """Return the same fact of another period."""
        return replace(self, period=period)
