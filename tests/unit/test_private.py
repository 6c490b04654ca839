"""A home is its owner's alone: made so, and mended where it was made before."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from omc_infra.private import mend_home, private_folder
from omc_infra.settings import PROJECT_ROOT

OMC = str(Path(sys.executable).parent / "omc")


def mode(path: Path) -> str:
    return format(stat.S_IMODE(path.lstat().st_mode), "o")


def made_open(home: Path) -> Path:
    """Make a home as homes were made: readable by everybody."""
    old = os.umask(0o022)
    try:
        (home / "logs").mkdir(parents=True)
        (home / "logs" / "sandbox.log").write_text("said")
        (home / "sandbox").mkdir()
        (home / "sandbox" / "state.jsonl").write_text("{}\n")
        (home / "dagster" / "sandbox" / "storage" / "a-run").mkdir(parents=True)
        (home / "dagster" / "sandbox" / "storage" / "a-run" / "step.out").write_text("printed")
        (home / "run.sh").write_text("#!/bin/sh\n")
        (home / "run.sh").chmod(0o755)
        (home / "postgres" / "data").mkdir(parents=True)
        (home / "elsewhere").symlink_to(home.parent)
    finally:
        os.umask(old)
    return home


def test_an_open_home_is_closed_to_others_with_everything_in_it_but_the_servers_folder(tmp_path: Path) -> None:
    home = made_open(tmp_path / "home")
    before = mode(tmp_path), mode(home / "postgres")

    assert mend_home(home) > 0

    assert mode(home) == mode(home / "logs") == mode(home / "dagster" / "sandbox" / "storage" / "a-run") == "700"
    assert mode(home / "logs" / "sandbox.log") == mode(home / "sandbox" / "state.jsonl") == "600"
    assert mode(home / "dagster" / "sandbox" / "storage" / "a-run" / "step.out") == "600"
    assert mode(home / "run.sh") == "700"
    assert (mode(tmp_path), mode(home / "postgres")) == before
    assert mend_home(home) == 0


def test_a_walk_that_was_cut_is_repeated_since_the_home_is_closed_last(tmp_path: Path) -> None:
    home = made_open(tmp_path / "home")
    (home / "logs").chmod(0o700)

    mend_home(home)

    assert mode(home / "logs" / "sandbox.log") == "600"


def test_others_still_pass_a_home_to_a_server_that_belongs_to_another_user(tmp_path: Path) -> None:
    home = made_open(tmp_path / "home")
    if os.geteuid() == 0:
        os.chown(home / "postgres", 65534, 65534)

    mend_home(home)

    assert mode(home) == ("711" if os.geteuid() == 0 else "700")


def test_folders_that_are_made_are_private(tmp_path: Path) -> None:
    assert mode(private_folder(tmp_path / "new")) == "700"


def test_what_a_command_writes_is_private_whatever_the_shells_umask(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = f"umask 000; exec timeout 10 {OMC} sandbox serve --announce-port {home}/port"

    process = subprocess.Popen(["sh", "-c", command], env={**os.environ, "OMC_HOME": str(home)}, cwd=PROJECT_ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    found = {str(path.relative_to(home)): mode(path) for path in home.rglob("*")}
    process.terminate()
    process.wait()

    assert mode(home) == "700"
    assert found.get("sandbox/state.jsonl") == "600"
    assert set(found.values()) <= {"600", "700"}
