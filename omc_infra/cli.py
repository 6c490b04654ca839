"""The root of the ``omc`` command: packages add their commands as entry points, loaded when they are called.

A command is a ``click.Command`` under the entry point group ``omc.commands``; its ``--json`` flag comes from ``json_option``
and prints its result with ``emit``. Exit codes: 0 done, 1 the answer is "no" (``click.exceptions.Exit(1)``) or an upstream
failed, 2 bad input or configuration with one line on stderr.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn, TypeVar

import click

from omc_infra.errors import (
    AccessDeniedError,
    BadInputError,
    OmcError,
    PayloadChangedError,
    QuotaExhaustedError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.logs import configure_logs, redact
from omc_infra.machine import machine_failure
from omc_infra.private import PRIVATE_UMASK
from omc_infra.settings import load_settings
from omc_infra.signals import InterruptedCommandError, raise_on_ending_signals
from omc_infra.statements import statement_failure
from omc_infra.terminal import ASCII_ERRORS, one_line, register_ascii_errors, say, visible_json

COMMANDS_GROUP = "omc.commands"
_OF_AN_UPSTREAM = (
    UpstreamUnavailableError, RateLimitedError, AccessDeniedError, QuotaExhaustedError, UpstreamRefusedError, PayloadChangedError,
)  # fmt: skip
Command = TypeVar("Command", bound=Callable[..., Any])


class ClosedPipeError(Exception):
    """The reader of stdout has closed it, as ``head`` does."""


class FiniteRange(click.FloatRange):
    """A number between two bounds; unlike click's own range, it refuses NaN."""

    def __init__(self, least: float, most: float) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


class LazyGroup(click.Group):
    """A group whose commands are entry points, each imported when asked for."""

    def __init__(self, *args: Any, lazy: Mapping[str, EntryPoint] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy if lazy is not None else {e.name: e for e in entry_points(group=COMMANDS_GROUP)})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted; imports none of them."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None if there is no command of that name."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        command: click.Command = self._lazy[cmd_name].load()
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; if the reader of stdout has gone, raise, where click would exit with 1, the code of "no"."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ClosedPipeError from error


@click.group(cls=LazyGroup, help="Collect crypto market data, check it, compute profit and loss, and write briefs with verified claims.")
@click.version_option(package_name="omc")
@click.pass_context
def root(context: click.Context) -> None:
    """Configure the logs before any command; commands of `omc config` report mistakes of the configuration file themselves."""
    configure_logs(load_settings(with_file=context.invoked_subcommand != "config"))


def json_option(command: Command) -> Command:
    """Add ``--json`` to a command as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(command)


def emit(document: Mapping[str, Any]) -> None:
    r"""Print one JSON document on stdout; decimals become strings, unrounded, times ISO 8601.

    Control, escape and bidi characters stand as ``\u202e``, so that a terminal doesn't obey them.
    """
    is_unicode = "utf" in (sys.stdout.encoding or "").lower()
    click.echo(visible_json(json.dumps(document, default=_json_value, indent=2, ensure_ascii=not is_unicode)))


def main() -> None:
    """Run ``omc``; every failure that OMC names, and every disk or server that fails, becomes one line on stderr.

    Exit codes: 2 for bad input, configuration, the machine or the database; 1 where an upstream failed or refused; 128 and the
    number of the signal that ended it, as 130 after Ctrl-C; 141 where the reader of our output has gone.
    """
    _prepare_process()
    try:
        sys.exit(root(standalone_mode=False) or 0)
    except OmcError as error:
        refuse(error, exit_code(type(error)))
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        command = error.ctx.command_path if error.ctx else "omc"
        refuse(BadInputError(f"{command}: choose one of its commands"))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "omc"
        refuse(BadInputError(f"{error.format_message().rstrip('.')}; see {command} --help"))
    except (click.Abort, KeyboardInterrupt) as error:
        say("omc: interrupted", err=True)
        cause = error.__cause__ or error
        sys.exit(cause.status if isinstance(cause, InterruptedCommandError) else 130)
    except ClosedPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        sys.exit(141)
    except Exception as error:
        found = machine_failure(error) or statement_failure(error)
        if found is None:
            raise
        refuse(found, exit_code(type(found)))


def exit_code(kind: type[OmcError]) -> int:
    """Return the exit code of a command that ends by a failure of this kind."""
    return 1 if issubclass(kind, _OF_AN_UPSTREAM) else 2


def _prepare_process() -> None:
    """Set up signals, private file permissions, and an output encoding that works on every terminal."""
    raise_on_ending_signals()
    os.umask(PRIVATE_UMASK)
    register_ascii_errors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ASCII_ERRORS)


def refuse(error: OmcError, code: int = 2) -> NoReturn:
    """Print a failure as one line on stderr, with ``--json`` also as a document on stdout, and end the process."""
    if "--json" in sys.argv:
        emit(error.as_document())
    say(f"omc: {one_line(redact(str(error)))}", err=True)
    sys.exit(code)


def _json_value(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
