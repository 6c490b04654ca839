"""What the raw store keeps with each fetch beside the body: the endpoint that was asked, and the options that were in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg

from omc_infra.errors import ConfigurationError
from omc_infra.http import RawStore, Validators
from omc_infra.payload import Payload
from omc_pipeline.collection.options import SourceConfig, options_digest, options_document, stored_options
from omc_pipeline.collection.parsing import OPTIONS
from omc_pipeline.collection.source import Source


class MarkingStore:
    """A raw store whose fetches carry what the platform adds to their context.

    Args:
        store: Where bodies go.
        marks: What to add; a source's own context wins, for it is what its parser knows.
    """

    def __init__(self, store: RawStore, marks: Mapping[str, str]) -> None:
        self._store = store
        self.marks = dict(marks)

    def marked(self, payload: Payload) -> Payload:
        """Return the payload as the raw store knows it, and a replay will see it."""
        return replace(payload, context={**self.marks, **payload.context})

    def store(self, payload: Payload, *, etag: str | None, last_modified: str | None) -> None:
        """Keep a body and its fetch."""
        self._store.store(self.marked(payload), etag=etag, last_modified=last_modified)

    def mark_parsed(self, payload: Payload) -> None:
        """Note that the rows of a body are stored."""
        self._store.mark_parsed(payload)

    def validators(self, source: str, request_sha256: str) -> Validators | None:
        """Return the validators of the last parsed answer of a request."""
        return self._store.validators(source, request_sha256)

    def newest(self, source: str, request_sha256: str, since: datetime) -> tuple[str, datetime] | None:
        """Return digest and fetch time of the newest answer of a request since a time."""
        return self._store.newest(source, request_sha256, since)

    def body(self, sha256: str) -> bytes:
        """Return one body."""
        return self._store.body(sha256)


def store_options(connection: psycopg.Connection[Any], source: Source, config: SourceConfig) -> str:
    """Store the options of a source under their digest, and return the digest."""
    digest = options_digest(config)
    with connection.transaction():
        connection.execute(
            "INSERT INTO raw.options (source, sha256, document) VALUES (%s, %s, %s::jsonb) ON CONFLICT DO NOTHING",
            [source.name, digest, options_document(config)],
        )
    return digest


class OptionsInForce:
    """Return the options with which a stored payload was fetched.

    Args:
        connection: Where the options are kept.
        source: Whose.
        current: The options of today, for payloads that are older than the record of options.
    """

    def __init__(self, connection: psycopg.Connection[Any], source: Source, current: SourceConfig) -> None:
        self._connection, self._source, self._current = connection, source, current
        self._known: dict[str, SourceConfig] = {}

    def of(self, payload: Payload) -> SourceConfig:
        """Return the options of a payload.

        Raises:
            ConfigurationError: They are not kept, or no longer fit the source's options.
        """
        digest = payload.context.get(OPTIONS)
        if digest is None:
            return self._current
        if digest not in self._known:
            self._known[digest] = self._read(digest)
        return self._known[digest]

    def _read(self, digest: str) -> SourceConfig:
        with self._connection.transaction():
            row = self._connection.execute(
                "SELECT document FROM raw.options WHERE source = %s AND sha256 = %s", [self._source.name, digest]
            ).fetchone()
        if row is None:
            lost = f"{self._source.name}: options {digest[:12]} of an earlier fetch are not kept"
            raise ConfigurationError(f"{lost}; replay with --current-options")
        return stored_options(self._source.config, row[0], self._source.name).with_assets(self._current.assets)
