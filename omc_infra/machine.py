"""Recognize failures of the machine: a full disk, a read-only folder, a limit, a lost connection to PostgreSQL.

They reach us as ``OSError``, or as an error of a PostgreSQL driver, often wrapped by SQLAlchemy or Dagster.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from omc_infra.errors import DatabaseUnavailableError, MachineError, OmcError

_OF_THE_MACHINE = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ENAMETOOLONG,
    errno.EMFILE, errno.ENFILE, errno.EIO, errno.ELOOP, errno.EFBIG, errno.EBUSY, errno.ENXIO, errno.ENOMEM, errno.EEXIST,
}  # fmt: skip
"""Failures of a disk, a folder or a limit of the machine; any other is a fault of ours and keeps its traceback."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_DISK_FULL = "53100"
_OF_THE_SERVER = ("53", "58", "25006", "XX001", "XX002")
"""Starts of SQLSTATEs: lack of resources, errors of its system, a read-only database, damaged data."""
_GONE = ("08", "57P01", "57P02", "57P03", "57P05")
"""Starts of SQLSTATEs: the connection broke, or the server ends, crashed, starts, or ended an idle session."""
_DRIVERS = ("psycopg", "psycopg2", "sqlalchemy")
_FULL_DISK_WORDS = ("No space left on device", "DiskFull", "Disk quota exceeded")


def machine_failure(error: BaseException) -> OmcError | None:
    """Return the machine failure that an exception is or was caused by, with a one-line message, or None for other exceptions."""
    for one in causes(error):
        if isinstance(one, OmcError):
            return one
        if isinstance(one, OSError) and one.errno in _OF_THE_MACHINE:
            return MachineError(f"{os.strerror(one.errno)}{_place(one)}")
        state = getattr(one, "sqlstate", None) or getattr(one, "pgcode", None)
        if isinstance(state, str) and state.startswith(_OF_THE_SERVER):
            return MachineError(f"PostgreSQL refuses: {said(one)}{'; free space on its disk' if state == _DISK_FULL else ''}")
        if (isinstance(state, str) and state.startswith(_GONE)) or (state is None and _is_lost_connection(one)):
            return DatabaseUnavailableError(f"the connection to PostgreSQL was lost: {said(one)}")
    return None


def means_full_disk(text: str) -> bool:
    """Return whether the text of an exception, such as the failure of a Dagster step, is about a full disk."""
    return any(words in text for words in _FULL_DISK_WORDS)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its explicit causes (``raise ... from``), without implicit context."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        original = getattr(found, "orig", None)
        found = original if isinstance(original, BaseException) else found.__cause__


def _place(error: OSError) -> str:
    """Name the file; a write to one that is open doesn't, and then the folder of everything OMC writes is the likely place."""
    if error.filename:
        return f": {error.filename}"
    return "; make room on the disk of OMC_HOME" if error.errno in _FULL else ""


def _is_lost_connection(error: BaseException) -> bool:
    kind = type(error)
    is_drivers = kind.__module__.partition(".")[0] in _DRIVERS
    return (
        is_drivers
        and kind.__name__ in {"OperationalError", "InterfaceError"}
        and not isinstance(getattr(error, "orig", None), BaseException)
    )


def said(error: BaseException) -> str:
    """Return what a PostgreSQL driver's error says, in one line."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return " ".join(str(primary or error).split())
