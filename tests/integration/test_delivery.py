"""Messages reach their channels once, in order, after failures and kills, and no address or secret stands anywhere."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from alert_receivers import SettableClock, mail_server, message
from http_upstream import Reply, Upstream, upstream
from pydantic import SecretStr
from sqlalchemy import text

from omc_infra.delivery.channels import Channel, channel_of
from omc_infra.delivery.dispatching import deliver_due
from omc_infra.delivery.message import Message
from omc_infra.delivery.outbox import CLAIM, broken_channels, claim, queue, undelivered
from omc_infra.delivery.persistence import Persistence
from omc_infra.delivery.webhook import is_signed
from omc_infra.errors import ConfigurationError, OmcError
from omc_infra.postgres.database import Database
from omc_infra.settings import PROJECT_ROOT, Settings

DEFAULT = Persistence()
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOKEN = "T0KEN-8f3a91c2"


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def clock(database: Database) -> SettableClock:
    with database.engine("owner").begin() as connection:
        connection.execute(text("TRUNCATE omc.delivery, omc.message, omc.alert"))
    return SettableClock(NOW)


class Post:
    """The outbox of a database with channels whose addresses stand in the settings."""

    def __init__(self, database: Database, settings: Settings, clock: SettableClock, **urls: str) -> None:
        self.database, self.clock = database, clock
        self.settings = settings.model_copy(update={"keys": {f"alert_{name}": SecretStr(url) for name, url in urls.items()}})
        self.names = [name for name in urls if not name.endswith("_secret")]

    def queue(self, *messages: Message, to: list[str] | None = None) -> None:
        with self.database.engine("writer").begin() as connection:
            for each in messages:
                queue(connection, each, self.names if to is None else to, self.clock())

    def deliver(self, persistence: Persistence = DEFAULT) -> int:
        return deliver_due(self.database, lambda name: channel_of(name, self.settings), persistence, self.clock)

    def states(self) -> dict[tuple[str, str], tuple[str, int]]:
        query = text("SELECT key, channel, state, attempts FROM omc.delivery JOIN omc.message USING (message_id)")
        with self.database.engine("reader").connect() as connection:
            return {(key, channel): (state, attempts) for key, channel, state, attempts in connection.execute(query)}


def texts(receiver: Upstream) -> list[str]:
    return [json.loads(asked.body)["text"] for asked in receiver.asked]


def test_a_message_reaches_each_channel_once(database: Database, settings: Settings, clock: SettableClock, receiver: Upstream) -> None:
    with mail_server() as (mailbox, mail_url):
        post = Post(database, settings, clock, chat=f"slack+{receiver.url}/services/{TOKEN}", mail=mail_url)
        for _ in range(2):
            post.queue(message("one", NOW))
            post.deliver()

    assert texts(receiver) == ["*title of one*\nbody of one"]
    assert [(mail["subject"], mail["to"]) for mail in mailbox.mails] == [("title of one", "me@example.com")]
    assert post.states() == {("one", "chat"): ("sent", 1), ("one", "mail"): ("sent", 1)}


def test_our_webhook_is_signed_and_says_everything(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    post = Post(database, settings, clock, hook=f"webhook+{receiver.url}/x", hook_secret="s3cret-of-hook")

    post.queue(message("one", NOW, severity="high", document={"alert_id": 7}))
    post.deliver()

    (asked,) = receiver.asked
    body, stamp = json.loads(asked.body), asked.headers["X-OMC-Timestamp"]
    assert (body["key"], body["severity"], body["document"], body["at"]) == ("one", "high", {"alert_id": 7}, NOW.isoformat())
    assert is_signed("s3cret-of-hook", stamp, asked.body, asked.headers["X-OMC-Signature"], time.time())
    assert not is_signed("another secret", stamp, asked.body, asked.headers["X-OMC-Signature"], time.time())
    assert not is_signed("s3cret-of-hook", stamp, asked.body + b" ", asked.headers["X-OMC-Signature"], time.time())
    assert not is_signed("s3cret-of-hook", stamp, asked.body, asked.headers["X-OMC-Signature"], time.time() + 3600)


def test_text_of_ours_is_no_mention_and_no_link_in_slack(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    post = Post(database, settings, clock, chat=f"slack+{receiver.url}/x")

    post.queue(message("one", NOW, title="<!channel>", body="<http://bad|good> & more"))
    post.deliver()

    assert texts(receiver) == ["*&lt;!channel&gt;*\n&lt;http://bad|good&gt; &amp; more"]


def test_a_channel_that_is_down_is_tried_again_after_growing_waits(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    receiver.replies = [Reply(503), Reply(503), Reply(200)]
    post = Post(database, settings, clock, chat=f"slack+{receiver.url}/x")
    post.queue(message("one", NOW))

    sent = [post.deliver()]
    for seconds in (29, 1, 59, 1):
        clock.go_on(seconds=seconds)
        sent.append(post.deliver())

    assert sent == [0, 0, 0, 0, 1]
    assert len(receiver.asked) == 3


def test_a_wait_that_the_channel_asks_for_is_kept(database: Database, settings: Settings, clock: SettableClock, receiver: Upstream) -> None:
    receiver.replies = [Reply(429, headers={"Retry-After": "600"}), Reply(200)]
    post = Post(database, settings, clock, chat=f"slack+{receiver.url}/x")
    post.queue(message("one", NOW))
    post.deliver()

    clock.go_on(seconds=599)
    early = post.deliver()
    clock.go_on(seconds=2)

    assert (early, post.deliver()) == (0, 1)


def test_a_channel_that_works_again_gets_all_that_waits_at_once(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    receiver.replies = [Reply(503)]
    post = Post(database, settings, clock, chat=f"slack+{receiver.url}/x")
    post.queue(message("one", NOW), message("two", NOW))
    post.deliver()
    clock.go_on(seconds=30)
    post.deliver()
    receiver.replies, receiver.asked = [Reply(200)], []

    post.queue(message("three", clock()))
    post.deliver()

    assert sorted(json.loads(asked.body)["text"].split("\n")[1] for asked in receiver.asked) == [
        "body of one",
        "body of three",
        "body of two",
    ]


def test_a_dead_channel_keeps_no_message_from_another(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    post = Post(database, settings, clock, dead="slack+http://127.0.0.1:1/x", chat=f"slack+{receiver.url}/x")

    post.queue(message("one", NOW))

    assert post.deliver() == 1
    assert post.states()["one", "dead"] == ("pending", 1)


def test_a_refused_message_is_given_up_at_once_and_a_failing_one_after_its_time(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    receiver.replies = [Reply(404), Reply(503)]
    post = Post(database, settings, clock, chat=f"slack+{receiver.url}/x")
    post.queue(message("refused", NOW))
    post.deliver()
    post.queue(message("failing", NOW))
    post.deliver(Persistence(30, 60))
    clock.go_on(seconds=45)

    post.deliver(Persistence(30, 60))

    with database.engine("reader").connect() as connection:
        (broken,) = broken_channels(connection)
        failures = [(each["key"], each["state"], each["last_failure"]) for each in undelivered(connection, NOW - timedelta(days=1))]
    assert post.states() == {("refused", "chat"): ("failed", 1), ("failing", "chat"): ("failed", 2)}
    assert failures == [("refused", "failed", "chat: answered 404"), ("failing", "failed", "chat: answered 503")]
    assert (broken.channel, broken.failure) == ("chat", "chat: answered 503")


def test_what_refers_to_a_message_comes_after_it_and_not_without_it(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    receiver.replies = [Reply(503), Reply(200)]
    post = Post(database, settings, clock, chat=f"slack+{receiver.url}/x", dead="nosuch+scheme://x")
    post.queue(message("opened", NOW))
    post.deliver()
    post.queue(message("resolved", NOW, refers_to="opened"))

    before = post.deliver()
    clock.go_on(seconds=30)
    post.deliver()

    assert (before, [body.split("\n")[1] for body in texts(receiver)[1:]]) == (0, ["body of opened", "body of resolved"])
    clock.go_on(days=2)
    post.deliver()
    post.deliver()
    assert (post.states()["opened", "dead"][0], post.states()["resolved", "dead"]) == ("failed", ("dropped", 0))


def test_a_process_killed_while_it_sends_loses_nothing(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    post = Post(database, settings, clock, chat=f"slack+{receiver.url}/x")
    post.queue(message("one", NOW))
    with database.engine("writer").begin() as connection:
        killed = claim(connection, clock())

    clock.go_on(seconds=CLAIM.total_seconds() - 1)
    early = post.deliver()
    clock.go_on(seconds=2)

    assert killed is not None
    assert (early, post.deliver(), len(receiver.asked)) == (0, 1, 1)


SENDER = """
from omc_infra.delivery.channels import channel_of
from omc_infra.delivery.dispatching import deliver_due
from omc_infra.delivery.persistence import Persistence
from omc_infra.postgres.database import open_database
from omc_infra.settings import load_settings

