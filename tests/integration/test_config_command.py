"""``omc config`` as a person uses it: a new file, a change, a mistake, what holds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from omc_infra.settings import PROJECT_ROOT

OMC = Path(sys.executable).parent / "omc"


def _omc(home: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    return subprocess.run(
        [str(OMC), *arguments],
        env={**environ, "OMC_HOME": str(home), **(variables or {})},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=PROJECT_ROOT,
        check=False,
    )


def test_init_writes_a_file_that_passes_check_and_never_overwrites_one(tmp_path: Path) -> None:
    first = _omc(tmp_path, "config", "init", "--json")
    (tmp_path / "omc.toml").write_text((tmp_path / "omc.toml").read_text().replace("#alert_threshold = 0.7", "alert_threshold = 0.6"))
    second = _omc(tmp_path, "config", "init")
    checked = _omc(tmp_path, "config", "check", "--json")

    assert (first.returncode, json.loads(first.stdout)["file"]) == (0, str(tmp_path / "omc.toml"))
    assert (second.returncode, len(second.stderr.strip().splitlines())) == (2, 1)
    assert "alert_threshold = 0.6" in (tmp_path / "omc.toml").read_text()
    assert (checked.returncode, json.loads(checked.stdout)["valid"], json.loads(checked.stdout)["exists"]) == (0, True, True)


def test_init_writes_where_the_variable_says(tmp_path: Path) -> None:
    place = tmp_path / "etc" / "mine.toml"

    answer = _omc(tmp_path, "config", "init", variables={"OMC_CONFIG": str(place)})

    assert answer.returncode == 0, answer.stderr
    assert place.is_file()


def test_show_says_where_each_value_comes_from_and_strikes_secrets_out(tmp_path: Path) -> None:
    (tmp_path / "omc.toml").write_text("[settings]\nalert_threshold = 0.5\nkeep_runs_days = 3\n")
    variables = {"OMC_KEEP_RUNS_DAYS": "4", "OMC_KEY_COINSPOT": "hunter2", "OMC_DATABASE_URL": "postgresql://u:hunter3@h/d"}
    variables["OMC_DATABASE_READER_PASSWORD"] = "hunter4"

    answers = [_omc(tmp_path, "config", "show", *flag, variables=variables) for flag in (["--json"], [])]

    document = json.loads(answers[0].stdout)
    shown = {name: (each["value"], each["from"]) for name, each in document["settings"].items()}
    assert document["file"] == str(tmp_path / "omc.toml")
    assert shown["alert_threshold"] == (0.5, "file")
    assert shown["keep_runs_days"] == (4, "environment")
    assert shown["growth_warning_gb"] == (20.0, "default")
    assert shown["keys"] == ({"coinspot": "[redacted]"}, "environment")
    assert shown["database_url"] == shown["database_reader_password"] == ("[redacted]", "environment")
    assert shown["database_writer_password"] == (None, "default")
    assert all("hunter" not in answer.stdout + answer.stderr for answer in answers)


@pytest.mark.slow
def test_a_mistake_in_the_file_ends_every_command_with_one_line_and_exit_two(tmp_path: Path) -> None:
    (tmp_path / "omc.toml").write_text("[settings]\nalert_threshold = 'high'\n")

    for arguments in (["config", "check"], ["config", "show", "--json"], ["quality"], ["collect", "human_fear_greed"]):
        answer = _omc(tmp_path, *arguments)

        assert answer.returncode == 2, arguments
        assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
        assert f"{tmp_path / 'omc.toml'}:2: settings.alert_threshold:" in answer.stderr


def test_an_unknown_section_fails_the_check(tmp_path: Path) -> None:
    (tmp_path / "omc.toml").write_text("[no.such]\nx = 1\n")

    answer = _omc(tmp_path, "config", "check", "--json")

    assert answer.returncode == 2
    assert "omc.toml:1: no: no such section; allowed: " in answer.stderr
    assert json.loads(answer.stdout)["error"]["type"] == "ConfigurationError"


@pytest.mark.slow
def test_the_how_to_page_works_as_it_stands(tmp_path: Path) -> None:
    commands = re.findall(r"```bash\n(.*?)```", (PROJECT_ROOT / "docs/how-to/configure.md").read_text(), re.DOTALL)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    script = "set -e\nomc db migrate > /dev/null\n" + "".join(commands)

    answer = subprocess.run(
        ["bash", "-c", script],
        env={**environ, "OMC_HOME": str(tmp_path), "PATH": f"{OMC.parent}{os.pathsep}{environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PROJECT_ROOT,
        check=False,
    )

    assert answer.returncode == 0, answer.stderr
    assert len(commands) == 6
    assert "alert_threshold" in answer.stdout
    assert "glass_defillama is paused by" in answer.stdout
    assert "resumed glass_defillama" in answer.stdout
