"""Terms of SEC EDGAR: its form types, and the items of Form 8-K."""

from __future__ import annotations

ITEMS = {
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

_FORMS = """
1 1-A 1-A-W 1-E 1-K 1-SA 1-U 1-Z 10 10-12B 10-12G 10-D 10-K 10-K405 10-KT 10-Q 10-QT 11-K 11-KT 12B-25 13F-HR 13F-NT 13FCONP 144 15-12B
15-12G 15-15D 15F-12B 15F-12G 15F-15D 17AD-27 17H 18 18-K 19B-4 20-F 20FR12B 20FR12G 24F-2NT 25 25-NSE 253G1 253G2 253G3 253G4 3 305B2 4
40-17F2 40-17G 40-24B2 40-33 40-6B 40-APP 40-F 40-OIP 40FR12B 40FR12G 424A 424B1 424B2 424B3 424B4 424B5 424B7 424B8 425 485APOS 485BPOS
485BXT 486APOS 486BPOS 487 497 497AD 497J 497K 497VPI 497VPU 5 6-K 8-A12B 8-A12G 8-K 8-K12B 8-K12G3 8-K15D5 8-M ABS-15G ABS-EE ADV-E
ANNLRPT ARS ATS-N AW C C-AR C-TR C-U C-W CB CERT CERTARCA CERTBATS CERTNAS CERTNYS CFPORTAL CORRESP D DEFA14A DEFA14C DEFC14A DEFC14C
DEFM14A DEFM14C DEFN14A DEFR14A DEFR14C DFAN14A DFRN14A DOS DRS DRSLTR DSTRBRPT EFFECT F-1 F-10 F-10EF F-10POS F-1MEF F-3 F-3ASR F-3D
F-3DPOS F-3MEF F-4 F-4MEF F-6 F-6EF F-7 F-8 F-80 F-80POS F-N F-X FOCUSN FWP G-405 G-FIN IRANNOTICE MA MA-A MA-I MA-W MSD N-14 N-14MEF
N-18F1 N-1A N-2 N-23C-2 N-23C3A N-2ASR N-2MEF N-30B-2 N-30D N-4 N-54A N-54C N-6 N-6F N-8A N-8F N-CEN N-CR N-CSR N-CSRS N-MFP N-MFP1
N-MFP2 N-MFP3 N-PORT N-PX N-Q N-VP N-VPFS NPORT-EX NPORT-P NRSRO-CE NRSRO-UPD NSAR-A NSAR-B POS462B POS462C POSASR PREC14A PREC14C
PREM14A PREM14C PREN14A PRER14A PRER14C PRRN14A PX14A6G PX14A6N QRTLYRPT QUALIF REG-NR REVOKED RW S-1 S-11 S-11MEF S-1MEF S-20 S-3
S-3ASR S-3D S-3DPOS S-3MEF S-4 S-4EF S-4MEF S-6 S-8 S-B SBSE SC14D1F SC14D9C SC14D9F SD SE SF-1 SF-3 SHLDRS SUPPL T-3 TA-1 TA-2 TA-W TH
TTW UNDER UPLOAD WDL-REQ X-17A-5
"""
_WITH_SPACE = frozenset(
    {
        "APP NTC", "APP ORDR", "APP WD", "AW WD", "CT ORDER", "DEF 14A", "DEF 14C", "DEL AM", "F-6 POS", "N-14 8C", "N-2 POSASR", "NO ACT",
        "NT 10-D", "NT 10-K", "NT 10-Q", "NT 11-K", "NT 15D2", "NT 20-F", "NT N-CEN", "NT N-MFP", "NT NPORT-P", "NTN 10K", "NTN 10Q",
        "POS 8C", "POS AM", "POS AMI", "POS EX", "PRE 14A", "PRE 14C", "RW WD", "S-4 POS", "S-8 POS", "SC 13D", "SC 13E1", "SC 13E3",
        "SC 13G", "SC 14D9", "SC 14F1", "SC 14N", "SC TO-C", "SC TO-I", "SC TO-T", "SCHEDULE 13D", "SCHEDULE 13G", "SP 15D2",
    }
)  # fmt: skip
_BASE_FORMS = frozenset(_FORMS.split()) | _WITH_SPACE
"""EDGAR's form types without ``/A``; https://www.sec.gov/submit-filings/forms-index. A type that is missing here is not printed."""


def is_form(text: str) -> bool:
    """Return whether a text is a form type of SEC EDGAR, an amendment (``/A``) included."""
    return text.removesuffix("/A") in _BASE_FORMS


def has_items(form: str) -> bool:
    """Return whether filings of a form type have items of Form 8-K."""
    return form.startswith("8-K")
