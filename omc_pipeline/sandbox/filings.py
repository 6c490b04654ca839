"""The tracked issuers and what they filed: a history drawn from the seed, and filings announced by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from omc_infra.clock import parse_utc
from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.edgar import ITEMS, has_items, is_form
from omc_pipeline.sandbox.noise import between, pick, unit
from omc_pipeline.sandbox.state import Record
from omc_pipeline.sandbox.world import HISTORY, World, day_start, iso_ms

SILENCE = timedelta(hours=30)
"""History ends this long ago, so that what is fresh was announced: a day, and six hours for whoever reads the ambiguous
``Z`` of EDGAR's times as New York's."""
_CHANCE_A_WEEKDAY = 0.85
_WEEKDAYS = range(5)


@dataclass(frozen=True)
class Issuer:
    """One filer: CIK of ten digits, names, and what it is by EDGAR's lights."""

    cik: str
    name: str
    tickers: tuple[str, ...]
    exchanges: tuple[str, ...]
    sic: str
    sic_description: str
    category: str
    fund: bool = False


ISSUERS = {
    issuer.cik: issuer
    for issuer in (
        Issuer(
            "0001050446",
            "Strategy Inc",
            ("MSTR", "STRK"),
            ("Nasdaq", "Nasdaq"),
            "7372",
            "Services-Prepackaged Software",
            "Large accelerated filer",
        ),
        Issuer("0001679788", "Coinbase Global, Inc.", ("COIN",), ("Nasdaq",), "6199", "Finance Services", "Large accelerated filer"),
        Issuer(
            "0001980994",
            "iShares Bitcoin Trust ETF",
            ("IBIT",),
            ("Nasdaq",),
            "6221",
            "Commodity Contracts Brokers & Dealers",
            "",
            fund=True,
        ),
        Issuer(
            "0002000638",
            "iShares Ethereum Trust ETF",
            ("ETHA",),
            ("Nasdaq",),
            "6221",
            "Commodity Contracts Brokers & Dealers",
            "",
            fund=True,
        ),
        Issuer("0001507605", "MARA Holdings, Inc.", ("MARA",), ("Nasdaq",), "6199", "Finance Services", "Large accelerated filer"),
    )
}


@dataclass(frozen=True)
class Filing:
    """One filing; ``accepted_at`` is written with a ``Z`` and here it is UTC."""

    cik: str
    accession_number: str
    accepted_at: datetime
    form: str
    items: str
    description: str
    document: str
    size_bytes: int


@dataclass(frozen=True)
class _Kind:
    form: str
    items: str
    description: str


_COMPANY_KINDS = (
    _Kind("8-K", "7.01,8.01", "FORM 8-K"),
    _Kind("8-K", "2.02,9.01", "FORM 8-K"),
    _Kind("8-K", "1.01,2.03,9.01", "FORM 8-K"),
    _Kind("4", "", "FORM 4"),
    _Kind("144", "", ""),
    _Kind("424B5", "", "424B5"),
)
_FUND_KINDS = (_Kind("8-K", "8.01", "FORM 8-K"), _Kind("424B3", "", "424B3"), _Kind("S-3", "", "S-3"), _Kind("8-A12B", "", ""))


def filings_of(world: World, cik: str, now: datetime) -> list[Filing]:
    """Return what one issuer has filed by now, newest first."""
    drawn = [filing for filing in _history(world.seed, now) if filing.cik == cik]
    announced = [_announced(record) for record in world.state.records("filing") if record["cik"] == cik]
    known = [filing for filing in (*drawn, *announced) if filing.accepted_at <= now]
    return sorted(known, key=lambda filing: (filing.accepted_at, filing.accession_number), reverse=True)


DEFAULT_FORM, DEFAULT_ITEMS = "8-K", "7.01,8.01"


