"""Choose the system user of the server: PostgreSQL doesn't run as root, and OMC must not create users.

An ordinary user runs it as himself. Root runs it in a user namespace, where he is somebody else and keeps his access to his
own files; where namespaces are refused (many containers), as ``nobody``, who then owns the server's folder, and who keeps root's
power to pass closed folders only where the server's lies below one. A folder that belongs to somebody is served as that somebody.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.folder import ServerFolder, has_name
from omc_infra.private import let_pass

_PROBE_TIMEOUT_S = 20


@dataclass(frozen=True)
class Account:
    """A user to run programs as: ``prefix`` goes before the command, ``uid`` and ``gid`` are None for one's own."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def popen_arguments(self) -> dict[str, Any]:
        """Return the arguments by which ``subprocess`` changes the user."""
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_enter(self, folder: Path) -> bool:
        """Tell whether this user exists and may enter the folder."""
        return self._succeeds('cd "$1"', folder)

    def can_run(self, program: Path) -> bool:
        """Tell whether this user may run the program."""
        return self._succeeds('exec "$1" --version', program)

    def _succeeds(self, script: str, argument: Path) -> bool:
        command = [*self.prefix, "/bin/sh", "-c", script, "sh", str(argument)]
        try:
            probe = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd="/",
                timeout=_PROBE_TIMEOUT_S,
                check=False,
                **self.popen_arguments(),
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return probe.returncode == 0


def choose_account(folder: ServerFolder, euid: int) -> Account:
    """Return the user under whom the server of a folder runs, for a caller of this user id."""
    if euid and has_name(euid):
        return Account()
    if folder.owner == euid:
        disguise = _namespace()
        if disguise is not None and disguise.can_enter(folder.path):
            return disguise
    if euid:
        raise ConfigurationError(
            f"user id {euid} has no name on this system, but PostgreSQL needs one; add it to /etc/passwd or set OMC_DATABASE_URL"
        )
    return _dropped(folder)


def _namespace() -> Account | None:
    """Return root's disguise as an unprivileged user; needs ``unshare`` of util-linux 2.36 or later."""
    unshare = shutil.which("unshare")
    somebody = _unprivileged()
    return Account((unshare, "--user", f"--map-user={somebody.pw_uid}", f"--map-group={somebody.pw_gid}")) if unshare else None


def _dropped(folder: ServerFolder) -> Account:
    user = pwd.getpwuid(folder.owner) if folder.owner and has_name(folder.owner) else _unprivileged()
    if folder.owner != user.pw_uid:
        for path in [folder.path, *folder.path.rglob("*")]:
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    for account in (Account(uid=user.pw_uid, gid=user.pw_gid), _dropped_but_for_one_power(user)):
        if account.can_enter(folder.path):
            return account
    let_pass(folder.path.parent)
    values = Account(uid=user.pw_uid, gid=user.pw_gid)
    if values.can_enter(folder.path):
        return values
    raise ConfigurationError(
        f"{folder.path}: user {user.pw_name} can't access it, and PostgreSQL doesn't run as root; set OMC_HOME to a folder that "
        "this user can access"
    )


def _dropped_but_for_one_power(user: pwd.struct_passwd) -> Account:
    """Return a user who may pass folders closed to him, as those above a checkout in a private home are; by ``setpriv`` of util-linux.

    PostgreSQL's programs look for each other with ``access``, which ignores capabilities of users other than root unless the
    security bit ``no_setuid_fixup`` is set.
    """
    identity = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    power = ("--securebits=+no_setuid_fixup", "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override")
    return Account(("setpriv", *identity, *power))


def _unprivileged(users: Sequence[pwd.struct_passwd] | None = None) -> pwd.struct_passwd:
    known = [user for user in (pwd.getpwall() if users is None else users) if user.pw_uid]
    if not known:
        raise ConfigurationError("this system has no user but root, and PostgreSQL doesn't run as root; set OMC_DATABASE_URL")
    return next((user for user in known if user.pw_name == "nobody"), known[0])
