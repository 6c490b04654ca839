"""Text from outside is printed as text by every command: rows, upstreams' errors, names, arguments, variables, paths."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from forked_commands import Commands, Ran, forked_commands, leaf_commands
from hostile import HOSTILE, NAME, add_troubles, hidden_characters, poison
from old_home import opened_old_home

from omc_infra.postgres.migrate import migrate
from omc_infra.settings import PROJECT_ROOT, load_settings

pytestmark = pytest.mark.slow

OMC = Path(sys.executable).parent / "omc"
_JSON = ("--json",)
_SOURCE = "glass_defillama"


class Poisoned(NamedTuple):
    """A home with a hostile name, its variables, and the process that runs commands on it."""

    environ: Mapping[str, str]
    folder: Path
    commands: Commands

    def omc(self, *arguments: str, **variables: str) -> Ran:
        """Run a command on it; it must end by itself, without a traceback and without a character that a terminal obeys."""
        ran = self.commands.run(arguments, {**self.environ, **variables})
        assert ran.status in {0, 1, 2}, (arguments, ran)
        assert_printed_as_text(ran.stdout + ran.stderr)
        if ran.status == 2:
            assert ran.stderr.count("\n") == 1, (arguments, ran.stderr)
        if "--json" in arguments and ran.status != 2:
            json.loads(ran.stdout)
        return ran


def assert_printed_as_text(printed: str) -> None:
    """Refuse tracebacks, markup errors and characters that a terminal obeys."""
    assert "Traceback" not in printed, printed[-3000:]
    assert "MarkupError" not in printed, printed[-3000:]
    assert hidden_characters(printed) == []


class _Refuses(BaseHTTPRequestHandler):
    """Return everything with 403 and markup, as an upstream that is not ours may."""

    def do_GET(self) -> None:
        body = f"[/red] {HOSTILE}".encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 the name that http.server looks for

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextmanager
def refusing_upstream() -> Iterator[str]:
    """Serve ``_Refuses`` and yield its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def poisoned(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Poisoned]:
    folder = tmp_path_factory.mktemp("hostile")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    with refusing_upstream() as url:
        variables = {
            "OMC_HOME": str(folder / NAME), "OMC_DATABASE_URL": server_url.replace("{database}", "t_hostile_text"),
            "OMC_SANDBOX_URL": url, "COLUMNS": "400", "OMC_KEY_[/RED]\x1b\u202e": "not shown",
        }  # fmt: skip
        with opened_old_home(load_settings(variables)) as database, forked_commands() as commands:
            migrate(database)
            taken = poison(database)
            assert {"catalyst.event.title", "exchange.quote.symbol", "quality.check_result.observed", "agents.brief.body"} <= set(taken)
            add_troubles(database)
            yield Poisoned({**inherited, **variables}, folder, commands)


def _file(folder: Path, content: str | bytes, suffix: str = ".json") -> str:
    path = folder / f"file {NAME}{suffix}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


_FILLS = json.dumps(
    [
        {"id": f"[/zqm]{n}", "time": f"2026-01-0{n + 1}T00:00:00Z", "symbol": HOSTILE, "side": side, "qty": "1", "price": "2", "fee": "0"}
        for n, side in enumerate(("buy", "sell", "sell"))
    ]
)
_EVENT = f"0001795770-26-545609{HOSTILE}"

