"""Wrong settings: each gives one clear line on stderr and exit code 2, never a traceback, never a password."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from omc_infra.settings import PROJECT_ROOT, Settings

OMC = Path(sys.executable).parent / "omc"


def _omc(home: Path, variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    return subprocess.run(
        [str(OMC), *arguments],
        env={**environ, "OMC_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PROJECT_ROOT,
        check=False,
    )


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OMC_DATABASE_URL": "postgresql://someone:hunter2@127.0.0.1:1/ledgers"}, "127.0.0.1"),
        ({"OMC_DATABASE_URL": "mysql://someone:hunter2@localhost/ledgers"}, "OMC_DATABASE_URL"),
        ({"OMC_DATABASE_URL": "postgresql://hunter2"}, "OMC_DATABASE_URL"),
        ({"OMC_DATABASE_URL": "postgresql://someone:hunter2@localhost:99999/ledgers"}, "OMC_DATABASE_URL"),
        ({"OMC_SANDBOX_URL": "localhost"}, "OMC_SANDBOX_URL"),
        ({"OMC_SANDBOX_URL": "http://127.0.0.1:8080;"}, "OMC_SANDBOX_URL"),
        ({"OMC_PROFILE": "production"}, "OMC_PROFILE"),
        ({"OMC_PROFLE": "live"}, "OMC_PROFLE"),
        ({"OMC_ALERT_THRESHOLD": "high"}, "OMC_ALERT_THRESHOLD"),
    ],
    ids=[
        "unreachable",
        "other scheme",
        "malformed",
        "no port",
        "no scheme",
        "no port number",
        "unknown profile",
        "misspelt",
        "not a number",
    ],
)
def test_a_wrong_setting_gives_one_line_and_exit_two(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    answer = _omc(tmp_path, variables, "quality")

    assert answer.returncode == 2
    lines = answer.stderr.strip().splitlines()
    assert len(lines) == 1, answer.stderr
    assert said in lines[0]
    assert "hunter2" not in answer.stderr + answer.stdout


def test_the_live_profile_refuses_the_sandbox_database(settings: Settings, database: object, tmp_path: Path) -> None:
    assert settings.database_url
    variables = {"OMC_DATABASE_URL": settings.database_url.get_secret_value(), "OMC_PROFILE": "live"}

    answer = _omc(tmp_path, variables, "quality", "--json")

    assert answer.returncode == 2
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "sandbox" in answer.stderr
    assert json.loads(answer.stdout)["error"]["type"] == "ConfigurationError"


def test_a_second_platform_on_one_home_is_refused(tmp_path: Path) -> None:
    from omc_infra.services.lock import exclusive_platform

    with exclusive_platform(tmp_path):
        answer = _omc(tmp_path, {}, "demo")

    assert answer.returncode == 2
    assert "already running" in answer.stderr
