"""Choosing a model as a user does, from a shell: the configuration, the commands, and a brief that really asks the provider's wire."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo_process import OMC, environ_of, run_demo
from provider_stand_in import CANARY, NotingStandIn, failing, serving

from omc_infra.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[NotingStandIn]:
    with serving() as running:
        yield running


def omc(home: Path, *arguments: str, code: int = 0, **variables: str) -> Any:
    done = subprocess.run(
        [str(OMC), *arguments, "--json"],
        env={**environ_of(home), **variables},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr[-2000:] + done.stdout[-2000:]
    assert CANARY not in done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def choose(home: Path, text: str) -> None:
    (home / "omc.toml").write_text(f"[agents]\n{text}\n")


def test_models_are_listed_with_their_prices_and_the_day_of_the_list(tmp_path: Path) -> None:
    choose(
        tmp_path,
        'provider = "anthropic"\nmodel = "claude-opus-5-5"\nfallback = ["openai/mine", "scripted"]\n'
        '[[agents.own_models]]\nprovider = "openai"\nname = "mine"\ncontext_tokens = 1000\n'
        'prices = [{input_usd = "1.5", output_usd = "3"}]',
    )

    document = omc(tmp_path, "models", "list", OMC_KEY_ANTHROPIC=CANARY)

    assert document["chosen"] == ["anthropic/claude-opus-5-5", "openai/mine", "scripted"]
    rows = {row["model"]: row for row in document["models"]}
    assert rows["anthropic/claude-opus-5-5"]["is_chosen"] is True
    assert rows["anthropic/claude-opus-5-5"]["has_key"] is True
    assert rows["openai/mine"] | {"output_usd": "3", "context_tokens": 1000, "has_key": False} == rows["openai/mine"]
    assert document["as_of"] >= "2026-11-27"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('provider = "anthropic"', "model"),
        ('provider = "openai"\nmodel = "gpt-6-sol"\nproxy = "http://user:secret@proxy:3128"', "proxy"),
        ('provider = "openai"\nmodel = "gpt-6-sol"\nstand_in_url = "http://example.com:80"', "stand_in_url"),
        ('fallback = ["gpt-6-sol"]', "fallback"),
        ('api_key = "sk-1234567890"', "secret"),
    ],
)
def test_a_wrong_choice_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    choose(tmp_path, text)

    assert told in str(omc(tmp_path, "config", "check", code=2))


def test_a_model_without_price_is_not_asked(tmp_path: Path) -> None:
    choose(tmp_path, 'provider = "openai"\nmodel = "unheard-of"\nstand_in_url = "http://127.0.0.1:9"')

    assert "unheard-of" in str(omc(tmp_path, "models", "check", code=2))


def test_the_sandbox_asks_no_provider(tmp_path: Path) -> None:
    choose(tmp_path, 'provider = "openai"\nmodel = "gpt-6-sol"')

    assert "sends nothing to providers" in str(omc(tmp_path, "models", "check", code=2, OMC_KEY_OPENAI=CANARY))


def test_live_without_a_key_says_which(tmp_path: Path) -> None:
    choose(tmp_path, 'provider = "openai"\nmodel = "gpt-6-sol"')

    assert "OMC_KEY_OPENAI" in str(omc(tmp_path, "models", "check", code=2, OMC_PROFILE="live"))


def test_the_chosen_models_are_checked_one_after_the_other(tmp_path: Path, server: NotingStandIn) -> None:
    choose(
        tmp_path,
        f'provider = "anthropic"\nmodel = "claude-haiku-5-5"\nfallback = ["openai/gpt-6-luna", "google/gemini-3.8-flash", "scripted"]\n'
        f'stand_in_url = "{server.url}"',
    )
    keys = {f"OMC_KEY_{name}": CANARY for name in ("OPENAI", "ANTHROPIC", "GOOGLE")}

    document = omc(tmp_path, "models", "check", **keys)

    assert [(row["model"].partition("/")[0], row["ok"]) for row in document["models"]] == [
        ("anthropic", True),
        ("openai", True),
        ("google", True),
        ("scripted", True),
    ]
    assert CANARY not in json.dumps([call.headers for call in server.notes.calls]), "the sandbox sent a real key"
    server.notes.faults.append(failing("anthropic", 401, "authentication_error", f"wrong key {CANARY}"))
    refused = omc(tmp_path, "models", "check", code=1, **keys)
    assert [row["ok"] for row in refused["models"]] == [False, True, True, True]
    assert "AccessDeniedError" in refused["models"][0]["failure"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_brief_asks_the_chosen_provider_and_its_money_is_shown(tmp_path: Path, server: NotingStandIn) -> None:
    choose(tmp_path, f'provider = "anthropic"\nmodel = "claude-sonnet-5-5"\nstand_in_url = "{server.url}"')

    document = run_demo(tmp_path, deadline_s=800)

    assert document["briefs"]
    assert all(brief["verified"] == brief["claims"] >= 3 for brief in document["briefs"])
    assert {call.path for call in server.notes.calls} == {"/anthropic/v1/messages"}
    assert len(server.notes.calls) == 3 * len(document["briefs"])
    [spent] = omc(tmp_path, "agent", "spend")["spend"]
    assert (spent["model"], spent["calls"], spent["settled"]) == (
        "anthropic/claude-sonnet-5-5",
        len(server.notes.calls),
        len(server.notes.calls),
    )
    assert float(spent["counted_usd"]) > 0
    shown = omc(tmp_path, "agent", "show", document["briefs"][0]["event"])
    assert shown["session"]["model"] == "anthropic/claude-sonnet-5-5"
    assert [call["step"] for call in shown["spend"]] == ["extract", "read", "analyse"]
