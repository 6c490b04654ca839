"""What is wrong with the files around a command is one line and exit 2: ``dagster.yaml``, the port's file, the terminal's characters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from omc_infra.postgres import embedded
from omc_infra.settings import PROJECT_ROOT

OMC = str(Path(sys.executable).parent / "omc")
RUN = "import sys; from omc_infra.cli import main; sys.argv[0] = 'omc'; main()"
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what runs, whose files a test may spoil."""
    copy = tmp_path_factory.mktemp("checkout")
    for storey in ("omc_infra", "omc_pipeline", "omc_agents"):
        shutil.copytree(PROJECT_ROOT / storey, copy / storey, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT_ROOT / "workspace.yaml", copy)
    return copy


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    yield folder
    embedded.stop(folder, force=True)


def environ_of(home: Path, **variables: str) -> Mapping[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    return {**inherited, "OMC_HOME": str(home), **variables}


def refused(words: list[str], environ: Mapping[str, str], cwd: Path = PROJECT_ROOT) -> str:
    """Run a command that must refuse, and return its one line."""
    answer = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=120, cwd=cwd, check=False)
    assert answer.returncode == 2, answer.stdout[-2000:] + answer.stderr[-3000:]
    (line,) = answer.stderr.splitlines()
    return line


CONFIGURED = (PROJECT_ROOT / "dagster.yaml").read_text()
BROKEN = {
    "missing": None,
    "malformed": "storage: [unclosed\n  at: :",
    "a list": "- one\n- two\n",
    "binary": "\x00\x01",
    "an unknown key": CONFIGURED + "\nstorrage: {}\n",
    "a wrong type": CONFIGURED.replace("max_concurrent_runs: 6", "max_concurrent_runs: six"),
    "no such class": CONFIGURED.replace("class: WarmRunLauncher", "class: NoLauncher"),
    "no such module": CONFIGURED.replace("module: omc_infra.runs.launcher", "module: omc_infra.runs.nowhere"),
    "an infinite number": CONFIGURED.replace("    preload: [", "    grace_s: .inf\n    preload: ["),
    "no variable": CONFIGURED.replace("DAGSTER_PG_URL", "DAGSTER_PG_URRL"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_dagster_yaml_that_is_wrong_is_one_line_that_names_it(checkout: Path, home: Path, command: str, kind: str) -> None:
    file, text = checkout / "dagster.yaml", BROKEN[kind]
    file.unlink(missing_ok=True)
    if text is not None:
        file.write_text(text)

    line = refused([sys.executable, "-c", RUN, command], environ_of(home, PYTHONPATH=str(checkout)), checkout)

    assert line.startswith("omc: ")
    assert str(file) in line


@pytest.mark.slow
def test_a_launcher_that_the_demonstration_can_not_configure_is_named(checkout: Path, home: Path) -> None:
    text = CONFIGURED[: CONFIGURED.index("run_launcher:")]
    (checkout / "dagster.yaml").write_text(text)

    line = refused([sys.executable, "-c", RUN, "demo"], environ_of(home, PYTHONPATH=str(checkout)), checkout)

    assert "run_launcher must have module, class and config" in line


@pytest.mark.slow
@pytest.mark.parametrize("place", ["/dev/null/port", "/proc/port", "{folder}", "{file}/port", "{folder}/" + "n" * 300])
@pytest.mark.parametrize("command", ["omc sandbox serve", "python -m omc_pipeline.sandbox"])
def test_a_port_file_that_can_not_be_written_is_one_line(tmp_path: Path, place: str, command: str) -> None:
    (tmp_path / "file").touch()
    named = place.format(folder=tmp_path, file=tmp_path / "file")
    words = [OMC, "sandbox", "serve"] if command.startswith("omc") else [sys.executable, "-m", "omc_pipeline.sandbox"]

    refused([*words, "--announce-port", named], environ_of(tmp_path / "home"))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["db migrate", "quality", "sources list", "status", "config show"])
def test_a_terminal_that_knows_only_ascii_gets_plain_characters(home: Path, command: str) -> None:
    answer = subprocess.run([OMC, *command.split()], env=environ_of(home, **ASCII), capture_output=True, timeout=120, check=False)

    assert answer.returncode in (0, 1), answer.stderr.decode()
    assert (answer.stdout + answer.stderr).isascii()
    assert answer.stdout
    assert b"Traceback" not in answer.stderr


def test_characters_that_a_terminal_lacks_are_written_plainly_or_as_their_escape() -> None:
    code = (
        "import sys; from omc_infra.terminal import ASCII_ERRORS, register_ascii_errors; register_ascii_errors();"
        "sys.stdout.reconfigure(encoding='ascii', errors=ASCII_ERRORS); print('a · b – c ✓ ✗ ⠋ ü …')"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)

    assert answer.stdout.strip() == r"a - b - c ok x * \xfc ..."
