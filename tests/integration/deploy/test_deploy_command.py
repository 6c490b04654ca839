"""`omc deploy` and `omc rollback` as commands: exit codes, JSON, one line for bad input; the builders; the wrapper."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aws_account import COMMIT, OLD_COMMIT, REPOSITORY
from conftest import Place

from omc_infra.deploy.building import build_and_push
from omc_infra.deploy.failures import GateRefusedError
from omc_infra.errors import ConfigurationError
from omc_infra.settings import PROJECT_ROOT

OMC = Path(sys.executable).parent / "omc"


def omc(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([OMC, *arguments], env=place.environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_a_refused_deployment_ends_with_1_and_a_json_document(place: Place) -> None:
    ran = omc(place, "deploy", "staging", "--commit", COMMIT, "--tests-passed-for", OLD_COMMIT, "--json")

    document = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert document["state"] == "refused"
    assert document["reason"].startswith("tests: the tests passed for bbbbbbbbbbbb")
    assert "[1/" in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "arguments", "said"),
    [
        ({}, ("deploy", "staging", "--image", f"{REPOSITORY}:latest"), "an image is named as"),
        ({}, ("deploy", "production", "--status"), "deploy.production: set region, account, cluster"),
        ({"account": "999999999999"}, ("rollback", "staging"), "the keys are of account 123456789012, and staging is in 999999999999"),
    ],
)
def test_bad_input_ends_with_2_and_one_line(place: Place, options: dict[str, str], arguments: tuple[str, ...], said: str) -> None:
    place.configure(**options)

    ran = omc(place, *arguments)

    assert ran.returncode == 2
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("builder", ["docker", "buildah"])
def test_an_image_is_built_with_its_commit_and_pushed_with_the_password_on_stdin(
    place: Place, builder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder is a stand-in that notes what it is asked: no registry can be reached here."""
    digest, noted = f"sha256:{'c' * 64}", tmp_path / "noted"
    said = json.dumps({"containerimage.digest": digest}) if builder == "docker" else digest
    tool = tmp_path / builder
    tool.write_text(
        f"#!/bin/bash\necho \"$@\" >> {noted}\nif [ \"$1\" = login ]; then cat >> {noted}; fi\n"
        f"while [ $# -gt 0 ]; do case $1 in --metadata-file|--digestfile) echo '{said}' > \"$2\";; esac; shift; done\n"
    )  # fmt: skip
    tool.chmod(0o755)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    place.configure(builder=builder, base_image="python:3.11-slim")

    pushed = build_and_push(place.context(), COMMIT, tmp_path)

    login, rest = noted.read_text().split("\n", 1)
    assert pushed == digest
    assert login == f"login --username AWS --password-stdin {REPOSITORY.partition('/')[0]}"
    assert "auth-token" in rest
    assert f"--label org.opencontainers.image.revision={COMMIT} --tag {REPOSITORY}:{COMMIT} --build-arg BASE_IMAGE=python:3.11-slim" in rest


def test_a_build_that_fails_refuses_and_a_missing_builder_is_named(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    place.configure(builder="buildah")

    with pytest.raises(ConfigurationError, match="there is no buildah on this machine"):
        build_and_push(place.context(), COMMIT, tmp_path)
    (tmp_path / "buildah").write_text("#!/bin/sh\necho no space left; exit 3\n")
    (tmp_path / "buildah").chmod(0o755)
    with pytest.raises(GateRefusedError, match="buildah login failed with 3: no space left"):
        build_and_push(place.context(), COMMIT, tmp_path)


def test_the_wrapper_installs_and_hands_its_arguments_on(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / "scripts/deploy.sh", tmp_path / "scripts")
    (tmp_path / "Makefile").write_text("setup:\n\t@true\n")
    for name in ("uv", "omc"):
        (tmp_path / ".venv/bin" / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (tmp_path / ".venv/bin" / name).chmod(0o755)

    ran = subprocess.run([tmp_path / "scripts/deploy.sh", "staging", "--plan"], capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout.splitlines() == ["uv sync --quiet --locked --inexact --no-dev --extra aws", "omc deploy staging --plan"]