def checked_words(form: object, items: object) -> tuple[str, str]:
    """Return form and items of a filing as EDGAR would publish them.

    Args:
        form: None: an 8-K.
        items: Of an 8-K, comma separated; None: the usual ones where the form has items at all.

    Raises:
        BadInputError: EDGAR has no such form or item, or items are given to a form that has none.
    """
    form = DEFAULT_FORM if form is None else form
    if not isinstance(form, str) or not is_form(form):
        raise BadInputError(f"form {form!r} is not a form type of SEC EDGAR, such as 8-K, 8-K/A, 4 or S-3")
    if not has_items(form):
        if items:
            raise BadInputError(f"items {items!r} are for an 8-K only, but the form is {form}")
        return form, ""
    items = DEFAULT_ITEMS if items is None else items
    named = [item.strip() for item in items.split(",")] if isinstance(items, str) else []
    unknown = [item for item in named if item not in ITEMS]
    if unknown or not named or len(set(named)) < len(named):
        raise BadInputError(f"items {items!r} must be items of an 8-K, comma separated, each once: {', '.join(ITEMS)}")
    return form, ",".join(named)


def announce(world: World, cik: str | None, form: object = None, items: object = None) -> Filing:
    """Publish a filing now and remember it; without a CIK the issuers take turns. Raises as ``checked_words`` does."""
    checked_form, checked_items = checked_words(form, items)

    def record(records: list[Record]) -> Record:
        before = [known for known in records if known.get("kind") == "filing"]
        filer = cik or list(ISSUERS)[len(before) % len(ISSUERS)]
        now = world.clock()
        serial = max([int(now.timestamp() * 1000), *(known["serial"] + 1 for known in before)])
        return {"kind": "filing", "serial": serial, "cik": filer, "at": iso_ms(now), "form": checked_form, "items": checked_items}

    return _announced(world.state.append(record))


def _announced(record: Record) -> Filing:
    """Give a record its accession number: the millisecond of its announcement, which no other filing has."""
    accepted_at = parse_utc(record["at"])
    agent, sequence = divmod(record["serial"], 10**6)
    number = f"{agent:010d}-{accepted_at:%y}-{sequence:06d}"
    form = record["form"]
    return Filing(record["cik"], number, accepted_at, form, record["items"], f"FORM {form}", f"form{form.lower()}-{sequence}.htm", 48_211)


def _history(seed: int, now: datetime) -> list[Filing]:
    today = day_start(now)
    days = [today - timedelta(days=age) for age in range(HISTORY.days + 1)]
    drawn = [_drawn(seed, day) for day in days if day.weekday() in _WEEKDAYS and unit(seed, "filed", day.date()) < _CHANCE_A_WEEKDAY]
    return [filing for filing in drawn if filing.accepted_at <= now - SILENCE]


def _drawn(seed: int, day: datetime) -> Filing:
    """Draw the filing of one day; in five days in a row each issuer has its turn."""
    ciks = sorted(ISSUERS, key=lambda cik: unit(seed, "turn", cik))
    issuer = ISSUERS[ciks[day.date().toordinal() % len(ciks)]]
    kind = pick(_FUND_KINDS if issuer.fund else _COMPANY_KINDS, seed, "kind", day.date())
    accepted_at = day + timedelta(seconds=round(between(11 * 3600, 23.9 * 3600, seed, "time", day.date())))
    sequence = int(between(1, 400, seed, "sequence", day.date()))
    own = kind.form in ("4", "144") or issuer.fund
    number = f"{issuer.cik if own else '0001193125'}-{accepted_at:%y}-{accepted_at.timetuple().tm_yday * 1000 + sequence:06d}"
    stem = issuer.tickers[0].lower()
    document = f"xslF345X05/wk-form4_{sequence}.xml" if kind.form == "4" else f"{stem}-{accepted_at:%Y%m%d}.htm"
    size_bytes = int(between(4_000, 400_000, seed, "size", day.date()))
    return Filing(issuer.cik, number, accepted_at, kind.form, kind.items, kind.description, document, size_bytes)
