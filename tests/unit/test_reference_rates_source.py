"""What the parser of reference rates makes of the bank's file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.source import Parsed
from omc_pipeline.sources.glass_fx import SOURCE

BODY = (Path(__file__).parent.parent / "fixtures/glass_fx/rates.xml").read_bytes()
AT = datetime(2026, 9, 21, 14, 35, tzinfo=UTC)


def _parsed(body: bytes) -> Parsed:
    return SOURCE.parse(Payload(SOURCE.name, body, AT, ""), SOURCE.config())


def test_a_rate_was_true_when_the_bank_took_it_in_frankfurt_in_summer_and_in_winter() -> None:
    rows = {(row.currency, row.day): row for row in _parsed(BODY).rows}

    summer, winter = rows["USD", date(2026, 9, 18)], rows["USD", date(2026, 1, 15)]
    assert summer.observed_at == datetime(2026, 9, 18, 12, 15, tzinfo=UTC)
    assert winter.observed_at == datetime(2026, 1, 15, 13, 15, tzinfo=UTC)
    assert (summer.base, summer.rate) == ("EUR", Decimal("1.1203"))


def test_a_currency_that_nobody_follows_is_passed_over_and_one_without_a_number_is_refused() -> None:
    parsed = _parsed(BODY)

    assert {row.currency for row in parsed.rows} == {"USD", "AUD"}
    assert [rejected.reason for rejected in parsed.rejected] == ["rate is 'N/A', not a finite number"]


@pytest.mark.parametrize("body", [b"<feed><entry/></feed>", b"<Envelope><Cube/></Envelope>"])
def test_another_document_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadChangedError, match="Envelope"):
        _parsed(body)
