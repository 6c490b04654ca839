"""Fixtures every test may ask for: a real PostgreSQL, a fresh migrated database, settings of a home of one's own, the shared folder."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import structlog
from injection_corpus import take_variable

from omc_infra.settings import PROJECT_ROOT, Settings, load_settings

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database


# On a machine that never ran them, the first text drawn makes Hypothesis build its table of characters, which counts as slow input;
# and a busy machine says nothing about an example. Files of properties over a database add what they need.
hypothesis.settings.register_profile("omc", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("omc")

# Before anything reads the settings, which refuse a variable that they don't know.
take_variable()

_LONGEST_FIRST = (
    "test_containment",
    "test_platform_killed",
    "test_demo_killed",
    "test_demo",
    "test_dagster_ui",
    "test_runs_server",
    "test_postgres_embedded",
    "test_runs_warm",
    "test_quality_run",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first: a few workers share the files, and the last to start decides when all is done."""
    rank = {name: place for place, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(autouse=True)
def _logs_of_one_test() -> Iterator[None]:
    """Forget how a command run within a test set the log up: it would write to a stream that is closed by then."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recorded bodies and published cases, which is not part of this repository."""
    folder = Path(os.environ.get("SHARED_FOLDER", PROJECT_ROOT.parent / "shared"))
    if not folder.is_dir():
        warnings.warn(f"SKIPPED for want of {folder}: tests on recorded bodies and published cases", stacklevel=1)
        pytest.skip(f"no folder of recorded bodies at {folder}; SHARED_FOLDER names one")
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one OMC home of this test session; its server is shared by all tests."""
    return tmp_path_factory.mktemp("omc-home")


@pytest.fixture(scope="session")
def server_url(home: Path) -> Iterator[str]:
    """Run one embedded server for the session and answer its admin URL, without a database."""
    from omc_infra.postgres.embedded import running

    with running(home) as server:
        yield server.admin_url("{database}")


@pytest.fixture(scope="module")
def settings(home: Path, server_url: str, request: pytest.FixtureRequest) -> Settings:
    """Return sandbox settings whose database is this test module's own."""
    name = "t_" + re.sub(r"\W", "_", request.node.path.stem)[:40]
    return load_settings({"OMC_HOME": str(home), "OMC_DATABASE_URL": server_url.replace("{database}", name)})


@pytest.fixture(scope="module")
def database(settings: Settings) -> Iterator[Database]:
    """Open the module's own database, freshly migrated."""
    from omc_infra.postgres.database import open_database
    from omc_infra.postgres.migrate import migrate

    with open_database(settings, check=False) as opened:
        migrate(opened)
        yield opened


@pytest.fixture
def changed(settings: Settings) -> Callable[..., Settings]:
    """Return a function that gives the module's settings with some fields changed."""

    def change(**fields: object) -> Settings:
        return settings.model_copy(update=fields)

    return change
