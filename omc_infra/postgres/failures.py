"""What PostgreSQL refuses a statement for, where a person can do something about it, in one line.

Not here: refused connections (``address``), and a server or a disk that fails.
"""

from __future__ import annotations

from collections.abc import Iterator

from omc_infra.errors import BadInputError, ConfigurationError, DatabaseUnavailableError, OmcError

_NOT_MIGRATED = {"42P01", "42703", "42704", "42883", "3F000"}
"""SQLSTATEs of a table, column, type, function or schema that isn't there."""
_NO_RIGHT = "42501"
_BUSY = {"57014", "55P03", "40001", "40P01"}
"""SQLSTATEs of statements that took too long, waited too long for a lock, or lost to another transaction."""
_NO_TEXT = {"22021", "22P05"}


def statement_failure(error: BaseException) -> OmcError | None:
    """Return the failure that an error of a PostgreSQL driver stands for, also where SQLAlchemy wrapped it, or None for any other."""
    for cause in _causes(error):
        state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        if isinstance(state, str):
            return _named(state, _said(cause))
        if isinstance(cause, UnicodeEncodeError) and cause.reason == "surrogates not allowed":
            return BadInputError("an argument or a variable holds bytes that are no text in UTF-8")
    return None


def _named(state: str, said: str) -> OmcError | None:
    if state in _NOT_MIGRATED:
        return ConfigurationError(f"the database isn't migrated to this release ({said}); run `omc db migrate`")
    if state == _NO_RIGHT:
        return ConfigurationError(f"PostgreSQL refuses: {said}; `omc db migrate` gives the roles their rights again")
    if state in _BUSY:
        return DatabaseUnavailableError(f"PostgreSQL ended a statement: {said}; try again")
    return BadInputError(f"PostgreSQL takes no such text: {said}") if state in _NO_TEXT else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        original = getattr(found, "orig", None)
        found = original if isinstance(original, BaseException) else found.__cause__


def _said(error: BaseException) -> str:
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return " ".join(str(primary or error).split())
