"""Translate OMC's errors to Dagster's: retry if a rerun may help, else fail at once. The only place that does.

Dagster has three retry mechanisms. OMC uses ``RetryRequested``. Retry policies of ops respect ``allow_retries=False``.
Retries of whole runs ignore it, so ``dagster.yaml`` disables them for runs with a failed step, even if a run is tagged
with a number of retries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from omc_infra.errors import OmcError, PermanentError, RetryableError
from omc_infra.logs import redact

MAX_RETRIES = 2
LONGEST_WAIT_S = 60.0
"""A run that waits longer holds its place in the queue for nothing; the next tick asks again when the upstream allows it."""
_DEFAULT_WAIT_S = 5.0


@contextmanager
def translate_failures() -> Iterator[None]:
    """Translate errors raised in the block.

    Raises:
        dagster.RetryRequested: For ``RetryableError``, after exactly the wait that was asked for.
        dagster.Failure: For ``PermanentError``, and for a wait longer than ``LONGEST_WAIT_S``; no mechanism of Dagster retries it.
    """
    try:
        yield
    except RetryableError as error:
        wait_s = _DEFAULT_WAIT_S if error.retry_after_s is None else error.retry_after_s
        if wait_s > LONGEST_WAIT_S:
            raise _failure(error) from error
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait_s) from error
    except PermanentError as error:
        raise _failure(error) from error


def _failure(error: OmcError) -> dg.Failure:
    return dg.Failure(description=redact(str(error)), metadata=_metadata(error), allow_retries=False)


def _metadata(error: OmcError) -> dict[str, dg.MetadataValue]:
    found: dict[str, dg.MetadataValue] = {
        "failure": dg.MetadataValue.text(type(error).__name__),
        "help": dg.MetadataValue.path("docs/how-to/when-a-source-breaks.md"),
    }
    if isinstance(error, RetryableError) and error.retry_after_s is not None:
        found["retry_after_s"] = dg.MetadataValue.float(float(error.retry_after_s))
    return found
