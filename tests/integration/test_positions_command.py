"""``omc pnl positions``, ``exceptions``, ``resolve``: a user's own choice of method, kept by the schedule; and what needs a person."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.commands.pnl import pnl
from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.write import append
from omc_pipeline.positions import compute_positions
from omc_pipeline.positions.basis import Basis
from omc_pipeline.positions.users import red_exceptions, stale_users, users_with_positions

D = Decimal
T0 = datetime(2026, 1, 1, tzinfo=UTC)
BUY = Fill("b1", "chooser", "main", "BTC", "AUD", "buy", D(1), D(100), D(100), D(0), "AUD", T0)
FILLS = [
    BUY,
    replace(BUY, fill_id="b2", price=D(300), quote_amount=D(300), executed_at=T0 + timedelta(days=1)),
    replace(BUY, fill_id="s1", account_id="other", side="sell", price=D(400), quote_amount=D(400), executed_at=T0 + timedelta(days=2)),
]


def omc(settings: Settings, *arguments: str, exit_code: int = 0) -> Any:
    done = CliRunner().invoke(pnl, [*arguments, "--json"], env=settings.environ(), catch_exceptions=False)
    assert done.exit_code == exit_code, done.output
    return json.loads(done.stdout)


def store(database: Database, *fills: Fill) -> None:
    with database.connect("writer") as connection:
        append(connection, "test", fills, None)


def test_a_method_once_chosen_is_kept_current_with_its_policies(database: Database, settings: Settings) -> None:
    store(database, *FILLS)

    fifo = omc(settings, "positions", "--user", "chooser")
    average = omc(settings, "positions", "--user", "chooser", "--method", "avg", "--fee-policy", "expense")

    assert (D(fifo["realized"]), D(average["realized"]), average["identity_holds"]) == (300, 200, True)
    assert stale_users(database) == []
    assert users_with_positions(database) == [("chooser", ("avg", "AUD")), ("chooser", ("fifo", "AUD"))]
    store(database, replace(BUY, fill_id="b3", executed_at=T0 + timedelta(days=3)))
    assert stale_users(database) == [("chooser", Basis("avg", "expense")), ("chooser", Basis())]
    assert omc(settings, "positions", "--user", "chooser", "--method", "avg", "--fee-policy", "expense")["unchanged"] is False


def test_the_cut_by_account_adds_up_to_the_same_total(database: Database, settings: Settings) -> None:
    store(database, *FILLS)
    compute_positions(database, "chooser")

    found = omc(settings, "report", "--user", "chooser", "--by", "account")

    assert [row["account"] for row in found["rows"]] == ["main", "other"]
    assert sum(D(row["realized"]) for row in found["rows"]) == D(found["totals"]["realized"]) == 300


@pytest.mark.parametrize(("user", "method"), [("nobody", "fifo"), ("watched", "hifo")])
def test_exceptions_that_nobody_has_looked_for_are_no_all_clear(database: Database, settings: Settings, user: str, method: str) -> None:
    store(database, replace(BUY, fill_id="w1", user_id="watched"))
    omc(settings, "positions", "--user", "watched")

    with pytest.raises(BadInputError, match=f"'{user}' has no positions by {method} in AUD"):
        omc(settings, "exceptions", "--user", user, "--method", method)


def test_an_exception_is_listed_resolved_once_and_then_green(database: Database, settings: Settings) -> None:
    store(database, replace(BUY, fill_id="over", user_id="seller", side="sell"))
    omc(settings, "positions", "--user", "seller")

    (row,) = omc(settings, "exceptions", "--user", "seller", exit_code=1)["exceptions"]
    omc(settings, "resolve", str(row["exception_id"]), "--by", "an accountant", "--reason", "bought before the ledger began")

    assert row["kind"] == "oversell"
    assert omc(settings, "exceptions", "--user", "seller")["exceptions"][0]["resolved_by"] == "an accountant"
    assert red_exceptions(database, ["seller"]) == []
    with pytest.raises(BadInputError, match="is not open"):
        omc(settings, "resolve", str(row["exception_id"]), "--by", "x", "--reason", "y")


def test_a_user_without_fills_is_told_so_and_one_without_positions_how_to_get_them(database: Database, settings: Settings) -> None:
    store(database, replace(BUY, fill_id="n", user_id="newcomer"))

    with pytest.raises(BadInputError, match="no fills of a user 'nobody'"):
        omc(settings, "report", "--user", "nobody")
    with pytest.raises(BadInputError, match="omc pnl positions --user newcomer --method hifo"):
        omc(settings, "report", "--user", "newcomer", "--method", "hifo")
