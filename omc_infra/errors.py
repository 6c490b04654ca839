"""Every failure OMC names, in one tree. Its first question is: does a rerun help?

::

    OmcError
    ├── RetryableError                 a rerun may help
    │   ├── RateLimitedError           asked too fast; wait ``retry_after_s``
    │   ├── UpstreamUnavailableError   5xx, refused connection, time-out
    │   ├── DatabaseUnavailableError   PostgreSQL does not answer
    │   └── MachineError               a disk, a folder or a limit of this machine, or of the database's
    └── PermanentError                 a rerun gives the same answer
        ├── ConfigurationError         a setting is wrong
        ├── BadInputError              a file or an argument is wrong
        ├── NotConfiguredError         a source lacks its key
        ├── AccessDeniedError          401, 403, a refused signature
        ├── QuotaExhaustedError        the plan's calls or credits are used up
        ├── UpstreamRefusedError       the upstream answered with an error of its own
        └── PayloadChangedError        the body is not of the shape the parser knows

Two places translate: ``omc_infra.http`` from HTTP status to this tree, each storey's ``orchestration.failures`` from this
tree to Dagster.
"""

from __future__ import annotations

from typing import ClassVar


class OmcError(Exception):
    """Base of all failures raised on purpose; the message is one line for a person."""

    retryable: ClassVar[bool] = False

    def as_document(self) -> dict[str, object]:
        """Answer the shape that ``--json`` prints: type, message, retryable."""
        return {"error": {"type": type(self).__name__, "message": str(self), "retryable": self.retryable}}


class RetryableError(OmcError):
    """A rerun may help; ``retry_after_s`` is the wait the other side asked for, or None."""

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimitedError(RetryableError):
    """The upstream asked us to slow down."""


class UpstreamUnavailableError(RetryableError):
    """The upstream is down, unreachable or too slow."""


class DatabaseUnavailableError(RetryableError):
    """PostgreSQL does not answer."""


class MachineError(RetryableError):
    """A disk is full or read-only, or a limit of the machine is reached; a rerun helps once that is mended."""


class PermanentError(OmcError):
    """A rerun gives the same answer."""


class ConfigurationError(PermanentError):
    """A setting is wrong."""


class BadInputError(PermanentError):
    """A file or an argument is wrong."""


class NotConfiguredError(PermanentError):
    """A source lacks its key; it is shown as such and never collected as empty."""


class AccessDeniedError(PermanentError):
    """The upstream refuses us: key, signature, plan or ban."""


class QuotaExhaustedError(PermanentError):
    """The plan's calls or credits are used up; it will not pass within a run."""


class UpstreamRefusedError(PermanentError):
    """The upstream answered with an error of its own."""


class PayloadChangedError(PermanentError):
    """The body is not of the shape the parser knows; it stays in the raw store for ``omc replay``."""
