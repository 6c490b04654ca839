"""What the sensor and the job are handed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from omc_agents.models.panel import Panel
from omc_agents.models.protocol import Model
from omc_agents.sessions.dispatch import assign_batch
from omc_agents.sessions.options import BriefsSection
from omc_agents.sessions.tokens import Assignment, handed_over
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings


@dataclass(frozen=True)
class AgentPlatform:
    """Settings, a way to the database, and a model; nothing is opened before it is used.

    Attributes:
        read_settings: Reads them as they are now; a run must not see those of the process it was forked from, which has no login.
        make_model: Makes the models that a run asks, with their keys.
        model_name: Names the model for which sessions are opened, without a key; None: of the made model.
        awaited_documents: Tells how long a brief waits for the document of a filing, and of which forms; None: not at all.
        make_user_model: Makes the models of a subscriber, with that user's keys: of the user's id and the name of the first model,
            which is empty where the subscription names none. None: all users have those of ``make_model``.
        brief_options: Reads, of the file of some settings, the cool-down and when briefs are written that no event begins; None: no
            cool-down and no such briefs.
    """

    read_settings: Callable[[], Settings]
    open_database: Callable[[Settings], AbstractContextManager[Database]]
    make_model: Callable[[], Model | Panel]
    model_name: Callable[[], str] | None = None
    awaited_documents: Callable[[], tuple[float, Sequence[str]]] | None = None
    make_user_model: Callable[[str, str], Model | Panel] | None = None
    brief_options: Callable[[Settings], BriefsSection] | None = None

    @property
    def settings(self) -> Settings:
        """The settings, read afresh."""
        return self.read_settings()

    def database(self) -> AbstractContextManager[Database]:
        """Open the database of the settings."""
        return self.open_database(self.settings)

    def assignments(self, database: Database, batch_id: UUID) -> Sequence[Assignment]:
        """Return the sessions of a batch to work on: those the launcher handed to this process.

        A run inside of the dispatcher's own process was handed none, and issues its tokens itself.

        Raises:
            ConfigurationError: None were handed over, and this process is not the dispatcher.
        """
        handed = handed_over()
        if handed is not None:
            return handed
        return assign_batch(database, batch_id, self.own_model_name(), timedelta(minutes=self.settings.agent_token_minutes))

    def own_model_name(self) -> str:
        """Return the name of the model for which sessions of no subscription are opened."""
        return self.model_name() if self.model_name else self.make_model().name
