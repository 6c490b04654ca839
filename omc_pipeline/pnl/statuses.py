"""Words of a status column: what happened counts, what never did is passed over, and of any other a person must say which it is."""

from __future__ import annotations

DONE = frozenset(
    {"", "completed", "complete", "filled", "done", "closed", "settled", "success", "successful", "succeeded", "executed", "ok"}
    | {"confirmed", "finished", "credited", "abgeschlossen", "ausgeführt"}
)
NOT_DONE = frozenset(
    {"cancelled", "canceled", "failed", "rejected", "expired", "pending", "open", "new", "declined", "reversed", "voided", "aborted"}
    | {"processing", "waiting", "awaiting", "refused", "error", "storniert", "offen", "fehlgeschlagen", "abgebrochen"}
)
"""A partly filled order is in neither: how much of it was filled, the status does not say."""


def is_done(word: str) -> bool | None:
    """Say whether a row with this status happened; None where the word is not known.

    Args:
        word: In lower case, with single blanks.
    """
    if word in DONE:
        return True
    return False if word in NOT_DONE else None