EXERCISED: Mapping[tuple[str, ...], Sequence[tuple[str, ...]]] = {
    ("accounts", "add"): [(HOSTILE,), ("venue", "--id", HOSTILE, "--label", HOSTILE), ("venue", "--user", HOSTILE)],
    ("accounts", "erase-user"): [(HOSTILE,), ("demo",)],
    ("accounts", "list"): [(), ("--user", HOSTILE), ("--removed",)],
    ("accounts", "pair"): [(HOSTILE, HOSTILE, HOSTILE, HOSTILE, "--same", "--by", HOSTILE)],
    ("accounts", "pairs"): [(), ("--user", HOSTILE, "--all")],
    ("accounts", "pause"): [(HOSTILE,), ("coinspot", "--by", HOSTILE)],
    ("accounts", "remove"): [(HOSTILE,), (HOSTILE, "--with-fills"), ("coinspot", "--with-fills")],
    ("accounts", "resume"): [(HOSTILE, "--by", HOSTILE), ("coinspot", "--by", HOSTILE)],
    ("backup",): [("--to", HOSTILE), ("--new-key",)],
    ("deploy",): [(HOSTILE,), ("staging", "--status"), ("staging", "--commit", HOSTILE), ("production", "--image", HOSTILE)],
    ("rollback",): [(HOSTILE,), ("staging",)],
    ("restore",): [(HOSTILE,), (HOSTILE, "--yes")],
    ("agent", "answer"): [(HOSTILE, HOSTILE)],
    ("agent", "approve"): [(HOSTILE,), (HOSTILE, "--up-to", HOSTILE)],
    ("agent", "ask"): [(HOSTILE,), ("price of BTC", "--user", HOSTILE), ("price of BTC", "--as-of", HOSTILE)],
    ("agent", "cancel"): [(HOSTILE,)],
    ("agent", "resume"): [(HOSTILE,)],
    ("agent", "diff"): [(HOSTILE,)],
    ("agent", "export"): [(HOSTILE,)],
    ("agent", "replay"): [(HOSTILE,)],
    ("agent", "verify"): [(HOSTILE,), (HOSTILE, "--sha256", HOSTILE)],
    ("agent", "subscribe"): [("--symbol", HOSTILE), ("--type", HOSTILE), ("--channel", HOSTILE), ("--model", HOSTILE), ("--user", HOSTILE),
        ("--id", HOSTILE)],
    ("agent", "subscriptions"): [(), ("--user", HOSTILE)],
    ("agent", "unsubscribe"): [(HOSTILE,)],
    ("agent", "sessions"): [(), ("--most", HOSTILE)],
    ("agent", "show"): [(HOSTILE,), (_EVENT,)],
    ("alerts", "ack"): [(HOSTILE,), ("1", "--by", HOSTILE)],
    ("alerts", "list"): [(), ("--all",)],
    ("alerts", "snooze"): [(HOSTILE,), ("1", "--for", HOSTILE), ("1", "--for", "1m")],
    ("alerts", "test"): [(), (HOSTILE,)],
    ("bench", "import"): [("--rows", HOSTILE)],
    ("bench", "quality"): [("--faults", HOSTILE), ("--seed", HOSTILE)],
    ("bench", "latency"): [("--events", HOSTILE)],
    ("bench", "pnl"): [("--fills", HOSTILE)],
    ("bench", "runs"): [("--count", HOSTILE)],
    ("bench", "scale"): [("--users", HOSTILE)],
    ("bench", "soak"): [("--minutes", HOSTILE), ("--page", "/")],
    ("collect",): [(HOSTILE,), (_SOURCE,), ("catalyst_sec_edgar",), (_SOURCE, "--payload", NAME), (_SOURCE, "--from", HOSTILE)],
    ("config", "check"): [()],
    ("config", "init"): [(), ()],
    ("config", "show"): [(), (HOSTILE,), ("settings",)],
    ("db", "migrate"): [()],
    ("db", "rotate"): [(HOSTILE,), ("agent",)],
    ("db", "status"): [()],
    ("db", "stop"): [(), ("--force",)],
    ("db", "url"): [(), ("--role", HOSTILE)],
    ("pnl", "compute"): [("--fills", NAME), ("--fills", NAME, "--as-of", HOSTILE), ("--fills", NAME, "--coin", HOSTILE)],
    ("pnl", "exceptions"): [(), ("--user", "[/x]"), ("--user", HOSTILE), ("--currency", HOSTILE)],
    ("pnl", "positions"): [("--user", HOSTILE), ("--currency", HOSTILE), ()],
    ("pnl", "report"): [
        *((f"--by={cut}",) for cut in ("coin", "account", "period", "algorithm", "match", HOSTILE)),
        *(("--format", form, "--by", "match") for form in ("csv", "html")),
        ("--user", HOSTILE), ("--zone", HOSTILE), ("--from", HOSTILE), ("--out", f"/dev/null/{NAME}"), ("--period", HOSTILE),
    ],
    ("pnl", "reporting"): [("--user", HOSTILE), ("--currency", HOSTILE), ("--currency", "EUR", "--zone", HOSTILE)],
    ("pnl", "resolve"): [(HOSTILE, "--by", "x", "--reason", "x"), ("1", "--by", HOSTILE, "--reason", HOSTILE)],
    ("quality",): [
        (), ("exchange",), ("glass",), ("catalyst",), ("human",), (HOSTILE,), ("--explain", HOSTILE), ("--source", HOSTILE),
        ("--explain", "looked", "--source", HOSTILE), ("--explain", "quote_uncrossed"), ("--explain", "looked", "--json"),
    ],
    ("quarantine", "dismiss"): [(HOSTILE, "--because", HOSTILE), ("1", "--because", HOSTILE, "--by", HOSTILE)],
    ("quarantine", "list"): [(), ("--source", HOSTILE), ("--state", "all")],
    ("quarantine", "retry"): [(HOSTILE,), ("--source", HOSTILE), ("1",)],
    ("quarantine", "show"): [(HOSTILE,), ("1",)],
    ("replay",): [(HOSTILE, "--from", "2026-01-01"), (_SOURCE, "--from", HOSTILE), (_SOURCE, "--from", "2026-01-01")],
    ("sandbox", "announce"): [("--form", HOSTILE), ("--items", HOSTILE, "--cik", HOSTILE), ("--url", HOSTILE)],
    ("sandbox", "fault"): [(HOSTILE, HOSTILE), (HOSTILE, "429", "--url", HOSTILE)],
    ("sandbox", "serve"): [("--announce-port", f"/dev/null/{NAME}"), ("--port", HOSTILE)],
    ("sources", "list"): [()],
    ("sources", "pause"): [(HOSTILE,), (_SOURCE, "--reason", HOSTILE, "--endpoint", HOSTILE), (_SOURCE, "--for", HOSTILE)],
    ("sources", "resume"): [(HOSTILE,), (_SOURCE, "--endpoint", HOSTILE), (_SOURCE, "--account", HOSTILE)],
    ("status",): [()],
    ("up",): [("--port", HOSTILE), ("--only", HOSTILE), ("--workspace", NAME)],
    ("agent", "spend"): [("--days", HOSTILE)],
    ("assets", "apply"): [("--dry-run",)],
    ("assets", "check"): [()],
    ("assets", "list"): [("--own",)],
    ("assets", "show"): [(HOSTILE,), ("BTC", "--venue", HOSTILE), ("BTC", "--at", HOSTILE)],
    ("bench", "agents"): [("--rows", HOSTILE), ("--repeats", HOSTILE)],
    ("bench", "documents"): [("--folder", HOSTILE), ("--seed", HOSTILE)],
    ("bench", "ingest"): [("--rows", HOSTILE)],
    ("bench", "read"): [("--rows", HOSTILE)],
    ("documents", "read"): [(HOSTILE,), (NAME,)],
    ("import", "files"): [(HOSTILE,), (NAME, "--user", HOSTILE), (NAME, "--file-zone", HOSTILE), (NAME, "--ignore", HOSTILE),
        (NAME, "--coin", HOSTILE)],
    ("import", "list"): [("--user", HOSTILE)],
    ("import", "undo"): [(HOSTILE,), ("1", "--user", HOSTILE, "--reason", HOSTILE)],
    ("lake", "export"): [("--from", HOSTILE)],
    ("mcp",): [("--list-tools",), ("--user", HOSTILE)],
    ("models", "check"): [()],
    ("models", "list"): [("--provider", HOSTILE)],
    ("models", "stand-in"): [("--port", HOSTILE)],
    ("seed",): [("--users", HOSTILE)],
}  # fmt: skip
"""What each command is given here; ``omc up`` and ``omc demo`` also run on a refusing upstream below."""
NOT_EXERCISED = {("demo",): "it runs as a whole below"}


