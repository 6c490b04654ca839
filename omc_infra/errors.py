"""All errors of OMC in one class tree. The first branch says whether a rerun may help.

::

    OmcError
    ├── RetryableError                 a rerun may help
    │   ├── RateLimitedError           too many requests; wait ``retry_after_s``
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
    """Base of all errors that OMC raises on purpose; the message is one line for the user."""

    retryable: ClassVar[bool] = False
    advice: ClassVar[str] = "Read the message; it names what failed and with which value."
    """What a person does about it; every class says its own, and ``docs/reference/errors.md`` shows it."""

    def as_document(self) -> dict[str, object]:
        """Return the shape that ``--json`` prints: type, message, retryable."""
        return {"error": {"type": type(self).__name__, "message": str(self), "retryable": self.retryable}}


class RetryableError(OmcError):
    """A rerun may help; ``retry_after_s`` is the wait the other side asked for, or None."""

    retryable = True
    advice = "Wait and run it again; Dagster does so by itself."

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimitedError(RetryableError):
    """The upstream asked us to slow down."""

    advice = "Nothing: it is asked again after the wait. If it comes back often, ask for less: fewer items in its section of `omc.toml`."


class UpstreamUnavailableError(RetryableError):
    """The upstream is down, unreachable or too slow."""

    advice = "Nothing for a short outage: it is asked again. If it stays, look at the upstream's status page and at your network or proxy."


class DatabaseUnavailableError(RetryableError):
    """PostgreSQL does not answer."""

    advice = "See what `omc db status` says. With a server of your own, check that it runs and that `OMC_DATABASE_URL` is right."


class MachineError(RetryableError):
    """A disk is full or read-only, or a limit of the machine is reached; a rerun helps after that is fixed."""

    advice = "Make room on the disk, or point `OMC_HOME` to a folder that you may write; then run the command again."


class PermanentError(OmcError):
    """A rerun gives the same answer."""

    advice = "Change what the message names; the same run would fail again."


class ConfigurationError(PermanentError):
    """A setting is wrong."""

    advice = "Correct the variable, the line of `omc.toml` or the file that the message names; `omc config check` says when all is well."


class BadInputError(PermanentError):
    """A file or an argument is wrong."""

    advice = "Correct the file or the argument that the message names; the command's `--help` shows what is allowed."


class NotConfiguredError(PermanentError):
    """A source lacks its key; it is shown as such and never collected as empty."""

    advice = "Set the key that the message names (`OMC_KEY_<NAME>`), or leave the source out; `omc sources list` says where to get keys."


class AccessDeniedError(PermanentError):
    """The upstream refuses us: key, signature, plan or ban."""

    advice = "Check that the key is right, not expired, and that its plan and its list of allowed addresses include this use."


class QuotaExhaustedError(PermanentError):
    """The plan's calls or credits are used up; it will not pass within a run."""

    advice = "Wait for the next period of the plan, take a larger plan, or ask for less."


class UpstreamRefusedError(PermanentError):
    """The upstream answered with an error of its own."""

    advice = (
        "Read the message: it is the upstream's own. A symbol or an issuer that it does not know is removed from the source's "
        "section of `omc.toml`."
    )


class PayloadChangedError(PermanentError):
    """The body is not of the shape the parser knows; it stays in the raw store for ``omc replay``."""

    advice = "Correct the parser, then read the stored bodies again with `omc replay`: docs/how-to/when-a-source-breaks.md."
