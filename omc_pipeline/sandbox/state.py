"""What outlives a restart: when the account was opened, and the filings announced by hand. Lines of JSON, only ever appended."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from omc_infra.clock import parse_utc
from omc_infra.private import private_folder

Record = Mapping[str, Any]


class State:
    """Records in a file that several sandboxes may share, or in memory where there is no file."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._memory: list[Record] = []

    def records(self, kind: str) -> list[Record]:
        """Return the records of one kind, oldest first. A last line torn by a crash is passed over."""
        return [record for record in self._all() if record.get("kind") == kind]

    def append(self, compose: Callable[[list[Record]], Record]) -> Record:
        """Add the record that ``compose`` makes of those that are there, while nobody else can add one."""
        with self._alone():
            record = compose(self._all())
            if self._file is None:
                self._memory.append(record)
            else:
                _append_line(self._file, json.dumps(record))
        return record

    def opened(self, moment: datetime) -> datetime:
        """Return when the seeded account was opened; ``moment`` if that is asked for the first time."""

        def first(records: list[Record]) -> Record:
            known = [record for record in records if record.get("kind") == "opened"]
            return known[0] if known else {"kind": "opened", "at": moment.isoformat()}

        known = self.records("opened")
        return parse_utc((known[0] if known else self.append(first))["at"])

    def _all(self) -> list[Record]:
        if self._file is None:
            return list(self._memory)
        if not self._file.exists():
            return []
        return [record for line in self._file.read_text("utf-8", "replace").splitlines() for record in _parsed(line)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._file is None:
            yield
            return
        private_folder(self._file.parent)
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _append_line(file: Path, line: str) -> None:
    with os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "ab+") as out:
        end = out.seek(0, os.SEEK_END)
        if end:
            out.seek(end - 1)
            torn = out.read(1) != b"\n"
        else:
            torn = False
        out.write(("\n" if torn else "").encode() + line.encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())


def _parsed(line: str) -> list[Record]:
    try:
        record = json.loads(line)
    except ValueError:
        return []
    return [record] if isinstance(record, dict) else []
