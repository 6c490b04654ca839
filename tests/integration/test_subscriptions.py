"""Each subscriber of an event gets a brief once: by symbol, type and impact, in a burst, in a cool-down, after kills and restarts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from http_upstream import Reply, Upstream, upstream
from pydantic import SecretStr
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
from pages import code_blocks, follow, missing_lines

from omc_agents.commands.agent import agent
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.orchestration.resources import AgentPlatform
from omc_agents.orchestration.sensors import catalyst_outbox
from omc_agents.sessions.announcing import announce_briefs
from omc_agents.sessions.dispatch import BATCH_SIZE, dispatch_fresh, open_batches
from omc_agents.sessions.options import BriefsSection
from omc_agents.sessions.states import SYSTEM_USER
from omc_agents.sessions.subscriptions import Interest, subscribe, subscriptions, unsubscribe
from omc_agents.workflow.batch import brief_batch
from omc_infra.clock import utc_now
from omc_infra.delivery.channels import channel_of
from omc_infra.delivery.dispatching import deliver_due
from omc_infra.delivery.outbox import CLAIM, broken_channels
from omc_infra.delivery.persistence import Persistence
from omc_infra.errors import BadInputError, NotConfiguredError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.erasing import erase_user
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.write import append

EDGAR = "catalyst_sec_edgar"
SECRET = "T0KEN-51c2"


def event(number: int, symbol: str | None = "BTC", kind: str = "filing", impact: int | None = None) -> CatalystEvent:
    published = datetime.now(UTC) - timedelta(minutes=5)
    return CatalystEvent(
        f"0000000000-26-{number:06}",
        kind,
        symbol,
        "MSTR",
        "S",
        "t",
        "8-K",
        None,
        "https://example.invalid/f",
        None,
        published,
        None,
        impact,
    )


@dataclass
class World:
    """A platform without Dagster: its database, a receiver of webhooks, and the steps that its processes make."""

    database: Database
    settings: Settings
    receiver: Upstream
    later: timedelta = timedelta()
    """How far a test moved the clock of delivery."""

    def announce(self, *events: CatalystEvent) -> None:
        with self.database.connect("writer") as connection:
            append(connection, EDGAR, events, None)
            connection.commit()

    def dispatch(self, cooldown_minutes: float = 0) -> list[UUID]:
        return dispatch_fresh(self.database, 24, cooldown_minutes=cooldown_minutes)

    def work(self, user_model: Callable[[str, str], ScriptedAnalyst] | None = None) -> None:
        """Work off what is open, as the runs of the sensor do."""
        platform = AgentPlatform(lambda: self.settings, lend(self.database), ScriptedAnalyst)
        for batch in open_batches(self.database):
            brief_batch(self.database, self.settings, ScriptedAnalyst(), batch, platform.assignments(self.database, batch), user_model)

    def hand_over(self) -> int:
        return announce_briefs(self.database)

    def deliver(self) -> int:
        return deliver_due(self.database, lambda name: channel_of(name, self.settings), Persistence(0.01), lambda: utc_now() + self.later)

    def arrived(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(asked.body) for asked in self.receiver.asked if asked.path == path]

    def rows(self, query: str) -> Sequence[Any]:
        with self.database.engine("owner").connect() as connection:
            return connection.execute(text(query)).all()

    def given(self, user: str) -> list[int]:
        """Return the numbers of the events that were dispatched for a user."""
        found = self.rows(f"SELECT event_id FROM agents.dispatch WHERE user_id = '{user}' ORDER BY event_id")
        return [int(row.event_id[-6:]) for row in found]


def lend(database: Database) -> Callable[[Settings], Any]:
    @contextmanager
    def lent(_: Settings) -> Iterator[Database]:
        yield database

    return lent


@pytest.fixture
def world(database: Database, settings: Settings) -> Iterator[World]:
    with database.engine("owner").begin() as connection:
        tables = (
            "agents.subscription, agents.session, agents.dispatch, catalyst.outbox, catalyst.event, omc.delivery, omc.message, omc.alert"
        )
        connection.execute(text(f"TRUNCATE {tables} CASCADE"))
    with upstream() as receiver:
        urls = {"ann": f"webhook+{receiver.url}/ann/{SECRET}", "bob": f"slack+{receiver.url}/bob/{SECRET}"}
        keys = {f"alert_{name}": SecretStr(url) for name, url in urls.items()}
        yield World(database, settings.model_copy(update={"keys": keys}), receiver)


def test_two_subscribers_of_an_event_get_a_brief_each_once_beside_the_platforms_own(world: World) -> None:
    subscribe(world.database, "ann", Interest(symbols=("BTC",), channels=("ann",)))
    subscribe(world.database, "bob", Interest(channels=("bob",)))
    world.announce(event(1))

    for _ in range(2):  # a second round finds nothing left
        world.dispatch()
        world.work()
        world.hand_over()
        world.deliver()

    (to_ann,), (to_bob,) = world.arrived(f"/ann/{SECRET}"), world.arrived(f"/bob/{SECRET}")
    owners = world.rows("SELECT user_id, count(*) FROM agents.brief GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in owners] == [("ann", 1), ("bob", 1), (SYSTEM_USER, 1)]
    assert to_ann["title"].startswith("[OMC sandbox] MSTR: form 8-K")
    assert to_ann["topic"] == "brief"
    assert f"[catalyst.event/{EDGAR}/0000000000-26-000001@1]" in to_ann["body"]
    assert to_ann["document"]["briefs"][0]["event_id"] == "0000000000-26-000001"
    assert "[OMC sandbox]" in to_bob["text"]
    for told in (to_ann["body"], to_bob["text"].partition("\n")[2]):
        assert not set("*<>`") & set(told)
        assert "http" not in told


def test_a_subscription_narrows_by_symbol_type_and_least_impact(world: World) -> None:
    expected = {
        Interest(): [1, 2, 3, 4],
        Interest(symbols=("BTC",)): [1, 3],
        Interest(symbols=("ETH", "SOL")): [2],
        Interest(event_types=("listing",)): [2, 3],
        Interest(symbols=("BTC",), event_types=("listing",)): [3],
        Interest(least_impact=5): [2],
        Interest(least_impact=4): [2, 3],
        Interest(symbols=("DOGE",)): [],
    }
    for number, interest in enumerate(expected):
        subscribe(world.database, f"user{number}", interest)
    world.announce(event(1), event(2, "ETH", "listing", 7), event(3, "BTC", "listing", 4), event(4, None))

    world.dispatch()

    assert [world.given(f"user{number}") for number in range(len(expected))] == list(expected.values())
    assert world.given(SYSTEM_USER) == [1, 2, 3, 4]


def test_one_user_with_two_subscriptions_that_an_event_meets_gets_one_brief_for_each(world: World) -> None:
    for channel in ("ann", "bob"):
        subscribe(world.database, "ann", Interest(channels=(channel,)))
    world.announce(event(1))

    world.dispatch()
    world.work()

    assert world.hand_over() == 2


def test_without_a_subscription_an_event_has_one_brief_and_no_message(world: World) -> None:
    world.announce(event(1))

    world.dispatch()
    world.work()

    assert (world.hand_over(), world.rows("SELECT user_id FROM agents.session")) == (0, [(SYSTEM_USER,)])


def test_events_known_before_a_subscription_and_after_its_end_are_not_its(world: World) -> None:
    world.announce(event(1))
    world.dispatch()
    added = subscribe(world.database, "ann", Interest())
    world.announce(event(2))
    world.dispatch()
    unsubscribe(world.database, added.subscription_id)
    world.announce(event(3))
    world.dispatch()

    assert world.given("ann") == [2]


KILLED = """
import os, signal, sys
from omc_agents.sessions.announcing import announce_briefs
from omc_infra.delivery.dispatching import deliver_due
from omc_infra.delivery.persistence import Persistence
from omc_infra.postgres.database import open_database
from omc_infra.settings import load_settings

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

