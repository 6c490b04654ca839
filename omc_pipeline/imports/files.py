"""Files of a disk into readings: their bytes within bounds, and their name before every complaint about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omc_infra.errors import BadInputError
from omc_pipeline.imports.discovery import discover_formats
from omc_pipeline.imports.mapping import read_mapping
from omc_pipeline.imports.reading import MOST_BYTES, Asked, FileReading, read_content


def content_of(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return a file's bytes; of a pipe or a device no more than are allowed.

    Raises:
        BadInputError: It can't be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > most_bytes:
        raise BadInputError(f"{path}: holds more than {most_bytes // 1024**2} MiB; split it by year")
    return content


def with_mapping(asked: Asked, path: Path | None) -> Asked:
    """Add what a mapping file says; options of the command come before it.

    Raises:
        BadInputError: The mapping file can't be read.
    """
    if path is None:
        return asked
    found = read_mapping(content_of(path))
    return replace(
        asked, mapping=found.format, mark=asked.mark or found.mark, zone=asked.zone or found.zone, ignored=[*asked.ignored, *found.ignored]
    )


def read_files(paths: Sequence[Path], asked: Asked) -> list[FileReading]:
    """Read files, each of a format of its own.

    Raises:
        BadInputError: One is of no known format, or can't be read.
    """
    readings = []
    for path in paths:
        try:
            reading = read_content(content_of(path), asked, path)
        except BadInputError as error:
            message = str(error)
            raise BadInputError(message if message.startswith(f"{path}: ") else f"{path}: {message}") from error
        if reading is None:
            raise BadInputError(
                f"{path}: no known format; there are {', '.join(discover_formats())}, or describe it with --map"
                " (omc import FILE --suggest writes a first one)"
            )
        readings.append(reading)
    return readings