settings = load_settings()
with open_database(settings) as database:
    deliver_due(database, lambda name: channel_of(name, settings), Persistence())
"""


def test_a_message_that_was_on_its_way_when_its_process_was_killed_comes_with_the_same_key(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    receiver.replies = [Reply(pause_s=3.0), Reply(200)]
    clock.now = datetime.now(UTC)
    post = Post(database, settings, clock, hook=f"webhook+{receiver.url}/x")
    post.queue(message("one", clock()))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    sender = subprocess.Popen([sys.executable, "-c", SENDER], env={**inherited, **post.settings.environ()}, cwd=PROJECT_ROOT)
    deadline = time.monotonic() + 60
    while not receiver.asked and time.monotonic() < deadline:
        time.sleep(0.05)
    sender.kill()
    sender.wait()

    clock.go_on(seconds=CLAIM.total_seconds() + 60)

    assert post.states()["one", "hook"] == ("pending", 1)
    assert (post.deliver(), post.deliver()) == (1, 0)
    assert [asked.headers["X-OMC-Key"] for asked in receiver.asked] == ["one", "one"]


def test_two_processes_that_send_at_once_send_each_message_once(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    receiver.replies = [Reply(pause_s=0.02)]
    post = Post(database, settings, clock, chat=f"slack+{receiver.url}/x")
    post.queue(*(message(f"m{number}", NOW) for number in range(20)))

    threads = [threading.Thread(target=post.deliver) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(texts(receiver)) == sorted(f"*title of m{number}*\nbody of m{number}" for number in range(20))


def test_a_message_of_a_transaction_that_is_rolled_back_was_never_queued(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    post = Post(database, settings, clock, chat=f"slack+{receiver.url}/x")
    with database.engine("writer").connect() as connection:
        queue(connection, message("one", NOW), ["chat"], NOW)
        connection.rollback()

    assert (post.deliver(), receiver.asked) == (0, [])


def test_a_mail_server_that_refuses_is_tried_again(database: Database, settings: Settings, clock: SettableClock) -> None:
    with mail_server() as (mailbox, url):
        mailbox.refusal = "451 try again later"
        post = Post(database, settings, clock, mail=url)
        post.queue(message("one", NOW))
        first = post.deliver()
        mailbox.refusal = None
        clock.go_on(seconds=31)

        assert (first, post.deliver(), len(mailbox.mails)) == (0, 1, 1)


def test_ntfy_gets_the_message_through_apprise(database: Database, settings: Settings, clock: SettableClock, receiver: Upstream) -> None:
    post = Post(database, settings, clock, phone=f"ntfy://{receiver.url.removeprefix('http://')}/omc-topic")

    post.queue(message("one", NOW))

    assert post.deliver() == 1
    assert "body of one" in receiver.asked[0].body.decode()


@pytest.mark.slow
def test_a_text_that_is_too_long_for_a_service_is_sent_in_parts(
    database: Database, settings: Settings, clock: SettableClock, receiver: Upstream
) -> None:
    post = Post(database, settings, clock, phone=f"ntfy://{receiver.url.removeprefix('http://')}/omc-topic")

    post.queue(message("one", NOW, body="\n".join(f"line {number}" for number in range(2000))))

    assert post.deliver() == 1
    assert len(receiver.asked) > 1


@pytest.mark.parametrize(
    "url",
    [
        f"slack+http://user:{TOKEN}@127.0.0.1:1/services/{TOKEN}?token={TOKEN}",
        f"webhook+http://{TOKEN}.invalid/{TOKEN}",
        f"slack+http://127.0.0.1:99999/{TOKEN}",
        f"ntfy://{TOKEN}@127.0.0.1:1/{TOKEN}",
        f"json://user:{TOKEN}@127.0.0.1:1/{TOKEN}?+X-Token={TOKEN}",
        f"mailto://user:{TOKEN}@127.0.0.1:1/?mode=insecure&to={TOKEN}@example.com",
        f"nosuch://{TOKEN}",
        TOKEN,
    ],
)
def test_no_failure_tells_a_secret(
    url: str,
    database: Database,
    settings: Settings,
    clock: SettableClock,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    post = Post(database, settings, clock, chat=url, chat_secret=TOKEN)
    post.queue(message("one", NOW))

    post.deliver()
    with pytest.raises(OmcError) as caught:
        channel_of("chat", post.settings).send(message("one", NOW))

    with psycopg.connect(database.url("owner", "")) as connection:
        stored = str(connection.execute("SELECT d::text, m::text FROM omc.delivery d, omc.message m").fetchall())
    causes, error = [], caught.value
    while error is not None:
        causes.append(f"{error!r}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)  # type: ignore[assignment]
    said = "".join([stored, *causes, caplog.text, *capsys.readouterr()])
    assert post.states()["one", "chat"] == ("pending", 1)
    assert TOKEN.lower() not in said.lower()
    assert str(caught.value).startswith(("chat: ", "channel chat: "))


def test_a_channel_without_its_variable_is_named_with_it(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="channel slack: OMC_KEY_ALERT_SLACK is not set"):
        channel_of("slack", settings)


def test_an_address_of_slack_itself_gets_slacks_form(settings: Settings) -> None:
    keys = {"alert_a": SecretStr("https://hooks.slack.com/services/T/B/x"), "alert_b": SecretStr("webhook+https://example.com/x")}
    own = settings.model_copy(update={"keys": keys})

    forms = [_form(channel_of(name, own)) for name in ("a", "b")]

    assert forms == ["slack", "omc"]


def _form(channel: Channel) -> str:
    return str(vars(channel)["_form"])
