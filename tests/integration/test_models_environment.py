"""An environment full of traps: no call, no key and no prompt goes anywhere but to the host that was named."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from provider_stand_in import CANARY, MODELS, serving
from pydantic import SecretStr

from omc_agents.models.catalogue import listed
from omc_agents.models.choice import make_model
from omc_agents.models.protocol import Request, Text, Turn
from omc_infra.errors import UpstreamUnavailableError

pytestmark = pytest.mark.slow
SCRIPT = """
import sys, json
sys.path.insert(0, "tests/integration")
from provider_stand_in import MODELS
from pydantic import SecretStr
from omc_agents.models.catalogue import listed
from omc_agents.models.choice import make_model
from omc_agents.models.protocol import Request, Text, Turn
url, key = sys.stdin.readline().split()
question = Request("s", (Turn("user", (Text('{"envelopes": [{"text": "acquire"}]}'),)),), {"title": "extraction"}, deadline_s=30.0)
for full_name in MODELS.values():
    listing = listed().model(full_name)
    model = make_model(listing, f"{url}/{listing.provider}", SecretStr(key))
    *_, streamed = model.stream(question)
    print(json.dumps([listing.provider, model.complete(question).text, streamed.text]))
"""


class Trap:
    """Takes every connection and keeps what is sent."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.taken: list[bytes] = []
        threading.Thread(target=self._take, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.socket.getsockname()[1]}"

    def _take(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(0.5)
                try:
                    self.taken.append(connection.recv(65536))
                except OSError:
                    self.taken.append(b"")


@contextmanager
def trap() -> Iterator[Trap]:
    made = Trap()
    try:
        yield made
    finally:
        made.socket.close()


def poison(address: str) -> dict[str, str]:
    """Return every variable of the SDKs and of HTTP libraries that leads a call, a header or a log astray."""
    url, evil = f"http://{address}", "evil-value"
    addresses = (
        "OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL", "GEMINI_BASE_URL",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "ANTHROPIC_FOUNDRY_BASE_URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    )  # fmt: skip
    values = (
        "OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "OPENAI_WEBHOOK_SECRET", "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION",
        "ANTHROPIC_WEBHOOK_SIGNING_KEY",
    )  # fmt: skip
    headers = f"X-Stolen: {evil}\nAuthorization: Bearer {evil}\nx-api-key: {evil}\nx-goog-api-key: {evil}"
    return {
        **dict.fromkeys(addresses, url),
        **dict.fromkeys(values, evil),
        **dict.fromkeys(("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS", "GEMINI_CUSTOM_HEADERS"), headers),
        **dict.fromkeys(("OPENAI_LOG", "ANTHROPIC_LOG"), "debug"),
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_GENAI_API_VERSION": "v9",
        "NO_PROXY": "",
        "no_proxy": "",
    }


@pytest.fixture(scope="module")
def poisoned() -> Iterator[tuple[subprocess.CompletedProcess[str], list[dict[str, str]], list[str], list[bytes]]]:
    with serving() as server, trap() as trapped:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")} | poison(trapped.address)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            input=f"{server.url} {CANARY}\n",
            env=environ,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        calls = server.notes.calls
        yield done, [call.headers for call in calls], [call.path for call in calls], trapped.taken


def test_every_model_answers_from_where_it_was_told_to_ask(
    poisoned: tuple[subprocess.CompletedProcess[str], object, list[str], object],
) -> None:
    done, _, paths, _ = poisoned

    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert [name for name, _, _ in answers] == list(MODELS)
    assert all(json.loads(whole)["event_kind"] == json.loads(streamed)["event_kind"] == "acquisition" for _, whole, streamed in answers)
    assert len(paths) == 2 * len(MODELS)
    assert all("v9" not in path for path in paths)


def test_nothing_reached_the_trap(poisoned: tuple[object, object, object, list[bytes]]) -> None:
    assert poisoned[3] == []


def test_no_header_of_the_environment_went_along(poisoned: tuple[object, list[dict[str, str]], object, object]) -> None:
    for headers in poisoned[1]:
        assert "evil" not in json.dumps(headers)
        assert "x-stolen" not in headers
        assert not any("organization" in name or "project" in name for name in headers)


def test_no_key_was_printed(poisoned: tuple[subprocess.CompletedProcess[str], object, object, object]) -> None:
    done = poisoned[0]

    assert CANARY not in done.stdout + done.stderr


@pytest.mark.parametrize("provider", MODELS)
def test_the_proxy_of_the_settings_is_the_only_one_on_the_way_and_sees_no_key(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = listed()
    with trap() as wanted, trap() as other:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://{other.address}")
        listing = catalogue.model(MODELS[provider])
        host = urlsplit(catalogue.providers[listing.provider].base_url).hostname
        base_url = catalogue.providers[listing.provider].base_url
        model = make_model(listing, base_url, SecretStr(CANARY), proxy=f"http://{wanted.address}")

        with pytest.raises(UpstreamUnavailableError):
            model.complete(Request("s", (Turn("user", (Text("hello"),)),), {}, deadline_s=10.0))

    assert wanted.taken[0].startswith(f"CONNECT {host}:443".encode())
    assert CANARY.encode() not in b"".join(wanted.taken)
    assert other.taken == []