def test_every_command_is_fed_with_hostile_text() -> None:
    assert {path for path, _ in leaf_commands()} == {*EXERCISED, *NOT_EXERCISED}


@pytest.mark.parametrize("command", EXERCISED, ids=" ".join)
def test_hostile_text_is_printed_as_text_by(command: tuple[str, ...], poisoned: Poisoned) -> None:
    file = _file(poisoned.folder, _FILLS)
    for arguments in EXERCISED[command]:
        given = [file if argument == NAME else argument for argument in arguments]
        for json_flag in ((), _JSON):
            poisoned.omc(*command, *given, *json_flag)


def test_rows_are_shown_with_what_they_hold_made_visible(poisoned: Poisoned) -> None:
    shown = {
        "quality exchange": poisoned.omc("quality", "exchange").stdout,
        "agent show": poisoned.omc("agent", "show", _EVENT).stdout,
        "sources list": poisoned.omc("sources", "list").stdout,
        "pnl exceptions": poisoned.omc("pnl", "exceptions").stdout,
        "collect": poisoned.omc("collect", _SOURCE).stderr,
    }

    for command, printed in shown.items():
        assert "[/zqm]" in printed, command
        assert command == "collect" or "\\x1b[31m" in "".join(printed.split()), command  # of an upstream's body they are left out


