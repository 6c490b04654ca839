"""What ends ``omc up``, and which ports it is asked for."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from omc_infra.commands.up import Port
from omc_infra.settings import PROJECT_ROOT

HANG_UP = """
import os, signal, sys
from omc_infra.commands.up import stopping_event

signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))
stopped = stopping_event()
os.kill(os.getpid(), signal.SIGHUP)
print(stopped.is_set())
"""


@pytest.mark.parametrize(("before", "stops"), [("SIG_DFL", "True"), ("SIG_IGN", "False")], ids=["a terminal", "nohup"])
def test_a_hang_up_stops_it_but_where_hang_ups_are_ignored(before: str, stops: str) -> None:
    answer = subprocess.run([sys.executable, "-c", HANG_UP, before], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)

    assert answer.stdout.strip() == stops


@pytest.mark.parametrize(("text", "read"), [("3001", ("", 3001)), ("console=0", ("console", 0))])
def test_a_port_is_of_the_dagster_ui_or_of_a_named_service(text: str, read: tuple[str, int]) -> None:
    assert Port().convert(text, None, None) == read


@pytest.mark.parametrize("text", ["", "console=", "console", "70000", "-1"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a port"):
        Port().convert(text, None, None)
