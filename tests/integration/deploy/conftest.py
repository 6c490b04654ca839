"""A local AWS for the tests of deployments: one moto for all, an account of its own for each test."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from aws_account import COMMIT, CREDENTIALS, Account, make_account, section
from aws_fake import REGION, Ecs, LocalAws, local_aws
from http_upstream import Reply, Upstream, upstream

from omc_infra.deploy.aws import Aws
from omc_infra.deploy.context import Context, targets_of
from omc_infra.deploy.options import deploy_section
from omc_infra.deploy.steps import Request as Wanted
from omc_infra.services.table import load_services
from omc_infra.settings import load_settings


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Run moto on loopback, with its ECS's services running."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass
class Place:
    """An account, and how to deploy to it.

    Attributes:
        aws: The local AWS.
        account: What was made in it.
        environ: Variables for a command.
        toml: The configuration file.
        web: What answers health checks.
        lines: What was reported.
        client: Returns a client of boto3.
        deploying: Clients of the deploy tool.
    """

    aws: LocalAws
    account: Account
    environ: dict[str, str]
    toml: Path
    web: Upstream
    lines: list[str]
    client: Callable[[str], Any]
    deploying: Aws

    @property
    def ecs(self) -> Ecs:
        return self.aws.ecs

    def configure(self, environment: str = "staging", **options: object) -> None:
        """Write the section with other options."""
        self.toml.write_text(f"[deploy.{environment}]\n" + section(self.account.names, self.web.url, **options))

    def context(self, environment: str = "staging") -> Context:
        chosen = deploy_section(load_settings({"OMC_CONFIG": str(self.toml)}), environment)
        return Context(environment, chosen, self.deploying, targets_of(load_services(), chosen), self.lines.append)

    def wanted(self, commit: str = COMMIT, *, approved: bool = False) -> Wanted:
        return Wanted(commit, None, commit, self.toml.parent, lambda: approved)


@pytest.fixture(scope="session")
def running_aws(moto_url: str) -> Iterator[LocalAws]:
    """Run the scripted ECS before moto, at one address for all tests: making clients of boto3 takes longer than a deployment."""
    with local_aws(moto_url) as aws, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": aws.url}.items():
            patch.setenv(name, value)
        yield aws


@pytest.fixture(scope="session")
def clients(running_aws: LocalAws) -> tuple[Callable[[str], Any], Aws]:
    """Return clients that all tests share: a function of the service, and those of the deploy tool."""
    session = boto3.session.Session(region_name=REGION)
    return cache(partial(session.client, endpoint_url=running_aws.url)), Aws(REGION, 10)


@contextmanager
def opened_place(
    moto_url: str, aws: LocalAws, clients: tuple[Callable[[str], Any], Aws], folder: Path, *, scripted: bool = True
) -> Iterator[Place]:
    """Make a fresh account with everything that a deployment needs, in place of the one that was there."""
    with urlopen(Request(f"{moto_url}/moto-api/reset", method="POST"), timeout=60):
        pass
    aws.forget()
    aws.is_scripted = scripted
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    environ = {**inherited, **CREDENTIALS, "AWS_ENDPOINT_URL": aws.url, "OMC_CONFIG": str(folder / "omc.toml"), "OMC_HOME": str(folder)}
    with upstream() as web:
        web.replies = [Reply(body=json.dumps({"dagster_version": version("dagster")}).encode())]
        found = Place(aws, make_account(clients[0]), environ, folder / "omc.toml", web, [], *clients)
        found.configure()
        yield found


@pytest.fixture
def place(moto_url: str, running_aws: LocalAws, clients: tuple[Callable[[str], Any], Aws], tmp_path: Path) -> Iterator[Place]:
    """Return a fresh account."""
    with opened_place(moto_url, running_aws, clients, tmp_path) as found:
        yield found
