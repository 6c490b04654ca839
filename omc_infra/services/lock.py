"""One platform per home: two daemons on one Dagster instance would both run every tick."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from omc_infra.errors import ConfigurationError
from omc_infra.private import mend_home, private_folder

CLEANING = "which ends what a killed platform left"
_CLEANED_WITHIN_S, _POLL_S = 20.0, 0.05


@contextmanager
def exclusive_platform(home: Path, purpose: str = "") -> Iterator[None]:
    """Hold the lock of a home, and close the home to other users; the lock of a killed holder is free at once.

    Args:
        home: Of the platform.
        purpose: Told to others beside the process; one that only cleans is waited for.

    Raises:
        ConfigurationError: Another process holds it.
    """
    private_folder(home)
    with (home / "platform.lock").open("a+") as handle:
        deadline = time.monotonic() + _CLEANED_WITHIN_S
        while not _is_taken(handle):
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            if CLEANING not in holder or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"a platform is already running on {home} (process {holder}); stop it, or set OMC_HOME to another folder"
                )
            time.sleep(_POLL_S)
        handle.truncate(0)
        handle.write(f"{os.getpid()} {purpose}".strip())
        handle.flush()
        mend_home(home)
        yield


def _is_taken(handle: TextIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
