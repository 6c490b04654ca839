"""Titles of filings: the names of the items of Form 8-K, descriptions of other forms."""

from __future__ import annotations

import re
from collections.abc import Mapping

from omc_pipeline.ledgers.edgar import ITEMS, has_items

OLD_ITEMS: Mapping[str, str] = {
    "1": "Change of Control", "2": "Acquisition or Disposition", "3": "Bankruptcy", "4": "Change of Auditor", "5": "Other Events",
    "6": "Resignation of Directors", "7": "Exhibits", "8": "Change of Fiscal Year", "9": "Regulation FD", "10": "Code of Ethics",
    "11": "Blackout of Benefit Plans", "12": "Results of Operations",
}  # fmt: skip
"""Items of Form 8-K before 23 August 2004."""
FORMS: Mapping[str, str] = {
    "EFFECT": "Notice of Effectiveness", "QUALIF": "Notice of Qualification", "D": "Notice of Exempt Offering",
    "15-12G": "End of Registration", "25": "Removal from Listing", "25-NSE": "Removal from Listing", "RW": "Withdrawal of a Registration",
}  # fmt: skip
"""Forms whose column ``items`` holds something else than items (of an effective registration: its form and time)."""

_CODE = re.compile(r"\d{1,2}(\.\d{2})?", re.ASCII)


def filing_title(form: str, items: str | None, issuer: str) -> str:
    """Return ``8-K Results of Operations (2.02), Exhibits (9.01) - Apple Inc.``; only codes of items are read as items."""
    details = _items(items) if has_items(form) else FORMS.get(form.removesuffix("/A"), "")
    return f"{form}{' ' if details else ''}{details} - {issuer}"


def _items(items: str | None) -> str:
    codes = [code.strip() for code in (items or "").split(",")]
    names = {**ITEMS, **OLD_ITEMS}
    return ", ".join(f"{names[code]} ({code})" if code in names else f"({code})" for code in codes if _CODE.fullmatch(code))
