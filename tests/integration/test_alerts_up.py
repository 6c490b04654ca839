"""The alerts of a real platform: sent by ``omc up``, with a heartbeat while it lives, and with no address anywhere else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from http_upstream import Upstream, upstream

from omc_infra.settings import PROJECT_ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(700)]
OMC = str(Path(sys.executable).parent / "omc")
TOKEN = "T0KEN-of-the-hook"


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def environ(tmp_path: Path, receiver: Upstream) -> dict[str, str]:
    (tmp_path / "omc.toml").write_text('[alerts]\nchannels = ["hook"]\nheartbeat_s = 1\n')
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_") and name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        "OMC_HOME": str(tmp_path),
        "OMC_KEY_ALERT_HOOK": f"webhook+{receiver.url}/{TOKEN}",
        "OMC_KEY_ALERT_HEARTBEAT": f"{receiver.url}/ping/{TOKEN}",
    }


def awaited(condition: Callable[[], object], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def test_a_platform_sends_what_was_found_before_it_ran_and_pings_while_it_lives(
    environ: dict[str, str], receiver: Upstream, tmp_path: Path
) -> None:
    def posts() -> list[str]:
        return [json.loads(asked.body)["key"] for asked in receiver.asked if asked.method == "POST"]

    def pings() -> int:
        return len([asked for asked in receiver.asked if asked.method == "GET"])

    for arguments in (["db", "migrate"], ["quality", "human"]):
        subprocess.run([OMC, *arguments], env=environ, capture_output=True, check=False, timeout=120)
    with (tmp_path / "up.log").open("wb") as log:
        platform = subprocess.Popen([OMC, "up", "--port", "0"], env=environ, stdout=log, stderr=log, cwd=PROJECT_ROOT)
    try:
        assert awaited(posts, 120), (tmp_path / "up.log").read_text()
        assert awaited(pings, 300), (tmp_path / "up.log").read_text()
        shown = [" ".join(child.environ().values()) for child in psutil.Process(platform.pid).children(recursive=True)]
    finally:
        platform.send_signal(signal.SIGKILL)
        platform.wait()
    alive = pings()
    time.sleep(3)

    assert len(set(posts())) == len(posts())
    assert pings() - alive <= 1
    assert shown
    assert not [each for each in shown if TOKEN in each]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in files if TOKEN.encode() in _content(path)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it is gone already
        return b""
