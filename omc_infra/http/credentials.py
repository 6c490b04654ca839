"""Apply a declared kind of authentication to each attempt of a request."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pydantic import SecretStr

from omc_infra.clock import Clock
from omc_infra.errors import AccessDeniedError, NotConfiguredError, UpstreamRefusedError
from omc_infra.http.auth import Auth, HeaderKey, OAuth2ClientCredentials, QueryKey, SignedBody, SignedRequest, SignRequest
from omc_infra.http.failures import failure, retry_after_s
from omc_infra.http.redaction import Redactor

if TYPE_CHECKING:
    from omc_infra.http.wire import Answer

_MARGIN_S = 30.0
"""A token is fetched anew so long before it ends, or a tenth of its lifetime where that is shorter."""
_TOKEN_NAMES = ("access_token", "refresh_token", "id_token")

Nonces = Callable[[], int]
AskToken = Callable[[OAuth2ClientCredentials, bytes, Mapping[str, str], float], "Answer"]
"""Send the form of a token request with its headers within a deadline; nothing of it may be stored or logged."""


@dataclass(frozen=True)
class Proven:
    """What one attempt sends; it contains keys, so it must not be stored or logged."""

    url: str
    content: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def keys_in_clear(source: str, auth: Auth, keys: Mapping[str, SecretStr]) -> dict[str, str]:
    """Return the keys that a kind of authentication needs.

    Raises:
        NotConfiguredError: One is missing.
    """
    missing = [name for name in auth.key_names if name not in keys or not keys[name].get_secret_value()]
    if missing:
        raise NotConfiguredError(f"{source} is not configured: set {' and '.join(f'OMC_KEY_{name.upper()}' for name in missing)}")
    return {name: keys[name].get_secret_value() for name in auth.key_names}


class Credentials:
    """The authentication of one policy, for the life of a client.

    Args:
        auth: The declared kind.
        keys: Its keys in clear.
        redactor: Learns what is obtained.
        clock: Source of nonces.
        ask_token: Sends a token request.
        nonce: Gives the nonce of each signed request; None: the clock does.
    """

    def __init__(
        self, auth: Auth, keys: Mapping[str, str], redactor: Redactor, clock: Clock, ask_token: AskToken, nonce: Nonces | None = None
    ) -> None:
        self._auth, self._keys, self._redactor, self._clock, self._ask_token = auth, keys, redactor, clock, ask_token
        self._nonce, self._last_nonce = nonce, 0
        self._token: tuple[str, float] | None = None

    def applied(
        self, url: str, content: bytes | None, deadline: float, base_url: str = "", sign_request: SignRequest | None = None
    ) -> Proven:
        """Add the authentication; fetch a token if there is no valid one.

        Args:
            url: Whole URL.
            content: Body, or None.
            deadline: Of ``time.monotonic``, for a token request.
            base_url: What the URL begins with; a signed target follows it.
            sign_request: How this one is signed, for ``SignedRequest``.

        Raises:
            OmcError: The token request failed.
        """
        match self._auth:
            case HeaderKey(header, key, prefix):
                return Proven(url, content, {header: f"{prefix}{self._keys[key]}"})
            case QueryKey(parameter, key):
                return Proven(_with_parameter(url, parameter, self._keys[key]), content)
            case SignedBody(_, sign):
                signed, headers = sign(content or b"", self._keys, self._next_nonce())
                return Proven(url, signed, headers)
            case SignedRequest() if sign_request is not None:
                parts = sign_request(self._keys, self._next_nonce())
                return Proven(f"{base_url}{parts.target}", parts.content, parts.headers)
            case OAuth2ClientCredentials():
                return Proven(url, content, {"Authorization": f"Bearer {self._valid_token(self._auth, deadline)}"})
        return Proven(url, content)

    def _next_nonce(self) -> int:
        given = int(self._clock().timestamp() * 1000) if self._nonce is None else self._nonce()
        self._last_nonce = max(given, self._last_nonce + 1)
        return self._last_nonce

    def forget_token(self) -> bool:
        """Drop the refused token; return whether there was one, so that another attempt with a new token makes sense."""
        had, self._token = self._token is not None, None
        return had

    def _valid_token(self, auth: OAuth2ClientCredentials, deadline: float) -> str:
        if self._token is None or time.monotonic() >= self._token[1]:
            self._token = self._fetched_token(auth, deadline)
        return self._token[0]

    def _fetched_token(self, auth: OAuth2ClientCredentials, deadline: float) -> tuple[str, float]:
        form = {"grant_type": "client_credentials", **({"scope": auth.scope} if auth.scope else {})}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        client_id, secret = self._keys[auth.client_id], self._keys[auth.client_secret]
        if auth.credentials_in == "body":
            form |= {"client_id": client_id, "client_secret": secret}
        else:
            basic = base64.b64encode(f"{quote(client_id, safe='')}:{quote(secret, safe='')}".encode()).decode()
            self._redactor.learn(basic)
            headers["Authorization"] = f"Basic {basic}"
        answer = self._ask_token(auth, urlencode(form).encode(), headers, deadline)
        _refuse(answer, self._clock)
        document = _document(answer.body)
        self._redactor.learn(*(document[name] for name in _TOKEN_NAMES if isinstance(document.get(name), str)))
        token = document.get("access_token")
        if not isinstance(token, str) or not token:
            raise UpstreamRefusedError("the token endpoint gave no access_token")
        return token, time.monotonic() + _usable_s(document.get("expires_in"))


def _refuse(answer: Answer, clock: Clock) -> None:
    """Raise the error of a refused token request; the answer may contain the secret, so no part of it is shown."""
    details = f"the token request was answered {answer.status}"
    if answer.status in (400, 401):
        raise AccessDeniedError(f"{details}: check client id and secret")
    refused = failure(answer.status, details, retry_after_s(answer.headers.get("retry-after"), clock()))
    if refused:
        raise refused


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        raise UpstreamRefusedError("the token endpoint's answer is not JSON") from None
    return document if isinstance(document, dict) else {}


def _usable_s(expires_in: object) -> float:
    """Return the seconds for which a token is used; one without a lifetime until it is refused."""
    try:
        lifetime_s = float(str(expires_in))
    except ValueError:
        return float("inf")
    return max(0.0, lifetime_s - min(_MARGIN_S, lifetime_s / 10))


def _with_parameter(url: str, parameter: str, key: str) -> str:
    if any(name == parameter for name, _ in parse_qsl(urlsplit(url).query)):
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode({parameter: key})}"
