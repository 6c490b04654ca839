"""Every command under arguments and variables that nobody foresaw: an exit code of ours, one line, no traceback, no hang.

The combinations are drawn from seeds, so a failing one is found again by its number.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import click
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
from forked_commands import Commands, Ran, forked_commands, leaf_commands
from hostile import HOSTILE, add_troubles, hidden_characters, poison
from old_home import opened_old_home

from omc_infra.postgres.migrate import migrate
from omc_infra.settings import Settings, load_settings

COMBINATIONS = 850
_BATCH = 50
_TIMEOUT_S = 30.0
_SAMPLE_WORDS = (
    "demo", "BTC", "glass_defillama", "catalyst_sec_edgar", "exchange_coinspot_account", "coinspot", "glass", "agent", "owner", "settings",
    "2026-01-01", "2026-01-01T00:00:00Z", "1", "0", "EUR", "AUD", "UTC", "Europe/Berlin", "coin", "match", "period", "month", "8-K", "429",
)  # fmt: skip
_ODD_WORDS = (
    "", " ", HOSTILE, "[/x]", "-", "--", "\x1b[2J", "\u202e", "\u200b", "é漢✓", "a" * 5_000, "%s%n{0}", "'; DROP TABLE x; --", "../../etc",
    "\ud800", "NaN", "inf", "-inf", "1e999", "-1", "9" * 40, "0x10", "١٢", "1_000", "true", "null", "{}", "9999-12-31", "0001-01-01",
    "2026-02-30", "2026-01-01T00:00:00", "10000-01-01", "\n", "a\nb", "\t", "http://[", "http://127.0.0.1:1", "http://127.0.0.1:99999",
)  # fmt: skip
_ODD_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "OMC_PROFILE": ("", "production", "LIVE", HOSTILE),
    "OMC_CONFIG": ("/nowhere/omc.toml", "/", "/dev/null", HOSTILE, "{binary}", "{folder}"),
    "OMC_HOME": ("/dev/null", "/dev/null/x", "{binary}", "/proc/self/x", "a" * 5_000),
    "OMC_DATABASE_URL": (
        "postgresql://",
        "postgresql://u:p@127.0.0.1:1/d",
        "postgresql://u:p@h:0/d",
        "x",
        "postgresql://u@[::1/d",
        HOSTILE,
    ),
    "OMC_SANDBOX_URL": ("http://127.0.0.1:1", "http://127.0.0.1:99999", "ftp://x", HOSTILE, "http://[::1"),
    "OMC_USER": ("Demo", HOSTILE, "a" * 65),
    "OMC_LOG_LEVEL": ("loud", "DEBUG", "debug"),
    "OMC_LOG_FORMAT": ("xml", "json", "console"),
    "OMC_FRESH_EVENT_HOURS": ("inf", "nan", "-1", "1e400"),
    "OMC_KEEP_RUNS_DAYS": ("999999999", "1.5", "-1", "9" * 5_000),
    "OMC_ALERT_THRESHOLD": ("2", "nan", "0x1"),
    "OMC_USER_BUCKETS": ("0", "1025", "2"),
    "OMC_CONTACT": (HOSTILE, "a\r\nX: y"),
    "OMC_KEY_X": (HOSTILE, "k"),
    "OMC_NOSUCH": ("1", HOSTILE),
    "OMC_DATABASE_ACCESS": ("roles", "root"),
    "COLUMNS": ("0", "1", "-5", "x", "1000000", "20"),
    "LANG": ("C", "xx_YY", HOSTILE.replace("\r", "")),
    "TZ": ("Nowhere/Land", HOSTILE),
    "HOME": ("", "/nowhere"),
    "NO_COLOR": ("1",),
    "FORCE_COLOR": ("",),
    "PYTHONIOENCODING": ("ascii",),
}
_BOUNDED: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("up",): ("--port=x",), ("demo",): ("--nosuch",), ("sandbox", "serve"): ("--port=x",), ("models", "stand-in"): ("--port=x",),
    ("bench", "pnl"): ("--fills=x",), ("bench", "import"): ("--rows=x",), ("bench", "quality"): ("--faults=x",),
    ("bench", "latency"): ("--events=x",), ("bench", "runs"): ("--count=x",), ("bench", "scale"): ("--users=x",),
    ("bench", "soak"): ("--minutes=x",), ("bench", "ingest"): ("--rows=x",), ("bench", "read"): ("--rows=x",), ("seed",): ("--days=x",),
    ("collect",): ("--to=2026-01-01",), ("mcp",): ("--list-tools",),
    ("bench", "agents"): ("--rows=x",),
}  # fmt: skip
"""Commands that run for long: something that must end them early is always among their arguments, unless a payload is given."""


@dataclass(frozen=True)
class Combination:
    """One call, found again by its number."""

    number: int
    arguments: list[str]
    variables: dict[str, str] = field(default_factory=dict)


class Place(NamedTuple):
    """Where the combinations run, and the files they name."""

    environ: Mapping[str, str]
    files: Mapping[str, str]
    commands: Commands


def combinations(leaves: list[tuple[tuple[str, ...], click.Command]], files: Mapping[str, str]) -> Iterator[Combination]:
    """Draw the combinations; each command has its turn as often as any other."""
    for number in range(COMBINATIONS):
        draw = random.Random(number)
        path, command = leaves[number % len(leaves)]
        arguments = [*path, *_arguments(command, draw, files)]
        if path in _BOUNDED and not any(word.startswith("--payload") for word in arguments):
            arguments += _BOUNDED[path]
        if draw.random() < 0.4:
            arguments.insert(draw.randint(len(path), len(arguments)), "--json")
        yield Combination(number, arguments, dict(_variables(draw, files)))


def _arguments(command: click.Command, draw: random.Random, files: Mapping[str, str]) -> Iterator[str]:
    for parameter in command.params:
        if parameter.name == "as_json" or draw.random() < (0.1 if parameter.required else 0.5):
            continue
        name = max(parameter.opts, key=len)
        if isinstance(parameter, click.Option) and parameter.is_flag:
            yield draw.choice([*parameter.opts, *parameter.secondary_opts])
        elif isinstance(parameter, click.Option):
            value = _value(parameter, draw, files)
            yield from [f"{name}={value}"] if draw.random() < 0.5 else [name, value]
        else:
            yield from (_value(parameter, draw, files) for _ in range(max(1, parameter.nargs)))
    if draw.random() < 0.1:
        yield draw.choice(["--nosuch", f"--{HOSTILE}", "-x", HOSTILE, "--json=1", "--help", "extra"])


def _value(parameter: click.Parameter, draw: random.Random, files: Mapping[str, str]) -> str:
    kinds: list[Callable[[], str]] = [
        lambda: draw.choice(_SAMPLE_WORDS),
        lambda: draw.choice(_ODD_WORDS),
        lambda: draw.choice(list(files.values())),
        lambda: str(draw.choice([0, 1, -1, 7, 2**31, 2**63, 2**64, 10**30, 0.5])),
    ]
    if isinstance(parameter.type, click.Choice):
        kinds += [lambda: draw.choice(list(map(str, parameter.type.choices)))] * 4
    if {"--fills", "--prices", "--payload", "--out"} & set(parameter.opts):
        kinds += [lambda: draw.choice(list(files.values()))] * 4
    return draw.choice(kinds)()


def _variables(draw: random.Random, files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for _ in range(draw.choice([0, 0, 0, 1, 1, 2])):
        name = draw.choice(list(_ODD_VARIABLES))
        yield name, draw.choice(_ODD_VARIABLES[name]).replace("{binary}", files["binary"]).replace("{folder}", files["folder"])


@pytest.fixture(scope="module")
def place(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("fuzz")
    variables = {
        "OMC_HOME": str(folder / "home"), "OMC_DATABASE_URL": server_url.replace("{database}", "t_commands_fuzz"),
        "OMC_SANDBOX_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    with opened_old_home(_settings(variables)) as database, forked_commands() as commands:
        migrate(database)
        poison(database)
        add_troubles(database)
        yield Place({**inherited, **variables}, _files(folder), commands)


def _settings(variables: Mapping[str, str]) -> Settings:
    return load_settings(variables)


def _files(folder: Path) -> Mapping[str, str]:
    fills = [{"id": "1", "time": "2026-01-01T00:00:00Z", "symbol": "[/x]", "side": "buy", "qty": "1", "price": "2", "fee": "0"}]
    contents: Mapping[str, bytes] = {
        "binary": bytes(range(256)) * 40,
        "empty": b"",
        "text": HOSTILE.encode(),
        "utf16.csv": "id,time\n".encode("utf-16"),
        "list.json": json.dumps(fills).encode(),
        "deep.json": b"[" * 100_000,
        "object.json": b'{"BTC": "1", "x": NaN}',
        "numbers.csv": b"id,time,symbol,side,qty,price,fee\n1,2026-01-01T00:00:00Z,A,buy,1e400000,-0,NaN\n",
        "mixed.csv": b"symbol,price\nBTC,1\nBTC,2\n\xff,3\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "closed").mkdir()
    named = {name: str(folder / name) for name in contents}
    return {
        **named,
        "folder": str(folder),
        "missing": str(folder / "missing"),
        "null": "/dev/null",
        "out": str(folder / "out.csv"),
        "no": "/dev/null/x",
    }


def complaints(ran: Ran, combination: Combination) -> Iterator[str]:
    """Say in what a command's end is not what a person may expect of any."""
    if ran.status is None:
        yield f"hangs for more than {_TIMEOUT_S:g} s"
    elif ran.status not in {0, 1, 2}:
        yield f"exit code {ran.status}"
    if "Traceback" in ran.stdout + ran.stderr:
        yield "traceback"
    if hidden_characters(ran.stdout + ran.stderr):
        yield f"prints {hidden_characters(ran.stdout + ran.stderr)[:5]!r}"
    if ran.status == 2 and (ran.stderr.count("\n") != 1 or not ran.stderr.startswith("omc: ")):
        yield f"{ran.stderr.count(chr(10))} lines on stderr"
    if ran.status == 2 and "--json" in combination.arguments and "error" not in json.loads(ran.stdout or "{}"):
        yield "no document of the failure"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, COMBINATIONS, _BATCH))
def test_no_combination_of_arguments_breaks_a_command(first: int, place: Place) -> None:
    drawn = [each for each in combinations(list(leaf_commands()), place.files) if first <= each.number < first + _BATCH]

    found = []
    for each in drawn:
        ran = place.commands.run(each.arguments, {**place.environ, **each.variables}, timeout_s=_TIMEOUT_S, cwd=Path(place.files["folder"]))
        said = list(complaints(ran, each))
        if said:
            found.append((each, said, ran.stderr[-1500:], ran.stdout[-300:]))

    assert not found, "\n\n".join(f"{each}\n{said}\n{err}\n{out}" for each, said, err, out in found)


def test_the_combinations_are_the_same_each_time_and_reach_every_command() -> None:
    leaves = list(leaf_commands())
    files = {"binary": "b", "folder": "f"}

    first, second = (list(combinations(leaves, files)) for _ in range(2))

    assert first == second
    assert len(first) == COMBINATIONS
    assert all(sum(each.arguments[: len(path)] == list(path) for each in first) >= 8 for path, _ in leaves)
