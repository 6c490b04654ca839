"""Preview a replay: compare rows with the ledgers without writing them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from omc_infra.payload import Payload
from omc_pipeline.collection.source import Parsed, Source
from omc_pipeline.collection.tally import Stored, refused_by_database, settled
from omc_pipeline.ledgers.preview import LedgerPreview


class Rehearsal:
    """Takes the rows of payloads instead of the ledgers; a ``Tally`` receives its method ``store``.

    Args:
        connection: As for ``LedgerPreview``.
        source: Whose payloads.
    """

    def __init__(self, connection: psycopg.Connection[Any], source: Source) -> None:
        self.preview = LedgerPreview(connection, source.name, source.tables)

    def store(
        self, connection: psycopg.Connection[Any], source: Source, payload: Payload, parsed: Parsed, replayed_from: datetime | None
    ) -> Stored:
        """Count what storing the rows would change.

        Raises:
            PayloadChangedError: PostgreSQL would refuse a row.
        """
        try:
            with connection.transaction():
                rows = (
                    parsed.rows
                    if source.settle is None
                    else settled(connection, source.settle, source.name, parsed.rows, self.preview.known)
                )
                counted = self.preview.append(rows, payload.sha256, replayed_from or payload.fetched_at)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise refused_by_database(payload, error) from error
        return counted, [(rejected.reason, rejected.row) for rejected in parsed.rejected]

    def close(self) -> None:
        """Forget what was counted."""
        self.preview.close()
