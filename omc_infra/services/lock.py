"""One platform a home: two daemons on one Dagster instance would each answer every tick."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omc_infra.errors import ConfigurationError


@contextmanager
def exclusive_platform(home: Path) -> Iterator[None]:
    """Hold the home's platform lock; a killed holder's lock is free at once.

    Raises:
        ConfigurationError: Another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "platform.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise ConfigurationError(
                f"a platform already runs on {home} (process {holder}); stop it, or set OMC_HOME to another folder"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