def test_json_keeps_every_character_and_is_safe_to_print(poisoned: Poisoned) -> None:
    ran = poisoned.omc("agent", "show", _EVENT, "--json")

    assert HOSTILE in json.loads(ran.stdout)["brief"]["body"]


def test_a_refused_upstream_fails_a_collection_with_its_words_as_text(poisoned: Poisoned) -> None:
    ran = poisoned.omc("collect", _SOURCE)

    assert ran.status == 1
    assert ran.stderr.count("\n") == 1
    assert "[/red]" in ran.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [(f'["{HOSTILE}"]\nx = 1', "omc:"), ("[settings]\n'[/red]\\u202e' = 1", "[/red]"), (b"\x00\x1b\xff[/red]", "omc:")],
    ids=["unreadable", "unknown key", "binary"],
)
def test_a_hostile_configuration_file_is_told_in_one_line(content: str | bytes, said: str, poisoned: Poisoned) -> None:
    file = _file(poisoned.folder, content, ".toml")

    for command in (("config", "check"), ("status",), ("quality", "--json")):
        ran = poisoned.omc(*command, OMC_CONFIG=file)
        assert ran.status == 2
        assert said in ran.stderr


@pytest.mark.parametrize("name", ["OMC_CONTACT", "OMC_USER", "OMC_DATABASE_URL", "OMC_SANDBOX_URL", "OMC_PROFILE", "OMC_[/RED]\x1b"])
def test_a_hostile_variable_is_refused_in_one_line(name: str, poisoned: Poisoned) -> None:
    for command in (("quality",), ("status", "--json")):
        ran = poisoned.omc(*command, **{name: HOSTILE})

        assert ran.status == 2
        assert "OMC_" in ran.stderr


def test_a_file_of_trades_is_computed_to_the_letter_of_its_names(poisoned: Poisoned) -> None:
    ran = poisoned.omc("pnl", "compute", "--fills", _file(poisoned.folder, _FILLS.replace(json.dumps(HOSTILE), '"[/zqm]"')))

    assert ran.status == 0
    assert "[/zqm]" in ran.stdout


@pytest.fixture
def platform_environ(poisoned: Poisoned, server_url: str, request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Return the variables of a new home with a hostile name, on a database of its own, before the refusing upstream."""
    name = "t_hostile_up" if "platform" in request.node.name else "t_hostile_demo"
    own = {"OMC_HOME": str(poisoned.folder / f"{name} {NAME}"), "OMC_DATABASE_URL": server_url.replace("{database}", name)}
    return {**poisoned.environ, **own}


@pytest.mark.slow
def test_the_platform_starts_although_an_upstream_answers_with_markup(platform_environ: Mapping[str, str], tmp_path: Path) -> None:
    console = tmp_path / "console"
    with console.open("wb") as file:
        platform = subprocess.Popen(
            [OMC, "up", "--port", "0"], env=dict(platform_environ), stdout=subprocess.DEVNULL, stderr=file, cwd=PROJECT_ROOT
        )
    try:
        deadline = time.monotonic() + 150
        while "Ctrl-C stops everything" not in console.read_text() and platform.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
        assert platform.poll() is None, console.read_text()
    finally:
        platform.terminate()
        status = platform.wait(60)

    printed = console.read_text()
    assert status == 0, printed
    assert "Started, but" in printed
    assert "[/red]" in printed
    assert_printed_as_text(printed)


@pytest.mark.slow
def test_a_demonstration_before_an_upstream_that_answers_with_markup_ends_with_its_words(platform_environ: Mapping[str, str]) -> None:
    ran = subprocess.run([OMC, "demo"], env=dict(platform_environ), capture_output=True, timeout=200, cwd=PROJECT_ROOT, check=False)

    printed = (ran.stdout + ran.stderr).decode(errors="surrogateescape")
    assert ran.returncode == 1, printed
    assert "[/red]" in printed
    assert_printed_as_text(printed)