with open_database(load_settings()) as database:
    if sys.argv[1] == "publish":
        from sqlalchemy import event
        event.listen(database.engine("writer"), "commit", die)
        announce_briefs(database)
    announce_briefs(database)
    deliver_due(database, die, Persistence())
"""


@pytest.mark.slow
def test_kills_between_the_end_of_a_session_and_the_arrival_of_its_message_lose_and_double_nothing(world: World) -> None:
    subscribe(world.database, "ann", Interest(channels=("ann",)))
    world.announce(event(1))
    world.dispatch()
    world.work()
    environ = {**os.environ, **world.settings.environ()}

    for moment in ("publish", "delivery"):  # before the message is committed, and when it is sent
        died = subprocess.run([sys.executable, "-c", KILLED, moment], env=environ, check=False, capture_output=True, timeout=120)
        assert died.returncode == -signal.SIGKILL, died.stderr.decode()[-2000:]
    claimed = world.deliver()
    world.later = CLAIM + timedelta(seconds=1)

    assert (claimed, world.hand_over()) == (0, 0)
    assert [world.deliver(), world.deliver()] == [1, 0]
    assert len(world.arrived(f"/ann/{SECRET}")) == 1


def test_a_burst_reaches_every_subscriber_in_batches_of_limited_size(world: World) -> None:
    for user in ("ann", "bob"):
        subscribe(world.database, user, Interest())
    numbers = list(range(1, 41))
    world.announce(*(event(number) for number in numbers))

    batches = world.dispatch()

    sizes = [row.count for row in world.rows("SELECT count(*) AS count FROM agents.dispatch GROUP BY batch_id")]
    assert (world.given("ann"), world.given("bob"), world.given(SYSTEM_USER)) == (numbers, numbers, numbers)
    assert len(batches) == len(sizes) == 5
    assert max(sizes) == BATCH_SIZE


@pytest.mark.slow
def test_within_a_cool_down_events_of_a_coin_wait_and_are_briefed_together_in_one_message(world: World) -> None:
    subscribe(world.database, "ann", Interest(channels=("ann",)))
    world.announce(event(1), event(2), event(3), event(4, "ETH"), event(5, None))
    world.dispatch(60)
    at_once = world.given("ann")
    (listed,) = subscriptions(world.database)
    world.announce(event(6))
    world.dispatch(60)
    with world.database.engine("owner").begin() as connection:  # an hour goes by
        connection.execute(text("UPDATE agents.dispatch SET dispatched_at = dispatched_at - interval '61 minutes'"))
    world.dispatch(60)
    world.dispatch(60)
    world.work()
    world.hand_over()
    world.deliver()

    assert (at_once, listed.held) == ([1, 4, 5], 2)
    assert world.given("ann") == [1, 2, 3, 4, 5, 6]
    assert world.given(SYSTEM_USER) == [1, 2, 3, 4, 5, 6]
    messages = world.arrived(f"/ann/{SECRET}")
    told = sorted([brief["event_id"][-1] for brief in message["document"]["briefs"]] for message in messages)
    assert told == [["1"], ["2", "3", "6"], ["4"], ["5"]]
    assert "[OMC sandbox] 3 briefs about BTC" in [message["title"] for message in messages]
    assert world.rows("SELECT count(*) FROM agents.held_event WHERE released_at IS NULL") == [(0,)]


def test_a_message_of_several_briefs_waits_for_the_last_of_their_sessions(world: World) -> None:
    subscribe(world.database, "ann", Interest(channels=("ann",)))
    world.announce(event(1), event(2), event(3))
    world.dispatch(60)
    world.work()
    world.hand_over()
    world.dispatch(0)  # what was held is released
    (batch,) = open_batches(world.database)
    assignments = AgentPlatform(lambda: world.settings, lend(world.database), ScriptedAnalyst).assignments(world.database, batch)
    brief_batch(world.database, world.settings, ScriptedAnalyst(), batch, assignments[:1])  # and here the run dies

    in_between = world.hand_over()
    world.work()

    assert (in_between, world.hand_over()) == (0, 1)


def test_each_subscriber_is_asked_with_own_model_and_key_and_a_missing_key_fails_only_its_own_session(world: World) -> None:
    subscribe(world.database, "ann", Interest(model="openai/gpt-5.4"))
    subscribe(world.database, "bob", Interest())
    world.announce(event(1))
    world.dispatch()
    asked: list[tuple[str, str]] = []

    def user_model(user: str, model: str) -> ScriptedAnalyst:
        asked.append((user, model))
        if user == "ann":
            raise NotConfiguredError("openai is not configured: set OMC_KEY_OPENAI")
        return ScriptedAnalyst()

    world.work(user_model)

    found = world.rows("SELECT user_id, model, status, detail FROM agents.session ORDER BY user_id")
    assert sorted(asked) == [("ann", "openai/gpt-5.4"), ("bob", "")]
    assert [tuple(row)[:3] for row in found] == [
        ("ann", "openai/gpt-5.4", "failed"), ("bob", ScriptedAnalyst.name, "published"), (SYSTEM_USER, ScriptedAnalyst.name, "published"),
    ]  # fmt: skip
    assert found[0].detail == "openai is not configured: set OMC_KEY_OPENAI"
    assert open_batches(world.database) == []


def test_a_channel_that_is_away_gets_its_brief_later_and_one_that_refuses_leaves_an_entry(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    subscribe(world.database, "ann", Interest(channels=("ann",)))
    world.receiver.replies = [Reply(503), Reply(200), Reply(404)]
    for number in (1, 2):
        world.announce(event(number))
        world.dispatch()
        world.work()
        world.hand_over()
        for _ in range(2):
            world.deliver()
            world.later += timedelta(seconds=0.1)

    states = world.rows("SELECT state, attempts, last_failure FROM omc.delivery ORDER BY message_id")
    with world.database.engine("reader").connect() as connection:
        (broken,) = broken_channels(connection)
    assert [tuple(row) for row in states] == [("sent", 2, ""), ("failed", 1, "ann: answered 404")]
    assert (broken.channel, broken.topic) == ("ann", "brief")
    assert SECRET not in caplog.text + "".join(capfd.readouterr())
    assert SECRET not in str(world.rows("SELECT m::text, d::text FROM omc.message m, omc.delivery d"))


def test_erasing_a_user_erases_subscriptions_held_events_and_messages(world: World) -> None:
    for user in ("ann", "bob"):
        subscribe(world.database, user, Interest(channels=(user,)))
    world.announce(event(1), event(2))
    world.dispatch(60)
    world.work()
    world.hand_over()

    with world.database.connect("owner") as connection:
        erased = erase_user(connection, "ann", "a test")

    assert {"agents.subscription", "agents.held_event", "agents.dispatch", "agents.session", "omc.message", "omc.delivery"} <= set(erased)
    assert {row.user_id for row in world.rows("SELECT user_id FROM omc.message")} == {"bob"}
    assert [row.user_id for row in subscriptions(world.database)] == ["bob"]


@pytest.mark.slow
def test_the_sensor_gives_subscribers_theirs_and_hands_over_what_is_finished(world: World) -> None:
    subscribe(world.database, "ann", Interest(channels=("ann",)))
    options = BriefsSection(cooldown_minutes=60)
    parts = AgentPlatform(lambda: world.settings, lend(world.database), ScriptedAnalyst, brief_options=lambda _: options)
    world.announce(event(1), event(2))
    with dg.instance_for_test() as instance, dg.build_sensor_context(instance=instance, resources={"agent_platform": parts}) as context:
        asked = catalyst_outbox(context)
        world.work()
        catalyst_outbox(context)
    world.deliver()

    assert isinstance(asked, dg.SensorResult)
    assert len(asked.run_requests or []) == 1
    assert (world.given("ann"), len(world.arrived(f"/ann/{SECRET}"))) == ([1], 1)


@pytest.mark.parametrize("user", [SYSTEM_USER, "Ann", "", "a" * 65])
def test_no_impossible_user_subscribes(world: World, user: str) -> None:
    with pytest.raises(BadInputError):
        subscribe(world.database, user, Interest())


def test_ids_are_unique_across_users_and_an_ended_one_is_not_given_again(world: World) -> None:
    first = subscribe(world.database, "ann", Interest())
    unsubscribe(world.database, first.subscription_id)

    assert subscribe(world.database, "ann", Interest()).subscription_id == "ann-2"
    with pytest.raises(BadInputError, match="ann-1"):
        subscribe(world.database, "bob", Interest(), "ann-1")
    with pytest.raises(BadInputError, match="no subscription"):
        unsubscribe(world.database, "ann-1")


def omc(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(agent, words, env=settings.environ(), catch_exceptions=True)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--symbol", "btc"], "symbol"),
        (["--type", "Filing!"], "event type"),
        (["--channel", "No-Channel"], "--channel"),
        (["--model", "openai/none"], "not in the list"),
        (["--user", "Ann"], "can't subscribe"),
        (["--id", "-x"], "is no id"),
    ],
)
def test_a_wrong_part_of_a_subscription_is_refused_in_one_line(world: World, words: list[str], complaint: str) -> None:
    answer = omc(world.settings, "subscribe", *words)

    assert isinstance(answer.exception, BadInputError)
    assert complaint in str(answer.exception)
    assert "\n" not in str(answer.exception)
    assert subscriptions(world.database) == []


def test_the_commands_show_what_is_missing_and_never_an_address(world: World) -> None:
    added = omc(world.settings, "subscribe", "--user", "ann", "--channel", "ann", "--channel", "mail", "--symbol", "BTC", "--json")
    listed = omc(world.settings, "subscriptions", "--json")
    ended = omc(world.settings, "unsubscribe", "ann-1", "--json")

    document = json.loads(added.stdout)
    assert (document["subscription"], document["channels"], document["missing_keys"]) == ("ann-1", ["ann", "mail"], ["OMC_KEY_ALERT_MAIL"])
    assert [each["subscription"] for each in json.loads(listed.stdout)["subscriptions"]] == ["ann-1"]
    assert json.loads(ended.stdout)["subscription"] == "ann-1"
    assert SECRET not in added.output + listed.output + ended.output


@pytest.mark.slow
def test_the_how_to_works_to_the_letter(world: World, tmp_path: Path) -> None:
    page = "how-to/subscribe-to-briefs.md"
    key = f"slack+{world.receiver.url}/chat/{SECRET}"
    world.settings = world.settings.model_copy(update={"keys": {"alert_chat": SecretStr(key)}})
    try:
        outputs = follow(page, world.settings.home, tmp_path, world.settings.environ())
    finally:
        (world.settings.home / "omc.toml").unlink(missing_ok=True)  # other tests of this home know no such section
    world.announce(event(1), event(2, "ETH"))
    world.dispatch()
    world.work()
    world.hand_over()
    world.deliver()

    (told,) = world.arrived(f"/chat/{SECRET}")
    lines = told["text"].replace("*", "").splitlines()
    shown = code_blocks(page, "")[0].splitlines()
    assert missing_lines(page, outputs) == []
    assert [line.split(" 2026")[0].split(" of ")[0] for line in lines[:2]] == [line.split(" 2026")[0] for line in shown[:2]]
    assert lines[-1].startswith("Its rows: omc agent show ")
