"""The root of the ``omc`` command: storeys add their commands as entry points, loaded when they are called.

A command is a ``click.Command`` under the entry point group ``omc.commands``; its ``--json`` flag comes from ``json_option``
and its answer leaves through ``emit``. Exit codes: 0 done, 1 the answer is "no" (``click.exceptions.Exit(1)``), 2 bad input
or configuration with one line on stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn, TypeVar

import click

from omc_infra.errors import BadInputError, OmcError
from omc_infra.logs import configure_logs, redact
from omc_infra.settings import load_settings

COMMANDS_GROUP = "omc.commands"
Command = TypeVar("Command", bound=Callable[..., Any])


class LazyGroup(click.Group):
    """A group whose commands are entry points, each imported when asked for."""

    def __init__(self, *args: Any, lazy: Mapping[str, EntryPoint] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy if lazy is not None else {e.name: e for e in entry_points(group=COMMANDS_GROUP)})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Answer the names of all commands, sorted; imports none of them."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and answer one command, or None where there is none of that name."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        command: click.Command = self._lazy[cmd_name].load()
        return command


@click.group(cls=LazyGroup, help="Crypto market ledgers, proven and priced; briefs whose every claim is checked.")
@click.version_option(package_name="omc")
@click.pass_context
def root(context: click.Context) -> None:
    """Configure the logs before any command; those of `omc config` speak of the configuration file themselves."""
    configure_logs(load_settings(with_file=context.invoked_subcommand != "config"))


def json_option(command: Command) -> Command:
    """Add ``--json`` to a command as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(command)


def emit(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout; decimals become strings, unrounded, times ISO 8601."""
    click.echo(json.dumps(document, default=_plain, indent=2, ensure_ascii=False))


def main() -> None:
    """Run ``omc``; every failure OMC names becomes one line on stderr and exit code 2."""
    try:
        sys.exit(root(standalone_mode=False) or 0)
    except OmcError as error:
        _refuse(redact(str(error)), error.as_document())
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "omc"
        message = f"{error.format_message().rstrip('.')}; see {command} --help"
        _refuse(message, BadInputError(message).as_document())
    except click.Abort:
        sys.exit(130)


def _refuse(message: str, document: Mapping[str, Any]) -> NoReturn:
    if "--json" in sys.argv:
        emit(document)
    click.echo(f"omc: {' '.join(message.split())}", err=True)
    sys.exit(2)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
