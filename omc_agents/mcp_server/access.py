"""What a call may read: role agent, bound to the server's user by a token that is renewed before it expires."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

from sqlalchemy import text

from omc_agents.sessions.serving import end_serving, open_serving
from omc_agents.sessions.states import FINISHED
from omc_agents.sessions.tokens import bind_token, issue_token
from omc_agents.tools.toolbox import Toolbox
from omc_infra.errors import BadInputError, PermanentError
from omc_infra.postgres.database import Database

_STATE = text("SELECT clock_timestamp() AS now, (SELECT status FROM agents.session WHERE session_id = :id) AS status")
_RENEWED_AFTER = 0.75
"""Part of a token's life after which the next call gets a new one."""


class Access:
    """Opens a session for a user and lends toolboxes that see what its token shows; ``close`` ends the session.

    Args:
        database: Session and tokens are written as role writer, rows are read as role agent.
        user_id: Whose fills and positions may be read.
        lifetime: Of a token.
    """

    def __init__(self, database: Database, user_id: str, lifetime: timedelta) -> None:
        self.user_id = user_id
        self.session_id = open_serving(database, user_id)
        self._database, self._lifetime, self._lock = database, lifetime, threading.Lock()
        self._token, self._renew_at = "", 0.0

    def box(self, as_of: datetime | None) -> Toolbox:
        """Return a toolbox at a knowledge time, None being now by the database's clock.

        Raises:
            BadInputError: The time lies in the future.
            PermanentError: Somebody ended the session.
        """
        token, engine = self._valid_token(), self._database.engine("agent")
        with engine.begin() as connection:
            bind_token(connection, token)
            state = connection.execute(_STATE, {"id": self.session_id}).one()
        if state.status is None or state.status in FINISHED:
            raise PermanentError("the session of this server was ended; start the server again")
        if as_of is not None and as_of > state.now:
            raise BadInputError(f"as_of {as_of.isoformat()} is in the future; now it is {state.now.isoformat()}")
        return Toolbox(engine, as_of or state.now, self.user_id, token)

    def close(self) -> None:
        """End the session."""
        end_serving(self._database, self.session_id)

    def _valid_token(self) -> str:
        with self._lock:
            if time.monotonic() >= self._renew_at:
                self._token = issue_token(self._database, self.session_id, self._lifetime).token
                self._renew_at = time.monotonic() + self._lifetime.total_seconds() * _RENEWED_AFTER
            return self._token
