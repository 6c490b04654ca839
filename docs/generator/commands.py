"""The page of commands: every command with its help, arguments, options, defaults and exit codes."""

from __future__ import annotations

from collections.abc import Iterator

import click

from generator.page import code, prose, table
from omc_infra.cli import root

OPTION_HEAD = ("argument or option", "value", "default", "meaning")
ARGUMENTS = {
    "SOURCE": "Name of a [source](sources.md).",
    "VENUE_OR_SOURCE": "A source that collects accounts, or the name of a venue.",
    "ACCOUNT": "Id of an account; `omc accounts list` shows them.",
    "ACCOUNT FILL ACCOUNT FILL": "Account and fill id of the fill that counts, then of the other fill; `omc accounts pairs` shows them.",
    "USER": "Id of the user.",
    "ALERT_ID": "Number of an alert; `omc alerts list` shows it.",
    "CHANNEL": "Name of a channel under `[alerts]` in `omc.toml`; left out: all.",
    "SESSION_OR_EVENT_ID": "`omc agent sessions` shows them.",
    "QUESTION": "In words, in quotes.",
    "ANSWER": "In words, in quotes.",
    "SESSION": "Id of a session; `omc agent sessions` shows them.",
    "SUBSCRIPTION": "Id of a subscription; `omc agent subscriptions` shows them.",
    "BACKUP_FILE": "A file that `omc backup` wrote.",
    "PROOF_FILE": "A file that `omc agent export` wrote.",
    "ENVIRONMENT": "Its section of `omc.toml` is `[deploy.ENVIRONMENT]`.",
    "SECTION": "A table of `omc.toml`, such as `settings` or `sources.glass_defillama`; left out: all.",
    "ROLE": "The database role.",
    "EXCEPTION_ID": "Number of the exception; `omc pnl exceptions` shows it.",
    "LEDGER": "The ledger; left out: all, without the single checks.",
    "UPSTREAM": "One of the sandbox's upstreams, such as `defillama`, `fng`, `sec_edgar` or `coinspot`; a wrong name lists them.",
    "KIND": "What goes wrong, see above.",
    "NAME": "A symbol, a ticker or a name; `omc assets list` shows the symbols.",
    "NUMBER...": "Numbers of refused rows; `omc quarantine list` shows them.",
    "FILE": "The file, or several where the command says so.",
    "FILES": "The files to import.",
    "FILE...": "The files to import.",
    "IMPORT_ID": "Number of the import; `omc import list` shows it.",
}
"""What arguments mean; click has no help for them."""
_EVERY = ("help", "as_json")


def block() -> str:
    """Return an index of all commands, then a section for each."""
    found = list(leaves(root, click.Context(root, info_name="omc")))
    index = table(("command", "what it does"), [(f"[`{path}`](#{_anchor(path)})", _first_sentence(leaf)) for path, leaf, _ in found])
    return "\n\n".join([index, *(_section(path, leaf, context) for path, leaf, context in found)])


def leaves(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield every command that is no group: how it is called, itself, and a context to ask it with."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from leaves(command, inner)
        else:
            yield inner.command_path, command, inner


def _section(path: str, command: click.Command, context: click.Context) -> str:
    usage = " ".join([path, *(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"), "[OPTIONS]"])
    parts = [f"## {path}", f"```\n{usage}\n```", prose(command.help)]
    rows = [_row(parameter, context) for parameter in command.params if parameter.name not in _EVERY]
    if rows:
        parts.append(table(OPTION_HEAD, rows))
    if command.epilog:
        parts.append(prose(command.epilog))
    if not any(parameter.name == "as_json" for parameter in command.params):
        parts.append("It has no `--json`.")
    return "\n\n".join(parts)


def _row(parameter: click.Parameter, context: click.Context) -> tuple[str, str, str, str]:
    if not isinstance(parameter, click.Option):
        name = code(
            parameter.make_metavar(context).strip("[]") if not isinstance(parameter.type, click.Choice) else parameter.human_readable_name
        )
        return name, _value(parameter, context), "" if parameter.required else "may be left out", ARGUMENTS.get(name.strip("`"), "")
    names = ", ".join(code(name) for name in [*parameter.opts, *parameter.secondary_opts])
    return names, _value(parameter, context), _default(parameter, context), prose(parameter.help)


def _value(parameter: click.Parameter, context: click.Context) -> str:
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return "no value"
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return ", ".join(code(getattr(choice, "value", choice)) or "nothing" for choice in kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        return f"{'integer' if isinstance(kind, click.IntRange) else 'number'} {_range(kind)}"
    words = {"text": "text", "integer": "integer", "float": "number", "path": "path", "file": "path", "directory": "path"}
    return words.get(kind.name, parameter.metavar or kind.name.lower())


def _range(kind: click.IntRange | click.FloatRange) -> str:
    if kind.min is not None and kind.max is not None:
        return f"from {kind.min} to {kind.max}"
    return f"from {kind.min}" if kind.min is not None else f"up to {kind.max}"


def _default(option: click.Option, context: click.Context) -> str:
    if option.required:
        return "required"
    if isinstance(option.show_default, str):
        return option.show_default
    value = option.get_default(context, call=False)
    shows = isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
    return code(getattr(value, "value", value)) if shows else ""


def _first_sentence(command: click.Command) -> str:
    text = prose(command.help)
    return text.split(". ")[0].rstrip(".") + "."


def _anchor(path: str) -> str:
    return path.replace(" ", "-")
