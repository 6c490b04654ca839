"""``omc alerts``: what is open, who takes it on, and whether a channel works; a mistake is one line and exit 2."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from http_upstream import Reply, Upstream, upstream
from sqlalchemy import text

from omc_infra.alerts import Cause, Finding
from omc_infra.alerts.store import settle_findings
from omc_infra.cli import main
from omc_infra.clock import utc_now
from omc_infra.commands.alerts import alerts
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings

Asked = Callable[..., Result]


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def alert_id(database: Database) -> int:
    with database.engine("owner").begin() as connection:
        connection.execute(text("TRUNCATE omc.delivery, omc.message, omc.alert"))
    with database.engine("writer").begin() as connection:
        found = Finding(Cause("exchange_quotes", "symbol", "BTC"), "high", "Bid above ask.", "Compare.", "docs/how-to/x.md", checks=("c",))
        return settle_findings(connection, "ledger exchange", [found], utc_now())[0]


@pytest.fixture
def omc(settings: Settings, receiver: Upstream, tmp_path: Path) -> Asked:
    file = tmp_path / "omc.toml"
    file.write_text('[alerts]\nchannels = ["chat", "hook"]\n')
    own = {**settings.environ(), "OMC_CONFIG": str(file), "OMC_KEY_ALERT_CHAT": f"slack+{receiver.url}/x", "COLUMNS": "200"}
    own |= {"OMC_KEY_ALERT_HOOK": f"webhook+{receiver.url}/y"}

    def asked(*arguments: str, **environ: str | None) -> Result:
        cleared = {name: None for name in os.environ if name.startswith("OMC_")}
        return CliRunner().invoke(alerts, arguments, env={**cleared, **own, **environ})

    return asked


def test_open_alerts_are_listed_with_what_to_do(omc: Asked, alert_id: int) -> None:
    printed, document = omc("list").stdout, json.loads(omc("list", "--json").stdout)

    assert all(word in printed for word in ("exchange_quotes, symbol BTC", "high", "Bid above ask.", "docs/how-to/x.md"))
    (found,) = document["alerts"]
    assert {name: found[name] for name in ("alert_id", "state", "source", "kind", "subject", "checks")} == {
        "alert_id": alert_id, "state": "opened", "source": "exchange_quotes", "kind": "symbol", "subject": "BTC", "checks": ["c"],
    }  # fmt: skip
    assert document["undelivered"] == []


def test_a_person_takes_an_alert_on_and_silences_it(omc: Asked, alert_id: int) -> None:
    taken = json.loads(omc("ack", str(alert_id), "--by", "ada", "--json").stdout)["alert"]
    silent = json.loads(omc("snooze", str(alert_id), "--for", "2h", "--json").stdout)["alert"]

    assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "ada")
    assert (silent["state"], silent["acknowledged_at"]) == ("snoozed", None)
    assert omc("ack", str(alert_id)).stdout.startswith(f"alert {alert_id} is acknowledged by ")


def test_resolved_alerts_are_listed_where_asked_for(omc: Asked, alert_id: int, database: Database) -> None:
    with database.engine("writer").begin() as connection:
        settle_findings(connection, "ledger exchange", [], utc_now() + timedelta(minutes=1))

    shown = [[alert["state"] for alert in json.loads(omc("list", *flags, "--json").stdout)["alerts"]] for flags in ((), ("--all",))]

    assert shown == [[], ["resolved"]]
    assert "no alert is open" in omc("list").stdout


def test_a_test_message_reaches_every_channel(omc: Asked, alert_id: int, receiver: Upstream) -> None:
    result = omc("test")

    assert (result.exit_code, result.stdout.splitlines()) == (0, ["chat: sent", "hook: sent"])
    assert "TEST: alerts arrive here" in json.loads(receiver.asked[0].body)["text"]
    assert json.loads(receiver.asked[1].body)["topic"] == "test"


def test_a_channel_that_refuses_the_test_makes_it_end_with_one(omc: Asked, alert_id: int, receiver: Upstream) -> None:
    receiver.replies = [Reply(403)]

    result = omc("test", "chat", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["channels"] == [{"channel": "chat", "sent": False, "failure": "chat: answered 403"}]


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["ack", "999999"], {}, "there is no alert 999999"),
        (["ack", "x"], {}, "'x' is not a valid integer"),
        (["ack", "1", "--by", ""], {}, "--by: must be a name"),
        (["snooze", "1", "--for", "soon"], {}, "--for soon: must be like 30m, 2h or 7d"),
        (["snooze", "1", "--for", "0m"], {}, "--for 0m: must be like"),
        (["test", "pager"], {}, "no channel 'pager'"),
        (["test"], {"OMC_KEY_ALERT_HOOK": ""}, "channel hook: OMC_KEY_ALERT_HOOK is not set"),
        (["test"], {"OMC_KEY_ALERT_HOOK": "abc"}, "channel hook: OMC_KEY_ALERT_HOOK is not a URL that apprise reads"),
        (["test"], {"OMC_CONFIG": ""}, "no channel is configured"),
    ],
)
def test_a_mistake_is_one_line_and_exit_two(
    arguments: list[str],
    environ: dict[str, str],
    said: str,
    settings: Settings,
    alert_id: int,
    omc: Asked,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    receiver: Upstream,
    tmp_path: Path,
) -> None:
    own = {**settings.environ(), "OMC_CONFIG": str(tmp_path / "omc.toml"), "OMC_KEY_ALERT_CHAT": f"slack+{receiver.url}/x"}
    for name in [name for name in os.environ if name.startswith("OMC_")]:
        monkeypatch.delenv(name)
    for name, value in {**own, "OMC_KEY_ALERT_HOOK": f"webhook+{receiver.url}/y", **environ}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["omc", "alerts", *arguments])

    with pytest.raises(SystemExit) as ended:
        main()

    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert said in printed.err
    assert printed.err.count("\n") == 1
