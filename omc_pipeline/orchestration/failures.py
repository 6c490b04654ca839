"""The one place where OMC's failures become Dagster's: a rerun where it helps, red at once where it does not.

Dagster has three retry mechanisms (op retry policies, run retries, ``RetryRequested``). Only ``RetryRequested`` is used: a
permanent failure that another mechanism does not know of would be tried again for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from omc_infra.errors import OmcError, PermanentError, RetryableError
from omc_infra.logs import redact

MAX_RETRIES = 2
_DEFAULT_WAIT_S = 5.0
_LONGEST_WAIT_S = 60.0


@contextmanager
def told_to_dagster() -> Iterator[None]:
    """Translate failures raised in the body.

    Raises:
        dagster.RetryRequested: For ``RetryableError``, after the wait that was asked for, at most a minute.
        dagster.Failure: For ``PermanentError``, without retries.
    """
    try:
        yield
    except RetryableError as error:
        wait_s = min(error.retry_after_s or _DEFAULT_WAIT_S, _LONGEST_WAIT_S)
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait_s) from error
    except PermanentError as error:
        raise dg.Failure(description=redact(str(error)), metadata=_metadata(error), allow_retries=False) from error


def _metadata(error: OmcError) -> dict[str, dg.MetadataValue]:
    return {"failure": dg.MetadataValue.text(type(error).__name__), "help": dg.MetadataValue.path("docs/how-to/when-a-source-breaks.md")}
