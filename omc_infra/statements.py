"""What PostgreSQL refuses a statement for, where a person can do something about it, in one line.

Not here: refused connections (``address``), and a server or a disk that fails (``omc_infra.machine``).
"""

from __future__ import annotations

from omc_infra.errors import BadInputError, ConfigurationError, DatabaseUnavailableError, OmcError
from omc_infra.machine import causes, said

_NOT_MIGRATED = {"42P01", "42703", "42704", "42883", "3F000"}
"""SQLSTATEs of a table, column, type, function or schema that isn't there."""
_NO_RIGHT = "42501"
_BUSY = {"57014", "55P03", "40001", "40P01"}
"""SQLSTATEs of statements that took too long, waited too long for a lock, or lost to another transaction."""
_NO_TEXT = {"22021", "22P05"}


def statement_failure(error: BaseException) -> OmcError | None:
    """Return the failure that an error of a PostgreSQL driver stands for, also where SQLAlchemy wrapped it, or None for any other."""
    for cause in causes(error):
        state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        if isinstance(state, str):
            return _named(state, said(cause))
        if isinstance(cause, UnicodeEncodeError) and cause.reason == "surrogates not allowed":
            return BadInputError("an argument or a variable has bytes that are not UTF-8 text")
    return None


def _named(state: str, words: str) -> OmcError | None:
    if state in _NOT_MIGRATED:
        return ConfigurationError(f"the database isn't migrated to this release ({words}); run `omc db migrate`")
    if state == _NO_RIGHT:
        return ConfigurationError(f"PostgreSQL refuses: {words}; run `omc db migrate` to restore the rights of the roles")
    if state in _BUSY:
        return DatabaseUnavailableError(f"PostgreSQL cancelled a statement: {words}; try again")
    return BadInputError(f"PostgreSQL doesn't accept this text: {words}") if state in _NO_TEXT else None
