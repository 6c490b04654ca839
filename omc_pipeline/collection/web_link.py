"""Read web links from external text, without tracking parameters."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.html_text import clean_line

LONGEST_LINK = 1_000
_TRACKING = re.compile(r"(utm_|mtm_)[^=]*|fbclid|gclid", re.IGNORECASE)


def web_link(written: str) -> str:
    """Return a link without tracking parameters.

    Raises:
        ValueError: It is no http(s) address with a host, or longer than 1,000 characters.
    """
    parts = urlsplit(clean_line(written))
    if parts.scheme not in ("http", "https") or not parts.netloc or " " in parts.geturl():
        raise ValueError(f"link {one_line(written, 60)!r} is not a web address")
    kept = "&".join(pair for pair in parts.query.split("&") if pair and not _TRACKING.fullmatch(pair.partition("=")[0]))
    link = urlunsplit((parts.scheme, parts.netloc, parts.path, kept, parts.fragment))
    if len(link) > LONGEST_LINK:
        raise ValueError(f"link is longer than {LONGEST_LINK} characters")
    return link
