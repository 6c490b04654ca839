"""End a platform's processes after the platform itself was killed: a watcher process holds the other end of a pipe.

A killed process can't clean up, but the kernel closes its files: the watcher, a shell that waits for a line, then reads the end of
the pipe and becomes ``python -m omc_infra.services.orphans``. On Linux the direct children are killed by the kernel as well, sooner;
runs, the warm server and other systems have the watcher alone. It needs no folder, so it works also where the home was removed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omc_infra.errors import ConfigurationError
from omc_infra.postgres import embedded
from omc_infra.services.leftovers import MARK, end_leftovers
from omc_infra.services.lock import CLEANING, exclusive_platform
from omc_infra.signals import default_signals

_WAIT = 'trap \'\' HUP INT TERM; read -r word; [ "$word" = done ] || exec "$@"'
_DONE = b"done\n"


@contextmanager
def ended_with_us(home: Path) -> Iterator[None]:
    """Have every marked process of a home ended if this process dies within the block; a block that ends by itself has ended them."""
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", _WAIT, "sh", sys.executable, "-m", "omc_infra.services.orphans", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={name: value for name, value in os.environ.items() if name != MARK and not name.startswith("OMC_")},
        start_new_session=True,
        preexec_fn=default_signals,  # noqa: PLW1509 system calls only
    )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            watcher.communicate(_DONE)


def end_orphans(home: Path) -> int:
    """End what a killed platform left on a home, its PostgreSQL too where nobody else uses it, unless another platform has started there.

    Returns:
        How many processes were ended, PostgreSQL's not counted.
    """
    if not home.is_dir():
        return end_leftovers(home)
    try:
        with exclusive_platform(home, CLEANING):
            ended = end_leftovers(home)
    except ConfigurationError:  # the new platform has ended them at its start
        return 0
    embedded.stop(home)
    return ended


if __name__ == "__main__":
    end_orphans(Path(sys.argv[1]))
