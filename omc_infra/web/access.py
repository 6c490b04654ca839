"""The login of the UI: one token a home, printed in a link, and the signed cookie a browser gets for it.

The token lies in ``$OMC_HOME/ui/<profile>/token``, readable by its owner only. Removing the file logs everybody out: the next start
makes a new token, and cookies are signed with a key derived from it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from omc_infra.errors import ConfigurationError
from omc_infra.settings import Settings

TOKEN_BYTES = 32
COOKIE_MAX_AGE_S = 30 * 24 * 3600
_LEAST_LENGTH = 32
_LOGGED_IN = "ui"


@dataclass(frozen=True)
class Access:
    """What proves that somebody may use the UI: the token itself, or a cookie made for it."""

    token: str = field(repr=False)

    def is_token(self, offered: str) -> bool:
        """Return whether a text is the token, in constant time."""
        return hmac.compare_digest(offered.encode(), self.token.encode())

    def new_cookie(self) -> str:
        """Return the value of a cookie that is valid for ``COOKIE_MAX_AGE_S`` seconds."""
        return str(self._serializer.dumps(_LOGGED_IN))

    def is_cookie(self, value: str) -> bool:
        """Return whether a cookie's value was made for this token and has not expired."""
        try:
            return bool(self._serializer.loads(value, max_age=COOKIE_MAX_AGE_S) == _LOGGED_IN)
        except BadSignature:
            return False

    @property
    def _serializer(self) -> URLSafeTimedSerializer:
        key = hmac.new(self.token.encode(), b"omc ui cookie", hashlib.sha256).digest()
        return URLSafeTimedSerializer(key, salt="omc.ui", signer_kwargs={"digest_method": hashlib.sha256})


def token_file(settings: Settings) -> Path:
    """Return where the token of this home and profile lies."""
    return settings.home / "ui" / settings.profile / "token"


def login_path(settings: Settings) -> str:
    """Return the path, with the token, that logs a browser in; the token is made where there is none."""
    return f"/?token={ensure_access(token_file(settings)).token}"


def ensure_access(file: Path) -> Access:
    """Read the token, or make one where there is none.

    Raises:
        ConfigurationError: The file can't be read or written, or holds no token.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(file)
        token = file.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"token of the Dagster UI in {file}: {error.strerror or error}") from error
    if len(token) < _LEAST_LENGTH or not token.isascii():
        raise ConfigurationError(f"{file} has no token of the Dagster UI; remove the file, and OMC creates a new one at the next start")
    return Access(token)


def _write_once(file: Path) -> None:
    """Make the file with its whole content at once, so that nobody reads half a token."""
    if file.exists():
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_urlsafe(TOKEN_BYTES))
        try:
            os.link(draft, file)
        except FileExistsError:
            return  # another process was first
    finally:
        draft.unlink(missing_ok=True)
