"""Pages of the documentation as a reader follows them.

A block ```` ```bash ```` is executed, all blocks of a page one after another in one shell that stops at the first failure. A block
```` ```text ```` after it shows what is printed: each of its lines is found in the output of that block, where ``...`` stands for
anything and runs of blanks and the frames of tables don't count. Blocks of another language (``sh``, ``python``) aren't executed here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omc_infra.settings import PROJECT_ROOT

DOCS = PROJECT_ROOT / "docs"
BIN = Path(sys.executable).parent
DEADLINE_S = 120
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SEPARATOR = "\x1e"
_FRAME = re.compile(r"[│┃║━─┏┓┗┛┡┩╇┳┻┬┴├┤┼╭╮╰╯└┘┌┐\s]+")


@dataclass(frozen=True)
class Block:
    """A block of commands, and the lines that it is said to print."""

    commands: str
    expected: tuple[str, ...] = ()


def blocks(page: str) -> list[Block]:
    """Return the executed blocks of a page, in their order."""
    found: list[Block] = []
    for language, body in _FENCE.findall((DOCS / page).read_text(encoding="utf-8")):
        if language == "bash":
            found.append(Block(body))
        elif language == "text" and found:
            found[-1] = Block(found[-1].commands, tuple(line for line in body.splitlines() if line.strip()))
    return found


def code_blocks(page: str, language: str) -> list[str]:
    """Return the blocks of another language."""
    return [body for name, body in _FENCE.findall((DOCS / page).read_text(encoding="utf-8")) if name == language]


def follow(page: str, home: Path, folder: Path, variables: Mapping[str, str] | None = None) -> list[str]:
    """Execute the blocks of a page and return what each printed, stdout and stderr as they came.

    Args:
        page: Below ``docs``.
        home: ``OMC_HOME``.
        folder: Where the commands run.
        variables: Further variables of the environment.

    Raises:
        AssertionError: A command failed; the message ends with what was printed.
    """
    script = "".join(f"printf '{_SEPARATOR}'\n{block.commands}" for block in blocks(page))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_") and name != "PYTHONDONTWRITEBYTECODE"}
    environ = {**inherited, "OMC_HOME": str(home), "PATH": f"{BIN}{os.pathsep}{inherited['PATH']}", "COLUMNS": "200", **(variables or {})}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environ,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"docs/{page} stopped with {done.returncode}:\n{done.stdout[-3000:]}"
    return done.stdout.split(_SEPARATOR)[1:]


def missing_lines(page: str, outputs: list[str]) -> list[str]:
    """Return the lines that a page shows and that its commands didn't print."""
    pairs = zip(blocks(page), outputs, strict=True)
    return [line for block, printed in pairs for line in block.expected if not _pattern(line).search(_flat(printed))]


def _flat(text: str) -> str:
    return _FRAME.sub(" ", text)


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*?".join(re.escape(_flat(part).strip()) for part in line.split("...")))
