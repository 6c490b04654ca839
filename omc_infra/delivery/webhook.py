"""Our own webhook: JSON over HTTP, signed with HMAC-SHA256, in our form or in the one that Slack takes.

A receiver checks ``X-OMC-Signature``: ``v1=`` and the HMAC of ``<X-OMC-Timestamp>.<body>`` in hexadecimal; ``is_signed`` shows how.
``X-OMC-Key`` is the key of the message: a receiver that has seen it may drop the second one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from contextlib import closing
from importlib.metadata import version
from typing import Literal
from urllib.parse import urlsplit

from omc_infra.clock import utc_now
from omc_infra.delivery.message import Message
from omc_infra.errors import OmcError, UpstreamRefusedError
from omc_infra.http.failures import failure, retry_after_s
from omc_infra.terminal import one_line

Form = Literal["omc", "slack"]
LONGEST_AGE_S = 300.0
"""A receiver refuses a request whose time stamp is further away than this: it may be a repetition by somebody else."""
_DEADLINE_S, _SILENCE_S, _LONGEST_ANSWER = 20.0, 10.0, 1_000_000
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class WebhookChannel:
    """A channel that posts each message to one URL.

    Args:
        name: Of the channel; stands in failures, which never hold the URL.
        url: Where to post; it is a secret.
        form: ``omc``: the whole message; ``slack``: a text, as Slack, Mattermost and Rocket.Chat take it.
        secret: With which requests are signed; None: they are not.
    """

    def __init__(self, name: str, url: str, form: Form = "omc", secret: str | None = None) -> None:
        self.name = name
        self._url, self._form, self._secret = url, form, secret

    def send(self, message: Message) -> None:
        """Post a message.

        Raises:
            OmcError: The receiver can't be reached or refuses it.
        """
        content = json.dumps(slack_document(message) if self._form == "slack" else omc_document(message)).encode()
        headers = {"Content-Type": "application/json", "X-OMC-Key": one_line(message.key).encode("ascii", "replace").decode()}
        if self._secret:
            stamp = str(int(time.time()))
            headers |= {"X-OMC-Timestamp": stamp, "X-OMC-Signature": signature(self._secret, stamp, content)}
        ask(self.name, "POST", self._url, headers, content)


def ask(name: str, method: str, url: str, headers: dict[str, str] | None = None, content: bytes | None = None) -> None:
    """Send one request to a URL that is a secret, and demand an answer of success.

    Raises:
        OmcError: No answer, or one of failure; the message names the channel and the status, and nothing of the URL or the answer.
    """
    from omc_infra.http.wire import Wire  # httpx2 takes 0.1 s to import

    host = urlsplit(url).hostname or ""
    with closing(Wire(f"omc/{version('omc')}", loopback=host in _LOOPBACK)) as wire:
        try:
            answer = wire.ask(
                method,
                url,
                headers=headers or {},
                content=content,
                timeout_s=_SILENCE_S,
                deadline=time.monotonic() + _DEADLINE_S,
                max_bytes=_LONGEST_ANSWER,
            )
        except OmcError as error:  # its cause knows the URL
            raise type(error)(f"{name}: {str(error).replace(host, 'its host')}") from None
    said = f"{name}: answered {answer.status}"
    refused = failure(answer.status, said, retry_after_s(answer.headers.get("retry-after"), utc_now()))
    if refused is not None:
        raise refused
    if not 200 <= answer.status < 300:
        raise UpstreamRefusedError(said)


def omc_document(message: Message) -> dict[str, object]:
    """Return a message in our form; its ``text`` is what receivers of Slack's form read."""
    return {
        "key": message.key,
        "topic": message.topic,
        "severity": message.severity,
        "title": message.title,
        "body": message.body,
        "text": message.text,
        "at": message.at.isoformat(),
        "refers_to": message.refers_to,
        "document": dict(message.document),
    }


def slack_document(message: Message) -> dict[str, object]:
    """Return a message in Slack's form, in which nothing of our text is taken for a link or a mention."""
    return {"text": f"*{_escaped(message.title)}*\n{_escaped(message.body)}"}


def signature(secret: str, stamp: str, content: bytes) -> str:
    """Return the value of ``X-OMC-Signature``."""
    return "v1=" + hmac.new(secret.encode(), f"{stamp}.".encode() + content, hashlib.sha256).hexdigest()


def is_signed(secret: str, stamp: str, content: bytes, given: str, now_s: float) -> bool:
    """Tell whether a request comes from who knows the secret, and was signed lately."""
    if not stamp.isdecimal() or abs(now_s - int(stamp)) > LONGEST_AGE_S:
        return False
    return hmac.compare_digest(signature(secret, stamp, content), given)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
