"""``omc sandbox``: run the stand-in upstreams, make them misbehave, publish a filing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from omc_infra.cli import FiniteRange, emit, json_option
from omc_infra.errors import BadInputError, OmcError, UpstreamUnavailableError
from omc_infra.settings import load_settings
from omc_infra.terminal import say

_url_option = click.option(
    "--url", help="Base URL of the running sandbox. Default: OMC_SANDBOX_URL, else the sandbox of this home's platform."
)


@click.group(help="Simulated upstream APIs: serve them, inject faults, publish a filing.")
def sandbox() -> None:
    """Hold the sandbox commands together."""


@sandbox.command(help="Serve all upstreams on loopback until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0: any free port.")
@click.option("--announce-port", type=click.Path(path_type=Path, dir_okay=False), help="File to write the port to, once it is open.")
@json_option
def serve(port: int, announce_port: Path | None, as_json: bool) -> None:
    """Serve with the configured seed and this home's state."""
    from omc_pipeline.sandbox import server
    from omc_pipeline.sandbox.running import state_file

    settings = load_settings()

    def tell(url: str) -> None:
        if as_json:
            emit({"url": url, "seed": settings.sandbox_seed})
        else:
            say(f"sandbox upstreams at {url}; use them with OMC_SANDBOX_URL={url}")

    server.serve(settings.sandbox_seed, port, state_file(settings), announce_port, on_listen=tell)


@sandbox.command(help="Inject a fault into the next answers of UPSTREAM: 429, 500, slow, malformed, duplicate, late, reset or zone.")
@click.argument("upstream")
@click.argument("kind")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Number of answers.")
@click.option(
    "--seconds",
    type=FiniteRange(0, 86_400),
    default=1.0,
    show_default=True,
    help="For 429: the wait that the answer asks for. For slow: how long the answer takes.",
)
@click.option("--hours", type=FiniteRange(0, 8784), default=6.0, show_default=True, help="For late: the age of the data in the answer.")
@_url_option
@json_option
def fault(upstream: str, kind: str, count: int, seconds: float, hours: float, url: str | None, as_json: bool) -> None:
    """Queue one fault."""
    asked = {"upstream": upstream, "kind": kind, "count": count, "seconds": seconds, "hours": hours}
    document = _description("faults", asked, url)
    if as_json:
        emit(document)
    else:
        say(f"the next {count} answer(s) of {upstream}: {kind}")


@sandbox.command(help="Publish a filing now.")
@click.option("--cik", help="CIK of a tracked issuer. Default: each issuer in turn.")
@click.option("--form", default="8-K", show_default=True, help="Form type.")
@click.option("--items", help="Items of an 8-K, separated by commas.  [default: 7.01,8.01 for an 8-K, else none]")
@_url_option
@json_option
def announce(cik: str | None, form: str, items: str | None, url: str | None, as_json: bool) -> None:
    """Publish a filing with a fresh accession number."""
    given = {"cik": cik, "items": items}
    document = _description("filings", {"form": form, **{name: value for name, value in given.items() if value is not None}}, url)
    if as_json:
        emit(document)
    else:
        say(f"{form} of CIK {document['cik']} published as {document['accession_number']}")


def _description(what: str, asked: Mapping[str, Any], url: str | None) -> dict[str, Any]:
    """Tell the running sandbox something and answer its document.

    Raises:
        BadInputError: It refuses, or no sandbox is named.
        UpstreamUnavailableError: It does not run.
    """
    from omc_infra.http.wire import Wire
    from omc_pipeline.sandbox.running import running_sandbox

    settings = load_settings()
    base_url = url or settings.sandbox_url or running_sandbox(settings)
    if not base_url:
        raise BadInputError(
            "no sandbox is running on this home; pass --url, or set OMC_SANDBOX_URL to the URL that `omc sandbox serve` printed"
        )
    wire = Wire("omc", loopback=True)
    try:
        content = json.dumps(asked).encode()
        target = f"{base_url.rstrip('/')}/_control/{what}"
        answer = wire.ask("POST", target, headers={}, content=content, timeout_s=5, deadline=time.monotonic() + 5, max_bytes=100_000)
    except OmcError as error:
        raise UpstreamUnavailableError(f"no sandbox answers at {base_url}: {error}") from error
    finally:
        wire.close()
    try:
        document = json.loads(answer.body)
    except ValueError as error:
        raise BadInputError(f"{base_url} is not a sandbox: it answered {answer.status}") from error
    if answer.status != 200:
        raise BadInputError(f"sandbox: {document.get('error', answer.status)}")
    return dict(document)
