"""``omc config``: show the effective options and their origin, check the file, write a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from pydantic import SecretStr

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError
from omc_infra.logs import REDACTED
from omc_infra.terminal import open_console, say

if TYPE_CHECKING:
    from pydantic import BaseModel

    from omc_infra.configuration import Configuration


@click.group()
def config() -> None:
    """Configure everything in one file, omc.toml."""


@config.command("show")
@click.argument("section", required=False)
@json_option
def show_command(section: str | None, as_json: bool) -> None:
    """Print the effective value of every option, or of one SECTION, and where it comes from. Secrets are hidden."""
    from omc_infra.configuration import load_configuration

    loaded = load_configuration()
    if section not in (None, "settings"):
        loaded.section(str(section))  # refuses an unknown one
    document = _document(loaded)
    if section is not None:
        document["settings"] = document["settings"] if section == "settings" else {}
        document["sections"] = {name: inner for name, inner in document["sections"].items() if name == section}
    if as_json:
        emit(document)
    else:
        _print(document)


@config.command("check")
@json_option
def check_command(as_json: bool) -> None:
    """Check the file and the environment. Exit code 2 and one line with the first mistakes if something is wrong."""
    from omc_infra.configuration import load_configuration

    loaded = load_configuration()
    document = {"valid": True, "file": str(loaded.file.path), "exists": loaded.file.exists, "sections": list(loaded.models)}
    if as_json:
        emit(document)
    else:
        say(f"{loaded.file.path}: {'valid' if loaded.file.exists else 'no file; OMC uses the defaults'}")


@config.command("init")
@json_option
def init_command(as_json: bool) -> None:
    """Write omc.toml with every option, its default and its meaning. An existing file is never overwritten."""
    from omc_infra.configuration import contributed_models
    from omc_infra.configuration_template import template
    from omc_infra.settings import find_file

    path, text = find_file(must_exist=False).path, template(contributed_models())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BadInputError(f"{path} exists already; edit it, or move it first") from None
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written: {error.strerror or error}") from error
    if as_json:
        emit({"file": str(path), "options": sum(line.startswith("#") and line[1:2] not in (" ", "[") for line in text.splitlines())})
    else:
        say(f"wrote {path}; uncomment what you want to change, then `omc config check`")


def _document(loaded: Configuration) -> dict[str, Any]:
    settings = loaded.settings
    values = settings.model_dump(mode="json", exclude={"keys"})
    shown = {name: {"value": _redacted(getattr(settings, name), value), "from": settings.origin(name)} for name, value in values.items()}
    shown["keys"] = {"value": dict.fromkeys(sorted(settings.keys), REDACTED), "from": settings.origin("keys")}
    return {
        "profile": settings.profile,
        "file": str(loaded.file.path),
        "exists": loaded.file.exists,
        "settings": shown,
        "sections": {name: _section(loaded, name) for name in loaded.models},
    }


def _redacted(held: object, shown: object) -> object:
    return REDACTED if isinstance(held, SecretStr) else shown


def _section(loaded: Configuration, name: str) -> dict[str, Any]:
    section: BaseModel = loaded.section(name)
    values = section.model_dump(mode="json")
    options = {option: {"value": value, "from": loaded.origin(name, option)} for option, value in values.items()}
    return {"digest": loaded.digest(name), "options": options, "ignored": sorted(loaded.ignored(name))}


def _print(document: dict[str, Any]) -> None:

    from omc_infra.configuration_template import shown as text_of
    from omc_infra.tables import print_rows

    console = open_console()
    console.print(f"{document['file']}{'' if document['exists'] else ' (there is none)'} · {document['profile']}")
    groups = {"settings": document["settings"]} if document["settings"] else {}
    groups |= {name: section["options"] for name, section in document["sections"].items()}
    for name, options in groups.items():
        rows = [{"option": option, "value": text_of(each["value"]), "from": each["from"]} for option, each in options.items()]
        print_rows(console, rows, name)
    for name, section in document["sections"].items():
        for option in section["ignored"]:
            console.print(f"{name}.{option}: the file sets it for the live profile only; this profile uses the default")
