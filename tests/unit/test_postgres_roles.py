"""Names of the five roles, and where migrations are found."""

from __future__ import annotations

import pytest

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.migrate import _package_folder
from omc_infra.postgres.roles import role_name


def test_a_database_name_that_leaves_no_room_for_the_roles_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="too long"):
        role_name("d" * 60, "writer")


def test_a_storey_whose_migrations_are_missing_fails_loudly() -> None:
    with pytest.raises(ConfigurationError, match=r"'attic': package 'omc_infra\.attic\.migrations' doesn't exist"):
        _package_folder("attic", "omc_infra.attic.migrations")
