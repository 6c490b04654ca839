"""The lock of an environment: one item of a DynamoDB table, written only on condition, and renewed while its holder lives.

Nobody's clock is compared with another's. Each renewal counts the item's ``beat`` up; who finds the lock held watches that number. It
moves: the holder lives, and the newcomer is refused. It stands still for the holder's ``lease_s``: the holder was killed, and the newcomer
takes the lock on condition that the item is still the one it watched. A deployment's record is written on condition of the lock, so a
holder that lost it can't write over its successor.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any
from uuid import uuid4

from omc_infra.deploy.aws import Aws, AwsRefusedError
from omc_infra.deploy.failures import DeploymentLockedError, LeaseLostError
from omc_infra.errors import OmcError

LOCK = "lock"
_TAKEN = "ConditionalCheckFailedException"
_RENEWALS = 3
"""Renewals within ``lease_s``."""


class Lease:
    """An environment's lock, held within a ``with`` block.

    Args:
        aws: Where the table is.
        table: Its name.
        environment: What is locked.
        lease_s: Seconds without a renewal after which the lock is free.
        report: Takes a line for the person who waits.
    """

    def __init__(self, aws: Aws, table: str, environment: str, lease_s: float, report: Callable[[str], None]) -> None:
        self._aws, self._table, self._environment, self._lease_s, self._report = aws, table, environment, lease_s, report
        self._token = uuid4().hex
        self._ended = threading.Event()
        self._renewed_at = 0.0
        self._lost = False
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        self._take()
        self._renewed_at = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OmcError):  # it ends by itself
            self._aws.call("dynamodb", "delete_item", TableName=self._table, Key=self._key, **self._mine())

    def require(self) -> None:
        """Check that the lock is still held.

        Raises:
            LeaseLostError: Another process has it, or it could not be renewed in time.
        """
        if self._lost or time.monotonic() - self._renewed_at > self._lease_s:
            raise LeaseLostError(f"the lock of {self._environment} is lost; this process changes nothing more")

    def condition(self) -> dict[str, Any]:
        """Return the part of a DynamoDB transaction that fails where the lock is not held."""
        return {"ConditionCheck": {"TableName": self._table, "Key": self._key, **self._mine()}}

    @property
    def _key(self) -> dict[str, Any]:
        return key_of(self._environment, LOCK)

    def _mine(self) -> dict[str, Any]:
        return _if_token(self._token)

    def _take(self) -> None:
        while True:
            if self._put({"ConditionExpression": "attribute_not_exists(#i)", "ExpressionAttributeNames": {"#i": "item"}}):
                return
            found = read_lock(self._aws, self._table, self._environment)
            if found is None:
                continue
            self._report(f"the lock of {self._environment} is held by {found['holder']}; looking whether it is renewed")
            if self._stands_still(found) and self._put(_if_unchanged(found)):
                self._report("its holder has died; the lock is taken over")
                return

    def _stands_still(self, found: dict[str, str]) -> bool:
        """Watch a lock that was found for its ``lease_s``; False where it was released."""
        until = time.monotonic() + float(found["lease_s"])
        while time.monotonic() < until:
            time.sleep(min(1.0, float(found["lease_s"]) / 10))
            now = read_lock(self._aws, self._table, self._environment)
            if now is None:
                return False
            if now != found:
                raise DeploymentLockedError(f"{self._environment} is being deployed by {now['holder']}")
        return True

    def _put(self, condition: dict[str, Any]) -> bool:
        attributes = {"holder": holder_name(), "token": self._token, "beat": "0", "lease_s": str(self._lease_s)}
        item = {**self._key, **{name: {"S": value} for name, value in attributes.items()}}
        return self._conditional("put_item", Item=item, **condition)

    def _renew(self) -> None:
        beat = 0
        while not self._ended.wait(self._lease_s / _RENEWALS):
            beat += 1
            asked_at = time.monotonic()
            condition = self._mine()
            condition["ExpressionAttributeNames"]["#b"] = "beat"
            condition["ExpressionAttributeValues"][":b"] = {"S": str(beat)}
            try:
                if not self._conditional("update_item", Key=self._key, UpdateExpression="SET #b = :b", **condition):
                    self._lost = True
                    return
            except OmcError:
                continue  # asked again soon; too late a renewal is seen by `require`
            self._renewed_at = asked_at

    def _conditional(self, operation: str, **parameters: Any) -> bool:
        try:
            self._aws.call("dynamodb", operation, TableName=self._table, **parameters)
        except AwsRefusedError as error:
            if error.code == _TAKEN:
                return False
            raise
        return True


def read_lock(aws: Aws, table: str, environment: str) -> dict[str, str] | None:
    """Return who holds an environment's lock: ``holder``, ``token``, ``beat`` and ``lease_s``; None where nobody does."""
    found = aws.call("dynamodb", "get_item", TableName=table, Key=key_of(environment, LOCK), ConsistentRead=True).get("Item")
    return {name: value["S"] for name, value in found.items()} if found else None


def key_of(environment: str, item: str) -> dict[str, Any]:
    """Return the key of an item of the table."""
    return {"environment": {"S": environment}, "item": {"S": item}}


def holder_name() -> str:
    """Name this process for a person: user, machine and process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"


def _if_token(token: str) -> dict[str, Any]:
    return {
        "ConditionExpression": "#t = :t",
        "ExpressionAttributeNames": {"#t": "token"},
        "ExpressionAttributeValues": {":t": {"S": token}},
    }


def _if_unchanged(found: dict[str, str]) -> dict[str, Any]:
    return {
        "ConditionExpression": "#t = :t AND #b = :b",
        "ExpressionAttributeNames": {"#t": "token", "#b": "beat"},
        "ExpressionAttributeValues": {":t": {"S": found["token"]}, ":b": {"S": found["beat"]}},
    }
