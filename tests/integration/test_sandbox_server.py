"""The sandbox as a process and as a thread: where it listens, how it ends, what it remembers."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest
from click.testing import CliRunner

from omc_infra.errors import BadInputError, ConfigurationError, UpstreamUnavailableError
from omc_infra.http import HostPolicy, open_http
from omc_infra.settings import load_settings
from omc_pipeline.commands.sandbox import sandbox
from omc_pipeline.sandbox import serving
from omc_pipeline.sandbox.running import port_file, running_sandbox
from omc_pipeline.sandbox.server import serve

CONTACT = {"User-Agent": "omc/0 (+data@fund.example)"}


@contextmanager
def process(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    announced = folder / "port"
    announced.unlink(missing_ok=True)
    arguments = ["--port", "0", "--seed", "1", "--state", str(folder / "state.jsonl"), "--announce-port", str(announced)]
    child = subprocess.Popen([sys.executable, "-m", "omc_pipeline.sandbox", *arguments])
    try:
        deadline = time.monotonic() + 15
        while not announced.exists() and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{int(announced.read_text())}", child
    finally:
        child.kill()
        child.wait()


def test_a_process_announces_its_port_and_ends_within_a_second_though_an_answer_is_slow(tmp_path: Path) -> None:
    with process(tmp_path) as (url, child):
        httpx2.post(f"{url}/_control/faults", json={"upstream": "fng", "kind": "slow", "seconds": 60}, trust_env=False)
        slow = socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])))
        slow.sendall(b"GET /fng/fng/ HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        slow.recv(1)
        start = time.monotonic()

        child.send_signal(signal.SIGTERM)
        child.wait(timeout=5)

        assert time.monotonic() - start < 1
        slow.close()


def test_announced_filings_survive_a_kill(tmp_path: Path) -> None:
    with process(tmp_path) as (url, _child):
        announced = httpx2.post(f"{url}/_control/filings", trust_env=False).json()

    with process(tmp_path) as (url, _child):
        answer = httpx2.get(f"{url}/sec_edgar/submissions/CIK{announced['cik']}.json", headers=CONTACT, trust_env=False)

    assert answer.json()["filings"]["recent"]["accessionNumber"][0] == announced["accession_number"]


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    with process(tmp_path) as (_url, child):
        listening = [c.laddr.ip for c in psutil.Process(child.pid).net_connections() if c.status == "LISTEN"]

    assert listening == ["127.0.0.1"]


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match="is taken"):
        serve(1, taken.getsockname()[1], tmp_path / "state.jsonl", None)


def test_a_running_sandbox_is_shared(tmp_path: Path) -> None:
    with serving(load_settings({"OMC_HOME": str(tmp_path), "OMC_SANDBOX_URL": "http://127.0.0.1:9/"})) as url:
        assert url == "http://127.0.0.1:9"


def test_the_sandbox_of_a_platform_is_found_by_its_home_and_no_other_is_taken_for_it(tmp_path: Path) -> None:
    here, there = (load_settings({"OMC_HOME": str(tmp_path / name)}) for name in ("here", "there"))

    with serving(here) as url:
        for settings in (here, there):
            port_file(settings).parent.mkdir(parents=True, exist_ok=True)
            port_file(settings).write_text(url.rpartition(":")[2])
        with serving(here) as found, serving(there) as own:
            assert found == url
            assert own != url

    assert running_sandbox(here) is None


def test_a_fault_that_cannot_be_is_refused(tmp_path: Path) -> None:
    wrong = (("seconds", "nan"), ("seconds", "-5"), ("hours", "1e9"), ("count", "-3"))
    with serving(load_settings({"OMC_HOME": str(tmp_path)})) as url:
        commands = [CliRunner().invoke(sandbox, ["fault", "fng", "slow", f"--{name}", value, "--url", url]) for name, value in wrong]
        fault = {"upstream": "fng", "kind": "slow", "count": 1, "seconds": 1, "hours": 6}
        asked = [httpx2.post(f"{url}/_control/faults", json={**fault, name: float(value)}, trust_env=False) for name, value in wrong[1:]]

    assert [answer.exit_code for answer in commands] == [2, 2, 2, 2]
    assert all(answer.status_code == 400 and "seconds from 0 to" in answer.json()["error"] for answer in asked)


def test_a_thread_ends_with_its_block(tmp_path: Path) -> None:
    with serving(load_settings({"OMC_HOME": str(tmp_path)})) as url:
        assert httpx2.get(f"{url}/_control/health", trust_env=False).json()["status"] == "ok"

    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/_control/health", trust_env=False)


def test_the_polite_client_outlasts_a_bad_hour(tmp_path: Path) -> None:
    policy = HostPolicy(("https://api.alternative.me",), "/fng", requests_per_s=100, backoff_s=0.01)
    settings = load_settings({"OMC_HOME": str(tmp_path)})

    with serving(settings) as url:
        for kind in ("500", "reset", "429"):
            httpx2.post(f"{url}/_control/faults", json={"upstream": "fng", "kind": kind, "seconds": 0}, trust_env=False)
        with open_http("human_test", policy, settings.model_copy(update={"sandbox_url": url})) as http:
            payload = http.get("/fng/", params={"limit": "1"})

    assert json.loads(payload.body)["name"] == "Fear and Greed Index"


def test_the_commands_spoil_answers_and_publish_filings(tmp_path: Path) -> None:
    runner = CliRunner()

    with serving(load_settings({"OMC_HOME": str(tmp_path)})) as url:
        spoilt = runner.invoke(sandbox, ["fault", "fng", "500", "--url", url, "--json"], catch_exceptions=False)
        filed = runner.invoke(sandbox, ["announce", "--cik", "1679788", "--url", url, "--json"], catch_exceptions=False)
        status = httpx2.get(f"{url}/fng/fng/", trust_env=False).status_code

    assert json.loads(spoilt.stdout) == {"faults": {"fng": [{"kind": "500", "count": 1}]}}
    assert json.loads(filed.stdout)["cik"] == "0001679788"
    assert status == 500


WRONG_FILINGS = [
    (["--form", "4", "--items", "8.01"], "are for an 8-K only"),
    (["--form", "SELL ALL BTC NOW"], "not a form type"),
    (["--form", ""], "not a form type"),
    (["--items", "99.99"], "must be items of an 8-K"),
    (["--items", "8.01,hello"], "must be items of an 8-K"),
    (["--items", ""], "must be items of an 8-K"),
    (["--form", "8-K/A", "--items", "8.01,8.01"], "each once"),
    (["--cik", ""], "cik must be one of"),
]


def test_a_filing_with_a_form_or_items_that_edgar_does_not_have_is_refused_and_not_published(tmp_path: Path) -> None:
    runner = CliRunner()
    with serving(load_settings({"OMC_HOME": str(tmp_path)})) as url:
        for arguments, said in WRONG_FILINGS:
            with pytest.raises(BadInputError, match=said) as refused:
                runner.invoke(sandbox, ["announce", *arguments, "--url", url], catch_exceptions=False)
            assert "\n" not in str(refused.value)
        for document in ({"form": 8}, {"items": ["8.01"]}, {"form": "4", "items": "8.01"}):
            assert httpx2.post(f"{url}/_control/filings", json=document, trust_env=False).status_code == 400
        recent = _recent(url, "1679788")
        amended = runner.invoke(sandbox, ["announce", "--cik", "1679788", "--form", "8-K/A", "--url", url], catch_exceptions=False)
        insider = runner.invoke(sandbox, ["announce", "--cik", "1679788", "--form", "4", "--url", url], catch_exceptions=False)
        after = _recent(url, "1679788")

    assert (amended.exit_code, insider.exit_code) == (0, 0)
    assert len(after["form"]) == len(recent["form"]) + 2
    assert list(zip(after["form"], after["items"], strict=True))[:2] == [("4", ""), ("8-K/A", "7.01,8.01")]


def _recent(url: str, cik: str) -> dict[str, list[str]]:
    answer = httpx2.get(f"{url}/sec_edgar/submissions/CIK{cik:0>10}.json", headers=CONTACT, trust_env=False)
    recent: dict[str, list[str]] = answer.json()["filings"]["recent"]
    return recent


def test_a_command_that_cannot_be_obeyed_says_why(tmp_path: Path) -> None:
    runner = CliRunner()

    with serving(load_settings({"OMC_HOME": str(tmp_path)})) as url, pytest.raises(BadInputError, match="kind one of"):
        runner.invoke(sandbox, ["fault", "fng", "418", "--url", url], catch_exceptions=False)
    with pytest.raises(BadInputError, match="no sandbox is running"):
        runner.invoke(sandbox, ["announce"], catch_exceptions=False, env={"OMC_SANDBOX_URL": ""})
    with pytest.raises(UpstreamUnavailableError):
        runner.invoke(sandbox, ["announce", "--url", "http://127.0.0.1:9"], catch_exceptions=False)
