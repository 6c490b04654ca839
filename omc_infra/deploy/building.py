"""Build the image of a commit and push it, with docker buildx or buildah; its digest is what the registry was given."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from pathlib import Path

from omc_infra.deploy.context import Context
from omc_infra.deploy.failures import GateRefusedError
from omc_infra.errors import ConfigurationError
from omc_infra.terminal import one_line

_LOGIN_S, _BUILD_S = 120, 7200
_REVISION_LABEL = "org.opencontainers.image.revision"


def build_and_push(context: Context, commit: str, project: Path) -> str:
    """Build the image of a commit, push it with the commit as its tag, and return its digest.

    Args:
        context: Of the deployment.
        commit: What ``project`` holds.
        project: Folder that is built.

    Raises:
        GateRefusedError: The build or the push failed.
        ConfigurationError: The Dockerfile or the builder's command is missing.
    """
    section = context.section
    dockerfile = project / section.dockerfile
    if not dockerfile.is_file():
        raise ConfigurationError(f"{dockerfile}: there is no such file; set `dockerfile`, or give --image REPOSITORY@sha256:...")
    tag = f"{section.repository}:{commit}"
    arguments = ["--file", str(dockerfile), "--platform", section.platform, "--label", f"{_REVISION_LABEL}={commit}", "--tag", tag]
    if section.base_image:
        arguments += ["--build-arg", f"BASE_IMAGE={section.base_image}"]
    _log_in(context)
    with tempfile.TemporaryDirectory(prefix="omc-build-") as folder:
        said = Path(folder) / "digest"
        if section.builder == "docker":
            _run(["docker", "buildx", "build", "--push", "--metadata-file", str(said), *arguments, str(project)])
            return str(json.loads(said.read_text())["containerimage.digest"])
        _run(["buildah", "build", *arguments, str(project)])
        _run(["buildah", "push", "--digestfile", str(said), tag, f"docker://{tag}"])
        return said.read_text().strip()


def _log_in(context: Context) -> None:
    """Log the builder in to the registry; the password goes through a pipe, never onto a command line."""
    given = context.aws.call("ecr", "get_authorization_token", registryIds=[context.section.account])
    user, _, password = base64.b64decode(given["authorizationData"][0]["authorizationToken"]).decode().partition(":")
    registry = context.section.repository.partition("/")[0]
    _run([context.section.builder, "login", "--username", user, "--password-stdin", registry], stdin=password, timeout_s=_LOGIN_S)


def _run(command: list[str], stdin: str = "", timeout_s: float = _BUILD_S) -> None:
    shown = " ".join(command[:2])
    try:
        done = subprocess.run(
            command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s, check=False
        )
    except FileNotFoundError as error:
        raise ConfigurationError(f"there is no {command[0]} on this machine; set `builder`, or give --image") from error
    except subprocess.TimeoutExpired as error:
        raise GateRefusedError(f"{shown} has not ended within {timeout_s:.0f} s") from error
    if done.returncode:
        raise GateRefusedError(f"{shown} failed with {done.returncode}: {one_line(done.stdout[-2000:])[-400:]}")
