"""Let go of what finished sessions no longer need: their checkpoints, and the text of questions put to models and of their answers.

Kept for ever: sessions, briefs, claims, evidence, and of each model call who was asked what kind of question at which cost. A
session that is not finished keeps everything, however old; row-level security holds this module to that, too.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from datetime import datetime
from typing import Any

import psycopg

from omc_infra.postgres.batches import Batch, Purged, purge_in_batches
from omc_infra.postgres.database import Database

SESSIONS_A_BATCH = 100
_THREAD = "user_id || ':' || session_id"
_OLD = f"""
SELECT user_id, session_id FROM agents.session
WHERE session_id > %(after)s AND agents.is_finished(status) AND finished_at < %(before)s
AND (EXISTS (SELECT FROM agents.model_call AS call WHERE call.session_id = session.session_id AND call.response IS NOT NULL)
    OR EXISTS (SELECT FROM agents.checkpoints WHERE thread_id = {_THREAD})
    OR EXISTS (SELECT FROM agents.checkpoint_blobs WHERE thread_id = {_THREAD})
    OR EXISTS (SELECT FROM agents.checkpoint_writes WHERE thread_id = {_THREAD}))
ORDER BY session_id LIMIT %(most)s
"""
_LOCKED = "SELECT session_id FROM agents.session WHERE session_id = ANY(%s) ORDER BY session_id FOR NO KEY UPDATE SKIP LOCKED"
_OF_THREADS = tuple(
    f"DELETE FROM agents.{table} WHERE thread_id = ANY(%s) RETURNING split_part(thread_id, ':', 2)"
    for table in ("checkpoint_writes", "checkpoint_blobs", "checkpoints")
)
_CALLS = (
    "UPDATE agents.model_call SET request = NULL, response = NULL WHERE session_id = ANY(%s) AND response IS NOT NULL RETURNING session_id"
)


def purge_sessions(database: Database, before: datetime, deadline: float) -> Purged:
    """Let go of checkpoints and model-call bodies of the sessions that were finished before a moment; counts sessions.

    Args:
        database: Where schema ``agents`` is.
        before: Aware.
        deadline: ``time.monotonic()`` after which no batch begins.
    """
    with closing(database.connect("reader")) as reader, closing(database.connect("writer")) as writer:
        reader.autocommit = writer.autocommit = True

        def batch(connection: psycopg.Connection[Any], after: str) -> Batch[str]:
            found = reader.execute(_OLD, {"after": after, "before": before, "most": SESSIONS_A_BATCH}).fetchall()
            of_user: dict[str, list[str]] = defaultdict(list)
            for user_id, session_id in found:
                of_user[user_id].append(session_id)
            purged = sum(_let_go(connection, user_id, session_ids) for user_id, session_ids in of_user.items())
            return Batch(purged, found[-1][1] if len(found) == SESSIONS_A_BATCH else None)

        return purge_in_batches("sessions", writer, batch, "", deadline)


def _let_go(connection: psycopg.Connection[Any], user_id: str, session_ids: list[str]) -> int:
    ours = [session_id for (session_id,) in connection.execute(_LOCKED, [session_ids])]  # the rest is another purge's
    threads = [f"{user_id}:{session_id}" for session_id in ours]
    touched = {session_id for statement in _OF_THREADS for (session_id,) in connection.execute(statement, [threads])}
    return len(touched.union(session_id for (session_id,) in connection.execute(_CALLS, [ours])))
