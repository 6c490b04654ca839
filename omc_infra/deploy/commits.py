"""Which commit is deployed, and whether all tests passed for it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from omc_infra.deploy.failures import GateRefusedError
from omc_infra.errors import BadInputError
from omc_infra.terminal import one_line

_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)
_LONGEST_RECORD = 1000
_GIT_S = 60


def full_sha(written: str) -> str:
    """Check that a text is the full id of a commit, and return it.

    Raises:
        BadInputError: It isn't.
    """
    if not _SHA.fullmatch(written):
        raise BadInputError(f"{one_line(written)[:80]!r} is no commit; give all 40 hexadecimal digits, as `git rev-parse HEAD` prints them")
    return written


def current_commit(project: Path) -> str:
    """Return the commit that is checked out in a folder.

    Raises:
        BadInputError: It is no repository of git.
    """
    return full_sha(_git(project, "rev-parse", "HEAD"))


def require_files_of(commit: str, project: Path) -> None:
    """Check that the files of a folder are those of a commit.

    Raises:
        GateRefusedError: They are not: an image built from them would not be the commit that was tested.
    """
    if (found := current_commit(project)) != commit:
        raise GateRefusedError(f"{found[:12]} is checked out, and an image of {commit[:12]} would be built; check it out, or give --image")
    if changed := _git(project, "status", "--porcelain"):
        raise GateRefusedError(f"{len(changed.splitlines())} files differ from the commit; commit or remove them, then deploy")


def require_tests(commit: str, passed_for: str | None, record: Path) -> str:
    """Check that all tests passed for a commit, and return who says so.

    Args:
        commit: That is deployed.
        passed_for: Commit for which the caller says that they passed, as CI does after its test job; None: the file counts.
        record: File that holds the commit for which they passed.

    Raises:
        GateRefusedError: Nobody says so, or they passed for another commit.
    """
    if passed_for is None:
        try:
            with record.open(encoding="utf-8", errors="replace") as file:
                found = file.read(_LONGEST_RECORD).strip()
        except OSError as error:
            raise GateRefusedError(
                f"nothing says that the tests passed for {commit[:12]}: {record}: {error.strerror}; run the tests, then "
                f"`git rev-parse HEAD > {record.name}`"
            ) from error
    else:
        found = passed_for
    if found != commit:
        said = one_line(found)[:12] or "nothing"
        raise GateRefusedError(f"the tests passed for {said}, and {commit[:12]} is deployed; run them for this commit")
    return "as --tests-passed-for says" if passed_for else f"as {record.name} says"


def _git(project: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, text=True, timeout=_GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInputError(f"git can't be asked for the commit ({error}); give --commit SHA") from error
    if done.returncode:
        raise BadInputError(f"{project}: git: {one_line(done.stderr)[:200]}; give --commit SHA")
    return done.stdout.strip()
