"""Health and version of what was deployed, asked from outside, through the load balancer."""

from __future__ import annotations

import json
from importlib.metadata import version
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from omc_infra.deploy.context import Context, Target
from omc_infra.deploy.failures import RolloutError
from omc_infra.terminal import one_line

_TIMEOUT_S = 10.0
_LONGEST_BODY = 65_536
_VERSION_PATH, _VERSION_KEY = "/server_info", "dagster_version"


def require_health(context: Context) -> str:
    """Ask every service that has an address until it is healthy, and return what was asked.

    Raises:
        RolloutError: One is not healthy in time, or runs another version of Dagster than this one.
    """
    urls = context.section.health_urls
    asked = [(target, urls[target.spec.name]) for target in context.targets if target.spec.name in urls]
    for target, url in asked:
        wrong: str | None = "not asked"
        for _ in context.looks(context.section.health_timeout_s):
            wrong = problem(target, url)
            if wrong is None:
                break
        if wrong is not None:
            raise RolloutError(f"{target.spec.name} is not healthy after {context.section.health_timeout_s:.0f} s: {wrong}")
    return ", ".join(f"{url}{target.health_path}" for target, url in asked) or "no service has an address"


def problem(target: Target, base: str) -> str | None:
    """Return what is wrong with a service in one line, or None. A redirect counts as wrong: it leads to the login."""
    url = f"{base}{target.health_path}"
    try:
        with build_opener(_Stay).open(Request(url, headers={"Accept": "application/json"}), timeout=_TIMEOUT_S) as answer:  # noqa: S310 checked
            body = answer.read(_LONGEST_BODY)
    except HTTPError as error:
        return f"{url} answers {error.code}" + (f", a redirect to {_host(error)}" if error.code in range(300, 400) else "")
    except (URLError, OSError) as error:
        return f"{url} does not answer: {one_line(getattr(error, 'reason', error))[:200]}"
    return _other_version(url, body) if target.health_path == _VERSION_PATH else None


def _other_version(url: str, body: bytes) -> str | None:
    try:
        found = json.loads(body)[_VERSION_KEY]
    except (ValueError, TypeError, KeyError):
        return f"{url} does not say its {_VERSION_KEY}"
    expected = version("dagster")
    return None if found == expected else f"{url} runs Dagster {one_line(found)[:40]}, and {expected} was deployed"


def _host(error: HTTPError) -> str:
    return one_line(urlsplit(error.headers.get("Location", "")).netloc)[:100] or "itself"


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow no redirect."""
