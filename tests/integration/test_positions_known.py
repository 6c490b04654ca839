"""A report reads what its run knew: fills, rates and quotes that the ledger recorded later change no figure of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.commands.pnl import pnl
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.pairs import decide_pair, pair_new_fills, pairs
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append
from omc_pipeline.positions import compute_positions, summary, value_positions
from omc_pipeline.positions.identity import broken_identities
from omc_pipeline.positions.report import report

T0 = datetime(2026, 1, 5, 12, tzinfo=UTC)
D = Decimal
CUTS = ("coin", "account", "period", "match")


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    return request.node.name.removeprefix("test_")[:60]


def fill(user: str, number: int, side: str, qty: str, price: str, **changes: Any) -> Fill:
    at = T0 + timedelta(days=number)
    made = Fill(f"{user}-{number}", user, "main", "BTC", "AUD", side, D(qty), D(price), D(qty) * D(price), D(0), "AUD", at)
    return replace(made, **changes)


def store(database: Database, *rows: Row, source: str = "venue") -> None:
    with database.connect("writer") as connection:
        append(connection, source, rows, None)
        pair_new_fills(connection, rows)


def figures(database: Database, user: str, method: Any = "fifo") -> dict[str, Any]:
    """Return the figures of every cut; exceptions tell of what is new and are left out."""
    found = {by: report(database, user, by, method) for by in CUTS}
    return {by: (document["rows"], document["totals"], document["metrics"]) for by, document in found.items()}


def not_computed(database: Database, user: str) -> Sequence[str]:
    return [row["message"] for row in report(database, user)["exceptions"] if row["kind"] == "not_computed"]


def test_a_correction_recorded_after_the_run_leaves_the_identity_of_its_report(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "10"), fill(user, 2, "sell", "1", "15"))
    compute_positions(database, user)
    before = report(database, user)["totals"]

    store(database, fill(user, 1, "buy", "2", "11"))
    after = report(database, user)["totals"]

    assert (before["cost"], before["identity_holds"]) == ("20", True)
    assert (after["cost"], after["identity_holds"]) == ("20", True)
    assert after == before


def test_every_cut_is_the_same_before_and_after_fills_are_corrected_and_added(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "10"), fill(user, 2, "sell", "1", "15"), Quote("BTC", "AUD", T0, D(20), D(20), None))
    compute_positions(database, user)
    value_positions(database, user, T0)
    before = figures(database, user)

    store(database, fill(user, 1, "buy", "2", "11"), fill(user, 2, "sell", "2", "15"), fill(user, 0, "buy", "5", "1"))

    assert figures(database, user) == before


def test_the_report_says_how_many_fills_came_since_and_what_to_run(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "10"))
    compute_positions(database, user)
    assert not_computed(database, user) == []

    store(database, fill(user, 1, "buy", "2", "11"))
    store(database, fill(user, 1, "buy", "2", "12"), fill(user, 2, "buy", "1", "1"))

    (message,) = not_computed(database, user)
    assert "2 fills recorded since" in message
    assert "omc pnl positions" in message
    compute_positions(database, user)
    assert not_computed(database, user) == []
    assert report(database, user)["totals"]["cost"] == "25"


def test_the_valuation_check_compares_what_is_kept_with_the_fills_that_the_run_knew(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "10"), fill(user, 2, "sell", "1", "15"))
    run = compute_positions(database, user)
    store(database, fill(user, 1, "buy", "2", "11"))

    assert broken_identities(database, user) == []
    assert (summary(database, user).identity_holds, summary(database, user).fills_since) == (True, 1)
    with psycopg.connect(database.url("owner", "")) as owner:
        owner.execute("DELETE FROM pnl.lot_match WHERE run_id = %s", (run.run_id,))
    assert broken_identities(database, user) == ["BTC"]
    assert broken_identities(database, user, most_fills=1) == []


def test_a_fill_that_was_taken_out_of_the_ledger_makes_the_report_say_so(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "10"), fill(user, 2, "sell", "1", "15"))
    compute_positions(database, user)

    with psycopg.connect(database.url("owner", "")) as owner:
        owner.execute("DELETE FROM exchange.fill WHERE fill_id = %s", (f"{user}-1",))

    assert [row["kind"] for row in report(database, user)["exceptions"]] == ["ledger_changed"]


def test_a_report_names_the_run_that_it_comes_from(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "10"))
    run = compute_positions(database, user)

    knew = report(database, user)["knew"]

    assert (knew["run"], knew["fills"], knew["fills_since"]) == (run.run_id, 1, 0)
    assert len(knew["input_sha256"]) == 64
    assert datetime.fromisoformat(knew["known_at"]) <= datetime.fromisoformat(knew["priced_at"])


def test_a_rate_that_arrives_after_the_run_settles_no_fill_in_its_report(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "10"), fill(user, 2, "buy", "1", "7", currency="ODD", fee_currency="ODD"))
    compute_positions(database, user)
    before = figures(database, user)

    store(database, Quote("ODD", "AUD", T0 + timedelta(days=1.5), D(3), D(3), None))

    assert report(database, user)["totals"]["identity_holds"] is True
    assert figures(database, user) == before


def test_a_rate_that_another_method_used_later_settles_no_fill_in_the_earlier_report(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "10"), fill(user, 2, "buy", "1", "7", currency="EVEN", fee_currency="EVEN"))
    compute_positions(database, user)
    before = figures(database, user)

    store(database, Quote("EVEN", "AUD", T0 + timedelta(days=1.5), D(3), D(3), None))
    compute_positions(database, user, "lifo")

    assert figures(database, user) == before
    assert report(database, user, method="lifo")["totals"]["cost"] == "41"


def test_a_fill_that_came_through_two_doors_is_counted_once_in_the_report_as_in_the_positions(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "10"), fill(user, 2, "sell", "1", "15"))
    store(database, fill(user, 1, "buy", "2", "10", fill_id=f"{user}-file"), source="file")
    compute_positions(database, user)

    totals = report(database, user)["totals"]

    assert (totals["cost"], totals["identity_holds"]) == ("20", True)
    assert D(totals["cost"]) == summary(database, user).cost


def test_a_decision_on_a_pair_after_the_run_changes_no_figure_of_its_report(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "10"), fill(user, 2, "sell", "1", "15"))
    store(database, fill(user, 1, "buy", "2", "10", fill_id=f"{user}-file"), source="file")
    compute_positions(database, user)
    before = figures(database, user)

    with database.connect("writer") as connection:
        (pair,) = pairs(connection, user, every=True)
        ids = (pair.account_id, pair.fill_id, pair.duplicate_account_id, pair.duplicate_fill_id)
        decide_pair(connection, user, ids, "ada", is_duplicate=False)

    assert figures(database, user) == before
    (message,) = not_computed(database, user)
    assert "1 fill recorded since" in message
    compute_positions(database, user)
    totals = report(database, user)["totals"]
    assert (totals["cost"], totals["identity_holds"]) == ("40", True)


def test_a_quote_corrected_after_the_valuation_does_not_change_the_history(database: Database, user: str) -> None:
    store(
        database,
        fill(user, 1, "buy", "2", "10", symbol="HIS"),
        Quote("HIS", "AUD", T0 + timedelta(days=2), D(20), D(20), None),
        Quote("HIS", "AUD", T0 + timedelta(days=4), D(30), D(30), None),
    )
    compute_positions(database, user)
    value_positions(database, user, T0)
    before = report(database, user)["metrics"]

    store(database, Quote("HIS", "AUD", T0 + timedelta(days=2), D(1), D(1), None))

    assert report(database, user)["metrics"] == before


def test_the_tax_view_and_the_export_are_those_of_the_run(database: Database, user: str, settings: Settings) -> None:
    store(database, fill(user, 1, "buy", "2", "10"), fill(user, 2, "sell", "1", "15"))
    compute_positions(database, user)
    command = ["report", "--user", user]

    def asked(*options: str) -> str:
        return CliRunner(env=settings.environ()).invoke(pnl, [*command, *options], catch_exceptions=False).stdout

    tax, table = asked("--tax-year", "2026", "--json"), asked("--by", "match", "--format", "csv")
    store(database, fill(user, 1, "buy", "2", "11"))
    tax_after, table_after = asked("--tax-year", "2026", "--json"), asked("--by", "match", "--format", "csv")

    assert list(csv.DictReader(io.StringIO(table_after))) == list(csv.DictReader(io.StringIO(table)))
    known, later = json.loads(tax), json.loads(tax_after)
    assert later["tax"] == known["tax"]
    assert later["totals"] == known["totals"]
    assert later["totals"]["identity_holds"] is True
