"""Where a warm server keeps its files."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from omc_infra.errors import ConfigurationError
from omc_infra.runs.listening import Listener
from omc_infra.runs.places import places_of, tail


def test_the_folder_is_open_to_its_owner_alone_even_where_it_was_not_before(tmp_path: Path) -> None:
    (tmp_path / "warm").mkdir(mode=0o755)

    places = places_of(tmp_path)

    assert places.folder.stat().st_mode & 0o777 == 0o700
    assert places.socket.parent == places.folder


def test_a_home_too_long_for_a_socket_gets_a_short_private_folder(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 100)
    home.mkdir()

    places = places_of(home)

    assert len(os.fsencode(places.socket)) < 104
    assert places.socket.parent.stat().st_mode & 0o777 == 0o700
    assert places_of(home).socket == places.socket
    assert places_of(tmp_path).socket != places.socket
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(places.socket))
    places.socket.unlink()
    places.socket.parent.rmdir()


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "warm").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigurationError, match="not a folder of this user"):
        places_of(tmp_path)


def test_only_one_server_listens_and_the_next_takes_over_what_a_dead_one_left(tmp_path: Path) -> None:
    places = places_of(tmp_path)
    first = Listener.open(places, patience_s=0)

    with pytest.raises(ConfigurationError, match="another warm server is running"):
        Listener.open(places, patience_s=0)
    first.close()
    second = Listener.open(places, patience_s=0)

    assert second.is_reachable(places)
    assert not first.is_reachable(places)
    second.stop_listening(places)
    assert not places.socket.exists()
    os.close(second.lock)


def test_only_the_newest_logs_of_runs_are_kept(tmp_path: Path) -> None:
    places = places_of(tmp_path)
    for number in range(103):
        places.run_log(f"run{number}").write_text("x")
        os.utime(places.run_log(f"run{number}"), (number, number))

    places.forget_old_logs()

    assert not places.run_log("run2").exists()
    assert places.run_log("run3").exists()


def test_the_tail_of_a_log_is_its_last_lines_and_of_none_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(5000)))

    assert tail(log, 2) == "line 4998\nline 4999"
    assert tail(tmp_path / "none") == ""
