"""A disk of a few megabytes, to be filled; used by the tests of full and read-only disks."""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from omc_infra.postgres import embedded


@contextmanager
def small_disk(folder: Path, size_mb: int, *options: str) -> Iterator[Path]:
    """Mount a small disk in memory on a folder; a test that may not is skipped, loudly."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size_mb}m", "mode=0700", *options]), "tmpfs", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False) if os.geteuid() == 0 else None
    if done is None or done.returncode:
        warnings.warn("SKIPPED for want of a mount: tests of full and read-only disks", stacklevel=1)
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip() if done else 'not root'}")
    try:
        yield folder
    finally:
        if "ro" not in options:
            free(folder)
            embedded.stop(folder, force=True)
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave_kb: int = 0) -> None:
    """Fill a disk but for a few kilobytes."""
    found = os.statvfs(folder)
    rest = found.f_bavail * found.f_frsize - leave_kb * 1024
    with (folder / "filling").open("ab", buffering=0) as file:
        try:
            while rest > 0:
                rest -= file.write(b"\0" * min(rest, 1 << 20))
        except OSError:
            return


def free(folder: Path) -> None:
    """Give the room back."""
    (folder / "filling").unlink(missing_ok=True)
