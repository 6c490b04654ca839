"""Where a request comes from, judged by its headers alone.

Cookies ignore ports, so another server on the same machine gets ours and a page of it counts as *same site*. A request that may
change something must therefore come from exactly the origin that serves the UI.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def trusted_hosts(port: int, names: Collection[str] = ()) -> frozenset[str]:
    """Return the values of ``Host`` under which the UI may be asked: this machine at its port, and further names as given."""
    return frozenset({*(f"{name}:{port}" for name in LOOPBACK_NAMES), *(name.lower() for name in names)})


def is_same_origin(headers: Mapping[str, str], host: str) -> bool:
    """Return whether a page of our own origin sent a request.

    Args:
        headers: By lower-case name.
        host: Value of ``Host``, already trusted.

    Returns:
        True where ``Origin`` names exactly this host, or where there is no ``Origin`` and the browser says *same-origin*. Without
        either nobody vouches for the request, and it is False.
    """
    origin = headers.get("origin")
    if origin is not None:
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host
    return headers.get("sec-fetch-site") == "same-origin"


def is_embedded_elsewhere(headers: Mapping[str, str]) -> bool:
    """Return whether a page of another origin loads this as a part of itself: an image, a script, a frame, a fetch."""
    site = headers.get("sec-fetch-site", "none")
    is_visit = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
    return site not in ("same-origin", "none") and not is_visit
