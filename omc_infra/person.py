"""The person at this terminal, for the record of what a command changes."""

from __future__ import annotations

import getpass
import os

import click

from omc_infra.errors import BadInputError

_LONGEST = 100


def logged_in() -> str:
    """Return the name of the user of this machine; a user without a name, as in a container, is ``uid 1000``."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _named(_context: click.Context, _option: click.Parameter, by: str) -> str:
    if not by.strip() or len(by) > _LONGEST or "\0" in by:
        raise BadInputError(f"--by: must be a name of up to {_LONGEST} characters")
    return by


by_option = click.option("--by", default=logged_in, show_default="who is logged in", callback=_named, help="Your name, for the record.")
"""Adds ``--by`` to a command as the parameter ``by``: never empty."""
