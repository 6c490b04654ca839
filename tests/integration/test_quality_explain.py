"""``omc quality --explain``: what a check asks, the SQL as it is run, its newest result and the rows that fail now."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import text

from omc_infra.errors import BadInputError
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.quality import run_source_checks
from omc_pipeline.quality.explain import asked_checks, explained, fact_statement
from omc_pipeline.quality.shapes import key_changes
from omc_pipeline.quality.suite import suite_of
from tests.integration.test_quality_run import MINUTE, NOW, PRICES, SOURCES, Platform, quote
from tests.integration.test_quality_run import platform as empty_platform  # noqa: F401 a fixture


def test_a_failing_check_is_explained_with_its_rows_and_its_newest_result(empty_platform: Platform) -> None:  # noqa: F811
    empty_platform.add(PRICES, quote("ETH", NOW - MINUTE), quote("BTC", NOW - MINUTE, ask=Decimal(1)))
    found = asked_checks(SOURCES, "quote_uncrossed", None, None)
    (before,) = explained(empty_platform.database, found, NOW)
    run_source_checks(empty_platform.database, PRICES, NOW)
    (after,) = explained(empty_platform.database, found, NOW)

    assert before.newest is None
    document = after.as_document()
    assert [row.split(" ")[0] for row in document["failing_rows"]] == ["BTC"]
    assert (document["newest"]["passed"], document["newest"]["observed"]) == (False, "0.5")
    assert (document["severity"], document["weight"], document["source"]) == ("critical", 2.0, PRICES.name)
    assert any(line.startswith("fails now: BTC AUD") for line in after.lines())
    assert document["fact_sql"] in after.lines()


def test_the_statement_of_every_check_of_every_source_runs_alone(empty_platform: Platform) -> None:  # noqa: F811
    suites = [suite_of(source) for source in discover_sources().values()]
    with empty_platform.database.engine("reader").connect() as connection:
        for suite in suites:
            changes = key_changes(connection, suite.source, suite.every_s, NOW).bound
            bound = {"source": suite.source, "now": NOW, "account": None, **changes}
            for check in suite.checks:
                assert check.name in connection.execute(text(fact_statement(suite, check)), bound).mappings().one()


def test_a_wrong_name_lists_near_ones() -> None:
    with pytest.raises(BadInputError, match=r"no check 'quote_uncrosed'; near: quote_uncrossed"):
        asked_checks(SOURCES, "quote_uncrosed", None, None)
    with pytest.raises(BadInputError, match=r"no source 'exchange_price'; near: exchange_prices"):
        asked_checks(SOURCES, "quote_uncrossed", None, "exchange_price")
    with pytest.raises(BadInputError, match="no check 'quote_uncrossed'"):
        asked_checks(SOURCES, "quote_uncrossed", "glass", None)
