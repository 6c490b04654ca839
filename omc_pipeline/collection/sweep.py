"""Fetch several independent resources of an upstream: a refused one doesn't stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from omc_infra.errors import OmcError, RetryableError, UpstreamRefusedError, UpstreamUnavailableError
from omc_infra.payload import Payload


def sweep(asks: Iterable[Callable[[], Payload]]) -> Iterator[Payload]:
    """Yield the payload of each ask.

    An error of the whole upstream (down, rate limit, access denied) ends the sweep at once.

    Raises:
        UpstreamRefusedError: After all were asked, the first refusal of a single resource.
    """
    refused: UpstreamRefusedError | None = None
    for ask in asks:
        try:
            payload = ask()
        except UpstreamRefusedError as error:
            refused = refused or error
            continue
        yield payload
    if refused is not None:
        raise refused


def sweep_each(asks: Mapping[str, Callable[[], Payload]]) -> Iterator[Payload]:
    """Yield the payload of each request, where the errors are independent: different hosts, private forums.

    Args:
        asks: By the name that a message gives it.

    Raises:
        UpstreamUnavailableError: After all were asked, some failed and some did not: what failed is asked again with the next collection,
            so that the failure of one never counts as that of all.
        OmcError: All failed; the first failure.
    """
    failures: dict[str, OmcError] = {}
    for name, ask in asks.items():
        try:
            payload = ask()
        except OmcError as error:
            failures[name] = error
            continue
        yield payload
    if not failures:
        return
    first = next(iter(failures.values()))
    if len(failures) == len(asks):
        raise first
    details = "; ".join(f"{name}: {error}" for name, error in failures.items())
    wait_s = first.retry_after_s if isinstance(first, RetryableError) else None
    raise UpstreamUnavailableError(f"{len(failures)} of {len(asks)} failed: {details}", retry_after_s=wait_s) from first
