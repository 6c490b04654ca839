"""Check that changed code can be loaded: load each location in its own process, and report by name what can't be loaded.

A code server takes code that does not load without ending, so that the UI can show the error; its being up says nothing.
A storey names, under the entry point group ``omc.broken_parts``, a function that returns a line for each part of its location that is
left out because it does not load, such as one source among many; the entry's name is the location's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from omc_infra.private import PRIVATE_UMASK, private_folder
from omc_infra.runs.preload import PreloadError, build_location
from omc_infra.services.supervisor import as_child_of
from omc_infra.settings import PROJECT_ROOT
from omc_infra.terminal import one_line

GROUP = "omc.broken_parts"

BrokenParts = Callable[[], Sequence[str]]
"""Returns a line for each part that does not load, with its reason."""


class LoadCheck:
    """Loads locations beside their servers, and tells what came of it when it is done.

    Args:
        log: Where to the children's errors go.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._running: dict[str, subprocess.Popen[str]] = {}

    def begin(self, location: str, environ: Mapping[str, str]) -> None:
        """Start loading a location; what was being loaded of it before is given up."""
        self._end(location)
        private_folder(self._log.parent)
        with self._log.open("ab") as errors:
            self._running[location] = subprocess.Popen(
                [sys.executable, "-m", "omc_infra.services.loading", location],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=PROJECT_ROOT,
                env=dict(environ),
                start_new_session=True,
                umask=PRIVATE_UMASK,
                preexec_fn=as_child_of(os.getpid()),  # noqa: PLW1509 calls C functions only
            )

    def finished(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each location that has been loaded since the last call, and a line for each failure; none where all is well."""
        for location, process in list(self._running.items()):
            if process.poll() is None:
                continue
            said, _ = process.communicate()
            del self._running[location]
            try:
                failures: list[str] = json.loads(said.strip().rpartition("\n")[2])
            except ValueError:
                failures = [f"{location} does not load; see {self._log}"]
            yield location, failures

    def stop(self) -> None:
        """Give up what is being loaded."""
        for location in list(self._running):
            self._end(location)

    def _end(self, location: str) -> None:
        process = self._running.pop(location, None)
        if process is not None:
            process.kill()
            process.communicate()


def load_failures(location: str) -> list[str]:
    """Load a location here, and return a line for each failure."""
    failures: list[str] = []
    try:
        build_location(f"{location}.definitions")
    except PreloadError as error:
        failures.append(one_line(str(error)))
    for entry in entry_points(group=GROUP, name=location):
        parts: BrokenParts = entry.load()
        failures += map(one_line, parts())
    return failures


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(load_failures(sys.argv[1])) + "\n")
