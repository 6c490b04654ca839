"""Users divided into buckets: one machine computes all of them in a run, or many tasks compute one bucket each.

With one bucket, the default, the assets have no partitions. A bucket has the users whose hash modulo the number of buckets is
its number; changing ``OMC_USER_BUCKETS`` moves users between buckets, but nothing is computed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import dagster as dg

T = TypeVar("T")
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class Buckets:
    """A number of buckets of users."""

    count: int = 1

    @cached_property
    def partitions(self) -> dg.StaticPartitionsDefinition | None:
        """The partitions of an asset that is computed by user; None with one bucket."""
        return dg.StaticPartitionsDefinition(self.names) if self.count > 1 else None

    @property
    def names(self) -> list[str]:
        """Names of the buckets, in order."""
        width = len(str(self.count - 1))
        return [f"{number:0{width}d}" for number in range(self.count)]

    def of(self, user: str) -> str:
        """Return the bucket of a user, the same on every machine."""
        return self.names[int.from_bytes(hashlib.sha256(user.encode()).digest()[:8], "big") % self.count]

    def users_in(self, users: Iterable[str], context: dg.AssetExecutionContext) -> Sequence[str]:
        """Return the users in the buckets of a run."""
        return [user for user, _ in self.of_users_in(((user, None) for user in users), context)]

    def of_users_in(self, pairs: Iterable[tuple[str, T]], context: dg.AssetExecutionContext) -> Sequence[tuple[str, T]]:
        """Return the pairs (user, value) of the users in the buckets of a run."""
        if self.partitions is None:
            return list(pairs)
        wanted = set(context.partition_keys)
        return [(user, thing) for user, thing in pairs if self.of(user) in wanted]


def tags_of_all_buckets(job: dg.JobDefinition) -> dict[str, str]:
    """Return the tags with which one run of a job computes all buckets; no tags with one bucket."""
    if job.partitions_def is None:
        return {}
    names = job.partitions_def.get_partition_keys()
    return {_RANGE_START: names[0], _RANGE_END: names[-1]}
