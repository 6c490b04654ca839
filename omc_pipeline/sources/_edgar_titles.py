"""What a filing is called, in words: the items of Form 8-K by name, other forms by what they are."""

from __future__ import annotations

import re
from collections.abc import Mapping

ITEMS: Mapping[str, str] = {
    "1.01": "Material Agreement", "1.02": "End of a Material Agreement", "1.03": "Bankruptcy", "1.04": "Mine Safety",
    "1.05": "Cybersecurity Incident", "2.01": "Acquisition or Disposition", "2.02": "Results of Operations",
    "2.03": "New Obligation", "2.04": "Accelerated Obligation", "2.05": "Exit Costs", "2.06": "Impairment",
    "3.01": "Delisting or Listing Transfer", "3.02": "Unregistered Sale of Equity", "3.03": "Change of Holders' Rights",
    "4.01": "Change of Auditor", "4.02": "Non-Reliance on Past Statements", "5.01": "Change of Control",
    "5.02": "Directors and Officers", "5.03": "Bylaws or Fiscal Year", "5.04": "Blackout of Benefit Plans", "5.05": "Code of Ethics",
    "5.06": "Shell Status", "5.07": "Shareholder Vote", "5.08": "Director Nominations", "6.01": "ABS Information",
    "7.01": "Regulation FD", "8.01": "Other Events", "9.01": "Exhibits",
}  # fmt: skip
"""Items of Form 8-K, shortened; https://www.sec.gov/files/form8-k.pdf."""
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
    told = _items(items) if form.startswith("8-K") else FORMS.get(form.removesuffix("/A"), "")
    return f"{form}{' ' if told else ''}{told} - {issuer}"


def _items(items: str | None) -> str:
    codes = [code.strip() for code in (items or "").split(",")]
    names = {**ITEMS, **OLD_ITEMS}
    return ", ".join(f"{names[code]} ({code})" if code in names else f"({code})" for code in codes if _CODE.fullmatch(code))
