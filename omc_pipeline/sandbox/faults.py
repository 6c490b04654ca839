"""Misbehaviour on demand: each of the next answers of an upstream is spoilt in the way that was asked for."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omc_infra.clock import Clock, parse_utc

FaultKind = Literal["429", "500", "slow", "malformed", "duplicate", "late", "reset", "zone"]
FAULT_KINDS: tuple[str, ...] = get_args(FaultKind)
_ROW_LISTS = {"data", "buyorders", "sellorders", "balances", "protocols", "recent", "tvl"}
_PIECES = 10


@dataclass(frozen=True)
class Fault:
    """One way to misbehave for the next ``count`` answers.

    Attributes:
        kind: ``late`` answers as of ``hours`` ago, ``duplicate`` gives all rows twice, ``reset`` drops the connection amid
            the body, ``slow`` spreads the body over ``seconds``, ``malformed`` cuts the body short, ``zone`` writes the times at which
            filings were accepted in the other zone, Eastern with a false Z.
        count: Answers still to spoil.
        seconds: What ``429`` asks to wait, and how long ``slow`` takes.
        hours: Age of what ``late`` tells.
    """

    kind: FaultKind
    count: int
    seconds: float
    hours: float


class Faults:
    """The faults that wait for their answers, by upstream, first come first served."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Fault]] = {}

    def add(self, upstream: str, fault: Fault) -> None:
        """Queue a fault behind those that wait."""
        self._waiting.setdefault(upstream, deque()).append(fault)

    def clear(self) -> None:
        """Forget all faults."""
        self._waiting.clear()

    def take(self, upstream: str) -> Fault | None:
        """Return the fault of the upstream's next answer, and count it off."""
        waiting = self._waiting.get(upstream)
        if not waiting:
            return None
        fault = waiting.popleft()
        if fault.count > 1:
            waiting.appendleft(replace(fault, count=fault.count - 1))
        return fault

    def waiting(self) -> dict[str, list[dict[str, Any]]]:
        """Return the faults that wait, as ``{upstream: [{"kind", "count"}]}``."""
        return {name: [{"kind": f.kind, "count": f.count} for f in queue] for name, queue in self._waiting.items() if queue}


class Misbehaving:
    """One upstream's app behind its faults; also stamps each request with the present."""

    def __init__(self, app: ASGIApp, upstream: str, faults: Faults, clock: Clock) -> None:
        self._app, self._upstream, self._faults, self._clock = app, upstream, faults, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Return one request, spoilt if a fault waits for it."""
        fault = self._faults.take(self._upstream)
        age = timedelta(hours=fault.hours) if fault and fault.kind == "late" else timedelta()
        inner = {**scope, "omc.now": self._clock() - age}
        if fault is None or fault.kind == "late":
            await self._app(inner, receive, send)
        elif fault.kind in ("429", "500"):
            await _refusal(fault)(scope, receive, send)
        else:
            start, body = await _captured(self._app, inner, receive)
            await _SPOILERS[fault.kind](start, body, fault, send)


def _refusal(fault: Fault) -> Response:
    if fault.kind == "500":
        return PlainTextResponse("Internal Server Error", 500)
    return PlainTextResponse("Too Many Requests", 429, headers={"Retry-After": f"{fault.seconds:.0f}"})


async def _captured(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


async def _whole(start: Message, body: bytes, send: Send) -> None:
    headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


async def _malformed(start: Message, body: bytes, _fault: Fault, send: Send) -> None:
    await _whole(start, body[: len(body) * 2 // 3], send)


async def _duplicate(start: Message, body: bytes, _fault: Fault, send: Send) -> None:
    try:
        document = json.loads(body)
    except ValueError:
        await _whole(start, body, send)
        return
    await _whole(start, json.dumps(_doubled(document, is_row_list=isinstance(document, list))).encode(), send)


async def _slow(start: Message, body: bytes, fault: Fault, send: Send) -> None:
    await send(start)
    step = max(1, -(-len(body) // _PIECES))
    for n in range(0, len(body), step):
        await asyncio.sleep(fault.seconds / _PIECES)
        await send({"type": "http.response.body", "body": body[n : n + step], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _reset(start: Message, body: bytes, _fault: Fault, send: Send) -> None:
    """Announce the whole body, send half and return: the server can only drop the connection."""
    await send(start)
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await asyncio.sleep(0.01)


async def _zone(start: Message, body: bytes, _fault: Fault, send: Send) -> None:
    try:
        document = json.loads(body)
        recent = document["filings"]["recent"]
        recent["acceptanceDateTime"] = [_in_eastern(at) for at in recent["acceptanceDateTime"]]
    except (ValueError, TypeError, KeyError):  # another upstream's answer has no such times
        await _whole(start, body, send)
        return
    await _whole(start, json.dumps(document).encode(), send)


def _in_eastern(written: str) -> str:
    return f"{parse_utc(written).astimezone(ZoneInfo('America/New_York')).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


_SPOILERS = {"malformed": _malformed, "duplicate": _duplicate, "slow": _slow, "reset": _reset, "zone": _zone}


def _doubled(value: Any, *, is_row_list: bool) -> Any:
    """Repeat the rows: lists under a name that holds rows, and each column of columnar ones."""
    if isinstance(value, list):
        return value * 2 if is_row_list else value
    if isinstance(value, dict):
        columns = is_row_list
        return {name: _doubled(part, is_row_list=columns or name in _ROW_LISTS) for name, part in value.items()}
    return value
