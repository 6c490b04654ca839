"""Ask an upstream for several resources of equal rank: one that is refused does not keep the others from being read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from omc_infra.errors import UpstreamRefusedError
from omc_infra.payload import Payload


def sweep(asks: Iterable[Callable[[], Payload]]) -> Iterator[Payload]:
    """Yield the payload of each ask.

    Any failure that concerns the upstream as a whole (down, rate limit, access denied) ends the sweep at once.

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
